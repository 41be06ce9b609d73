"""Fine-tuning of a T5, mT5 or umT5 that writes queries, with transformers' own trainer."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyserini_xqg.errors import XqgError
from pyserini_xqg.files import read_json
from pyserini_xqg.manifest import versions
from pyserini_xqg.output import OutputFolder
from pyserini_xqg.train.losses import losses_of, plot_losses, write_losses
from pyserini_xqg.train.pairs import Pair, read_pairs
from pyserini_xqg.train.progress import quiet
from pyserini_xqg.train.seq2seq import make_trainer
from pyserini_xqg.train.settings import GeneratorSettings

#: Written last into the trained model's folder: what it was trained on, and how.
MANIFEST = "training.json"


def train_generator(
    data: Sequence[str | Path],
    dev: Sequence[str | Path],
    output: str | Path,
    settings: GeneratorSettings,
    *,
    languages: Sequence[str] = (),
    device: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train a generator, and keep the weights of the lowest loss on the dev pairs.

    A run that was killed goes on at its last checkpoint when it is called again, and on a CPU ends
    with the weights of an unbroken one.

    Parameters
    ----------
    data, dev : sequence of path-like
        Training and dev pairs, as `pyserini_xqg.train.pairs.read_pairs` reads them.
    output : path-like
        The folder to make: model, tokenizer, ``losses.csv``, ``losses.png``, ``training.json``.
    settings : GeneratorSettings
    languages : sequence of str
        For rows that do not say theirs.
    device : {"cpu", "cuda"} or None
        By default the first GPU, or the CPU.
    overwrite : bool
        Replace an existing folder, and start anew instead of resuming.

    Returns
    -------
    dict
        What ``training.json`` says.

    Raises
    ------
    XqgError
        For broken input, a model that is not of the T5 family, an existing output, a missing
        package, or a loss that is not finite.
    """
    _check_accelerate()
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        with TemporaryDirectory(dir=folder.work) as work:
            pairs = read_pairs(data, Path(work), languages)
            dev_pairs = read_pairs(dev, Path(work), languages)
        plan = {
            **settings.to_dict(),
            "data": {"pairs": len(pairs), "digest": _digest(pairs)},
            "dev": {"pairs": len(dev_pairs), "digest": _digest(dev_pairs)},
        }
        folder.start(plan, {})

        with quiet():
            trainer, tokenizer = make_trainer(pairs, dev_pairs, folder.work, settings, device)
            _train(trainer, last_checkpoint(folder.work), settings)
            _save(trainer.model, folder.partial)
            tokenizer.save_pretrained(folder.partial)
        losses = losses_of(trainer.state.log_history)
        write_losses(losses, folder.partial / "losses.csv")
        plot_losses(losses, folder.partial / "losses.png")
        manifest = {
            **plan,
            "best": {"step": trainer.state.best_global_step, "dev": trainer.state.best_metric},
            "versions": versions(),
        }
        folder.finish(manifest, keep_log=False)
    return manifest


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


def _train(trainer: Any, checkpoint: Path | None, settings: GeneratorSettings) -> None:
    import torch

    try:
        trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    except torch.OutOfMemoryError:
        raise XqgError(
            f"out of memory with {settings.batch_size} pairs at a time; take a lower --batch-size "
            "(the effective batch stays the same) with --overwrite, or --dtype bfloat16"
        ) from None


def _save(model: Any, path: Path) -> None:
    """Save a model so that all versions of transformers load what was trained.

    Version 5 calls every T5 tied, in which earlier ones would overwrite the output layer; and
    whether hidden states are scaled before that layer is read from the same word.
    """
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    model.config.tie_word_embeddings = getattr(model.config, "scale_decoder_outputs", tied)
    model.save_pretrained(path)


def _check_accelerate() -> None:
    try:
        import_module("accelerate")
    except ImportError:
        raise XqgError(
            "training needs the package accelerate: pip install 'pyserini_xqg[train]'"
        ) from None


def _digest(pairs: Sequence[Pair]) -> str:
    state = hashlib.blake2b(digest_size=16)
    for pair in pairs:
        state.update(json.dumps(pair).encode())
    return state.hexdigest()
