"""What every training does around transformers' trainer: check, run, and take up again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from pyserini_xqg.errors import XqgError
from pyserini_xqg.files import read_json

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
