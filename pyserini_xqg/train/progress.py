"""What transformers' trainer shows: one bar, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.progress import Progress


def progress(dev: str | None = "eval_loss", dev_shown: str = "dev loss") -> Any:
    """A callback of the trainer: a bar with the newest loss and dev score, and a last evaluation.

    Parameters
    ----------
    dev : str or None
        The trainer's name of the dev score; None if there are no dev data.
    dev_shown : str
        What the bar calls it.
    """
    from transformers import TrainerCallback

    class Shown(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._shown: dict[str, str] = {}
            self._line = ""
            self._bar = Progress(state.max_steps, "training", "steps", done=state.global_step)
            self._bar.__enter__()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._bar.update(1, self._line)
            # Also where --eval-steps does not divide the number of steps.
            if dev and state.global_step >= state.max_steps:
                control.should_evaluate = True

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
            for name, shown in (("loss", "loss"), (dev, dev_shown)):
                if name not in logs:
                    continue
                if not math.isfinite(logs[name]):
                    raise XqgError(
                        f"step {state.global_step}: the {shown} is {logs[name]}; take a lower "
                        "--learning-rate, or --dtype float32"
                    )
                self._shown[shown] = f"{logs[name]:.3f}"
            self._line = ", ".join(f"{shown} {value}" for shown, value in self._shown.items())

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._bar.__exit__(None, None, None)

    return Shown()


@contextmanager
def quiet() -> Iterator[None]:
    """Without what transformers says beside its errors, such as a bar for each loaded file."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
