"""What transformers' trainer shows: one bar while it trains, and the losses afterwards."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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


class Loss(NamedTuple):
    """The losses at a step; ``dev`` is None where there was no evaluation."""

    step: int
    train: float
    dev: float | None


def losses_of(history: Iterable[Mapping[str, Any]]) -> list[Loss]:
    """The losses in the history that transformers' trainer keeps, by step."""
    train: dict[int, float] = {}
    dev: dict[int, float] = {}
    for entry in history:
        if "loss" in entry:
            train[entry["step"]] = entry["loss"]
        if "eval_loss" in entry:
            dev[entry["step"]] = entry["eval_loss"]
    return [Loss(step, train[step], dev.get(step)) for step in sorted(train)]


def write_history(
    history: Iterable[Mapping[str, Any]], columns: Mapping[str, str], path: Path
) -> None:
    """A CSV of the history that transformers' trainer keeps, a row a step.

    `columns` says what the trainer calls each column; empty where a step has none of that.
    """
    by_step: dict[int, dict[str, Any]] = {}
    for entry in history:
        row = by_step.setdefault(entry["step"], {"step": entry["step"]})
        row |= {column: entry[name] for column, name in columns.items() if name in entry}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["step", *columns])
        writer.writeheader()
        writer.writerows(by_step.values())


def save_losses(history: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """The losses as ``losses.csv``, and where there was an evaluation as ``losses.png``.

    Columns are step, train and dev loss, the last empty where there was no evaluation.
    """
    losses = losses_of(history)
    write_history(history, {"train": "loss", "dev": "eval_loss"}, folder / "losses.csv")
    if any(loss.dev is not None for loss in losses):
        _plot(losses, folder / "losses.png")


def _plot(losses: Sequence[Loss], path: Path) -> None:
    """Both losses over the steps, with the step of the lowest dev loss marked."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    dev = [(loss.step, loss.dev) for loss in losses if loss.dev is not None]
    best = min(dev, key=lambda point: point[1])
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(
        [loss.step for loss in losses],
        [loss.train for loss in losses],
        color="#56B4E9",
        label="train",
    )
    axes.plot(*zip(*dev, strict=True), color="#D55E00", marker="o", markersize=3, label="dev")
    axes.axvline(best[0], color="#999999", linestyle=":", label=f"best: step {best[0]}")
    axes.set_xlabel("step")
    axes.set_ylabel("cross-entropy a token, nats")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
