"""Fine-tuning of a T5, mT5 or umT5 that writes queries, with transformers' own trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.versions import versions
from pyserini_xqg.train.losses import losses_of, plot_losses, write_losses
from pyserini_xqg.train.pairs import read_pairs
from pyserini_xqg.train.progress import quiet
from pyserini_xqg.train.resume import (
    MANIFEST,
    check_packages,
    digest_of,
    last_checkpoint,
    run_trainer,
)
from pyserini_xqg.train.seq2seq import make_trainer
from pyserini_xqg.train.settings import GeneratorSettings


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
    check_packages("accelerate")
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        pairs = read_pairs(data, languages)
        dev_pairs = read_pairs(dev, languages)
        plan = {
            **settings.to_dict(),
            "data": {"pairs": len(pairs), "digest": digest_of(pairs)},
            "dev": {"pairs": len(dev_pairs), "digest": digest_of(dev_pairs)},
        }
        folder.start(plan, {})

        with quiet():
            trainer, tokenizer = make_trainer(pairs, dev_pairs, folder.work, settings, device)
            run_trainer(trainer, last_checkpoint(folder.work), settings.batch_size, "pairs")
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


def _save(model: Any, path: Path) -> None:
    """Save a model so that all versions of transformers load what was trained.

    Version 5 calls every T5 tied, in which earlier ones would overwrite the output layer; and
    whether hidden states are scaled before that layer is read from the same word.
    """
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    model.config.tie_word_embeddings = getattr(model.config, "scale_decoder_outputs", tied)
    model.save_pretrained(path)
