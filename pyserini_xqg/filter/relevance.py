"""Scores of queries against their passages, by an encoder or a cross-encoder."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.encode.blocks import texts_of
from pyserini_xqg.encoder.devices import device_of
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.loading import (
    CLASSIFIER,
    embedding_rows,
    load_model,
    load_tokenizer,
    positions_of,
)
from pyserini_xqg.encoder.tokens import check_ids
from pyserini_xqg.filter.rows import Recall, Row, asked, batches
from pyserini_xqg.fusion import normalise

SIMILARITIES = ("dot", "cosine")
_MAX_LENGTH = 512


class Scorer(Protocol):
    """Anything that scores queries against passages.

    Attributes
    ----------
    plan : mapping
        What decides the scores, in JSON types.
    """

    plan: Mapping[str, Any]

    def score(
        self, passages: Sequence[Passage], texts: Sequence[str], owners: Sequence[int]
    ) -> NDArray[np.float32]:
        """Scores of `texts`, each against the passage of that number in `owners`, float32."""


class EncoderScorer:
    """Dot product or cosine of the vectors of query and passage.

    Parameters
    ----------
    encoder : Encoder
        Queries go through its query side, as topics do.
    fields : sequence of str
        What is encoded of a passage.
    similarity : {"dot", "cosine"}
    """

    def __init__(
        self, encoder: Encoder, fields: Sequence[str] = ("text",), similarity: str = "dot"
    ) -> None:
        if similarity not in SIMILARITIES:
            raise XqgError(f"--similarity {similarity!r} is none of {', '.join(SIMILARITIES)}")
        self._encoder, self._fields, self._cosine = encoder, fields, similarity == "cosine"
        self.plan: Mapping[str, Any] = {
            "encoder": encoder.spec.to_dict(), "fields": list(fields), "similarity": similarity,
            "batch_size": encoder.batch_size,
        }  # fmt: skip

    def score(
        self, passages: Sequence[Passage], texts: Sequence[str], owners: Sequence[int]
    ) -> NDArray[np.float32]:
        """As `Scorer.score`."""
        bodies, titles = texts_of(passages, self._fields)
        rows = {text: row for row, text in enumerate(dict.fromkeys(texts))}  # each text once
        queries = self._encoder.encode_queries(list(rows))
        documents = self._encoder.encode_passages(bodies, titles)
        if self._cosine:
            queries, documents = normalise(queries), normalise(documents)
        scores: NDArray[np.float32] = np.einsum(
            "qd,qd->q", queries[[rows[text] for text in texts]], documents[list(owners)]
        )
        return scores


class CrossEncoderScorer:
    """The relevance logit of a cross-encoder that reads query and passage together.

    Parameters
    ----------
    model : str
        Hub name or folder of a sequence classifier with one label (relevance), or two (irrelevant,
        relevant: the difference of the logits is the score).
    device : str or None
    batch_size : int
    max_length : int
        Tokens of query and passage together.
    fields : sequence of str
        What is read of a passage.

    Raises
    ------
    XqgError
        If the model cannot be loaded, or has other labels.
    """

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        batch_size: int = 64,
        max_length: int = _MAX_LENGTH,
        fields: Sequence[str] = ("text",),
    ) -> None:
        self._named = named = Named(model, option="--cross-encoder", what="cross-encoder")
        self._device = device_of(device)
        self._tokenizer = load_tokenizer(named)
        self._model = load_model(named, CLASSIFIER, self._tokenizer)
        self._rows = embedding_rows(self._model)
        if self._model.config.num_labels not in (1, 2):
            raise XqgError(
                f"--cross-encoder {model}: {self._model.config.num_labels} labels; expected one "
                "(relevance) or two (irrelevant, relevant)"
            )
        self._model.to(self._device)
        self._batch_size, self._fields = batch_size, fields
        limits = [self._tokenizer.model_max_length, positions_of(self._model) or max_length]
        self._max_length = min(max_length, *limits)
        if self._max_length < max_length and max_length != _MAX_LENGTH:
            warnings.warn(
                f"--max-length {max_length}: {model} reads {self._max_length} tokens at most; "
                "longer pairs are cut there",
                stacklevel=2,
            )
        self.plan: Mapping[str, Any] = {
            "cross_encoder": model, "fields": list(fields), "max_length": self._max_length,
            "batch_size": batch_size,
        }  # fmt: skip

    def score(
        self, passages: Sequence[Passage], texts: Sequence[str], owners: Sequence[int]
    ) -> NDArray[np.float32]:
        """As `Scorer.score`."""
        import torch

        documents = [
            " ".join(part for name in ("title", "text") if name in self._fields
                     and (part := getattr(passage, name)))
            for passage in passages
        ]  # fmt: skip
        scores = np.empty(len(texts), dtype=np.float32)
        # Longest first: padding stays small, and a batch that does not fit fails at once.
        lengths = [len(text) + len(documents[row]) for text, row in zip(texts, owners, strict=True)]
        order = np.argsort(-np.array(lengths, dtype=np.int64), kind="stable")
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            inputs = self._tokenizer(
                [texts[row] for row in rows],
                [documents[owners[row]] for row in rows],
                truncation=True,
                max_length=self._max_length,
                padding=True,
                return_tensors="pt",
            )
            check_ids(inputs["input_ids"].numpy(), self._rows, self._named)
            with torch.inference_mode():
                logits = self._model(**inputs.to(self._device)).logits.float()
            logits = logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
            scores[rows] = logits.cpu().numpy()
        return scores


def score_rows(rows: Iterable[Row], scorer: Scorer, recall: Recall[float] = asked) -> Iterator[Row]:
    """Rows with a score beside each query, in place of earlier ones.

    Parameters
    ----------
    rows : iterable of Row
    scorer : Scorer
    recall : callable
        Keeps the scores of a batch, or knows them.

    Raises
    ------
    XqgError
        If a score is not finite.
    """
    for batch in batches(rows):
        scores = iter(recall(partial(_score_batch, batch, scorer)))
        for row in batch:
            of_row: dict[str, list[float | None]] = {
                language: [next(scores) for _ in of] for language, of in row.queries.items()
            }
            yield row._replace(scores=of_row, line=b"")


def _score_batch(batch: Sequence[Row], scorer: Scorer) -> list[float]:
    """The scores of all queries of these rows, one after the other."""
    flat = [(i, t) for i, row in enumerate(batch) for of in row.queries.values() for t in of]
    if not flat:
        return []
    owners, texts = [owner for owner, _ in flat], [text for _, text in flat]
    found = scorer.score([row.passage for row in batch], texts, owners)
    if not np.isfinite(found).all():
        bad = batch[owners[int(np.flatnonzero(~np.isfinite(found))[0])]].passage.docid
        raise XqgError(
            f"passage {bad!r}: a query's score is not finite; the model is broken, or "
            "float16 is too narrow for it (--dtype float32 or bfloat16)"
        )
    return [round(float(score), 6) for score in found]
