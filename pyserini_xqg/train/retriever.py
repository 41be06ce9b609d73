"""Training of a retriever from any multilingual model, with sentence-transformers' trainer.

On dev examples it is scored while it is trained.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.versions import versions
from pyserini_xqg.train.biencoder import make_model, make_trainer, save_model
from pyserini_xqg.train.draws import Draws, schedule
from pyserini_xqg.train.examples import Example, passage_text, read_examples
from pyserini_xqg.train.progress import quiet, write_history
from pyserini_xqg.train.resume import (
    MANIFEST,
    check_packages,
    digest_of,
    last_checkpoint,
    run_trainer,
)
from pyserini_xqg.train.retriever_settings import RetrieverSettings

#: By the column of ``scores.csv``, the trainer's name.
_SCORES = {
    "train_loss": "loss",
    "dev_mrr": "eval_mrr",
    "dev_success@1": "eval_success@1",
    "dev_success@10": "eval_success@10",
}


def train_retriever(
    train: Sequence[str | Path],
    output: str | Path,
    settings: RetrieverSettings,
    *,
    dev: Sequence[str | Path] = (),
    device: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train a retriever; with dev examples, keep the weights of the best mean reciprocal rank.

    A run that was killed goes on at its last checkpoint when it is called again, and on a CPU ends
    with the weights of an unbroken one. Started by ``torchrun`` or ``accelerate launch`` it uses
    all processes, with the same effective batches as one.

    Parameters
    ----------
    train, dev : sequence of path-like
        Examples, as `pyserini_xqg.train.examples.read_examples` reads them.
    output : path-like
        The folder to make: model, tokenizer, what sentence-transformers needs to load them,
        ``xqg_encoder.json``, ``scores.csv``, ``training.json``.
    settings : RetrieverSettings
    device : {"cpu", "cuda"} or None
        By default the GPU of each process, or the CPU.
    overwrite : bool
        Replace an existing folder, and start anew instead of resuming.

    Returns
    -------
    dict
        What ``training.json`` says.

    Raises
    ------
    XqgError
        For broken input, a model that cannot be loaded, an existing output, a missing package, or
        a loss that is not finite.
    """
    check_packages("accelerate", "datasets", "sentence_transformers")
    from sentence_transformers import SentenceTransformer

    devices = int(os.environ.get("WORLD_SIZE", "1"))
    if settings.effective_batch_size % devices:
        raise XqgError(
            f"{devices} processes do not divide the effective batch of "
            f"{settings.effective_batch_size}; change --effective-batch-size"
        )
    with _folder(output, overwrite) as (folder, work):
        examples = read_examples(train)
        dev_examples = read_examples(dev) if dev else []
        if not any(example.negatives for example in examples):
            settings = replace(settings, negatives=0)
        plan = {
            **asdict(settings),
            "train": {"examples": len(examples), "digest": digest_of(examples)},
            "dev": {"examples": len(dev_examples), "digest": digest_of(dev_examples)},
        }
        order = schedule(examples, settings.epochs, settings.effective_batch_size, settings.seed)
        if folder is not None:
            folder.start(plan, {})
        with quiet():
            model = make_model(settings)
            trainer = make_trainer(
                model,
                Draws(examples, settings.negatives, settings.seed),
                order,
                work,
                settings,
                devices=devices,
                device=device,
                scores=DevScores(dev_examples, settings.batch_size) if dev else None,
            )
            with trainer.args.main_process_first(local=False):  # it removes broken ones
                checkpoint = last_checkpoint(work)
            run_trainer(trainer, checkpoint, settings.batch_size, "texts")
            state = trainer.state
            manifest = {**plan, "steps": state.global_step, "versions": versions()}
            if dev:
                manifest["best"] = {"step": state.best_global_step, "dev_mrr": state.best_metric}
            if folder is None:
                return manifest
            if dev:
                best = SentenceTransformer(state.best_model_checkpoint, device="cpu")
                model.load_state_dict(best.state_dict())
            save_model(model, folder.partial, settings)
        write_history(state.log_history, _SCORES, folder.partial / "scores.csv")
        folder.finish(manifest, keep_log=False)
    return manifest


@contextmanager
def _folder(output: str | Path, overwrite: bool) -> Iterator[tuple[OutputFolder | None, Path]]:
    """The output and its work folder; only the first of several processes writes."""
    if os.environ.get("RANK", "0") == "0":
        with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
            yield folder, folder.work
    else:
        path = Path(output)
        yield None, path.with_name(path.name + ".partial") / "work"


_BLOCK = 1024
_CUTS = (1, 10)


class DevScores:
    """Scores of a SentenceTransformer, each query among the passages of all dev examples.

    Parameters
    ----------
    examples : sequence of Example
    batch_size : int
        Texts that go through the model together.
    """

    def __init__(self, examples: Sequence[Example], batch_size: int) -> None:
        rows: dict[str, int] = {}
        self._queries = [example.query for example in examples]
        self._positives = [
            [rows.setdefault(passage_text(passage), len(rows)) for passage in example.positives]
            for example in examples
        ]
        for example in examples:
            for passage in example.negatives:
                rows.setdefault(passage_text(passage), len(rows))
        self._passages = list(rows)
        self._batch_size = batch_size

    def __call__(self, model: Any) -> dict[str, float]:
        """Mean reciprocal rank and success at 1 and 10, between 0 and 1."""
        options = {"batch_size": self._batch_size, "show_progress_bar": False}
        passages = model.encode_document(self._passages, **options)
        queries = model.encode_query(self._queries, **options)
        ranks = ranks_of(queries, passages, self._positives)
        scores = {"mrr": float(np.mean(1 / ranks))}
        return scores | {f"success@{cut}": float(np.mean(ranks <= cut)) for cut in _CUTS}


def ranks_of(
    queries: NDArray[np.float32], passages: NDArray[np.float32], positives: Sequence[Sequence[int]]
) -> NDArray[np.int64]:
    """The rank, from 1, of each query's best positive by dot product.

    Passages with the same score stand before it: a model that tells nothing apart gets no credit.

    Parameters
    ----------
    queries : array, shape (q, d)
    passages : array, shape (p, d)
    positives : sequence of sequence of int
        Rows of the passages that answer each query.

    Returns
    -------
    array of int, shape (q,)
    """
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        scores = queries[start : start + _BLOCK] @ passages.T
        for row, of_query in enumerate(scores, start):
            best = of_query[positives[row]].max()
            of_query[positives[row]] = -np.inf
            ranks[row] = 1 + np.count_nonzero(of_query >= best)
    return ranks
