"""What every training does around transformers' trainer: check, run, and take up again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_json
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.train.progress import save_losses

#: Written last into the trained model's folder: what it was trained on, and how.
MANIFEST = "training.json"


def check_packages(*names: str) -> None:
    """Import packages of the extra ``train``.

    Raises
    ------
    XqgError
        Naming the extra, if one is not installed.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError:
            raise XqgError(
                f"training needs the package {name.replace('_', '-')}: "
                "pip install 'pyserini_xqg[train]'"
            ) from None


def digest_of(rows: Iterable[Any]) -> str:
    """A checksum of rows of JSON types, in their order."""
    state = hashlib.blake2b(digest_size=16)
    for row in rows:
        state.update(json.dumps(row).encode())
    return state.hexdigest()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; what a killed process left of a newer one is removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in reversed(found):
        try:
            read_json(path / "trainer_state.json")  # the last file that is written
        except (OSError, XqgError):
            shutil.rmtree(path)
        else:
            return path
    return None


def trainer_arguments(
    kind: Callable[..., Any],
    work: Path,
    *,
    dtype: str,
    device: str | None,
    eval_steps: int,
    best: str | None,
    greater_is_better: bool = False,
    **options: Any,
) -> Any:
    """Arguments of a trainer of transformers: those that every training of ours has, and more.

    Parameters
    ----------
    kind : callable
        `transformers.TrainingArguments`, or of its kind.
    work : Path
        Where checkpoints go.
    dtype : {"float32", "bfloat16"}
    device : {"cpu", "cuda"} or None
        By default the first GPU, or the CPU.
    eval_steps : int
        Between checkpoints, and evaluations if there are any.
    best : str or None
        The dev score that says which checkpoint is the best; None if there are no dev data.
    greater_is_better : bool
        Of that score.
    **options
        Other arguments of `kind`.

    Raises
    ------
    XqgError
        For a device that is not there, or cannot compute in that type.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise XqgError("--device cuda: torch finds no GPU here; take cpu")
    cpu = device == "cpu" or not torch.cuda.is_available()
    try:
        arguments = kind(
            output_dir=str(work.resolve()),
            eval_strategy="steps" if best else "no",
            eval_steps=eval_steps,
            save_strategy="steps",
            save_steps=eval_steps,
            save_total_limit=2,  # the best and the last
            metric_for_best_model=best,
            greater_is_better=greater_is_better if best else None,
            logging_steps=1,
            logging_nan_inf_filter=False,
            bf16=dtype == "bfloat16",
            use_cpu=cpu,
            dataloader_pin_memory=not cpu,
            disable_tqdm=True,
            report_to="none",
            **options,
        )
    except ValueError as error:  # a GPU that cannot compute in bfloat16
        raise XqgError(f"--dtype {dtype}: {error}") from None
    arguments._n_gpu = min(arguments.n_gpu, 1)  # more would multiply the effective batch
    return arguments


def step_arguments(
    kind: Callable[..., Any], work: Path, settings: Any, device: str | None, *, dev: bool
) -> Any:
    """`trainer_arguments` of settings that count updates; `dev` says whether there are dev data.

    Gradients accumulate over as many batches as the effective one needs.
    """
    return trainer_arguments(
        kind,
        work,
        device=device,
        best="eval_loss" if dev else None,
        load_best_model_at_end=dev,
        dtype=settings.dtype,
        eval_steps=settings.eval_steps,
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.effective_batch_size // settings.batch_size,
        prediction_loss_only=True,
        remove_unused_columns=False,
        seed=settings.seed,
    )


class Tokenized:
    """Rows as a trainer takes them, tokenized when they are asked for."""

    def __init__(self, rows: Sequence[Any], encode: Callable[[Any], dict[str, Any]]) -> None:
        self._rows, self._encode = rows, encode

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self._encode(self._rows[row])


def train_into(
    folder: OutputFolder, trainer: Any, tokenizer: Any, batch_size: int, what: str
) -> dict[str, Any] | None:
    """Train and save all but the model and the manifest: tokenizer and losses.

    Returns
    -------
    dict or None
        The best ``step`` and its ``dev`` loss, where there are dev data.

    Raises
    ------
    XqgError
        As `run_trainer`.
    """
    run_trainer(trainer, last_checkpoint(folder.work), batch_size, what)
    tokenizer.save_pretrained(folder.partial)
    state = trainer.state
    save_losses(state.log_history, folder.partial)
    if state.best_metric is None:
        return None
    return {"step": state.best_global_step, "dev": state.best_metric}


def run_trainer(trainer: Any, checkpoint: Path | None, batch_size: int, what: str) -> None:
    """Train, from a checkpoint on if there is one.

    Raises
    ------
    XqgError
        If memory does not hold `batch_size` of `what` at a time.
    """
    import torch

    try:
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    except torch.OutOfMemoryError:
        raise XqgError(
            f"out of memory with {batch_size} {what} at a time; take a lower --batch-size "
            "(the effective batch stays the same) with --overwrite, or --dtype bfloat16"
        ) from None
