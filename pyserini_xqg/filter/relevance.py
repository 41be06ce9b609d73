"""Scores of queries against their passages, and thresholds on them.

After Gospodinov, MacAvaney and Macdonald, "Doc2Query--: When Less is More", ECIR 2023: generated
queries that a relevance model scores low do harm, and the best 30 % or so do better than all.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pyserini_xqg.errors import XqgError
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row, batches
from pyserini_xqg.filter.steps import sift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.encoder import Encoder
    from pyserini_xqg.records import Passage

SIMILARITIES = ("dot", "cosine")


class Scorer(Protocol):
    """Anything that scores queries against passages."""

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

    def score(
        self, passages: Sequence[Passage], texts: Sequence[str], owners: Sequence[int]
    ) -> NDArray[np.float32]:
        """As `Scorer.score`."""
        from pyserini_xqg.blocks import texts_of
        from pyserini_xqg.fusion import normalise

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
        max_length: int = 512,
        fields: Sequence[str] = ("text",),
    ) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model)
            self._model = AutoModelForSequenceClassification.from_pretrained(model)
        except (OSError, ValueError, ImportError, KeyError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise XqgError(
                f"cannot load the cross-encoder {model!r}: {reason} (a hub name needs the network "
                "or a filled cache; a folder works without)"
            ) from None
        if self._model.config.num_labels not in (1, 2):
            raise XqgError(
                f"--cross-encoder {model}: {self._model.config.num_labels} labels; expected one "
                "(relevance) or two (irrelevant, relevant)"
            )
        self._device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        self._model.eval().to(self._device)
        self._batch_size, self._fields = batch_size, fields
        self._max_length = min(max_length, self._tokenizer.model_max_length)

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
            ).to(self._device)
            with torch.inference_mode():
                logits = self._model(**inputs).logits.float()
            logits = logits[:, -1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
            scores[rows] = logits.cpu().numpy()
        return scores


def score_rows(rows: Iterable[Row], scorer: Scorer) -> Iterator[Row]:
    """Rows with a score beside each query, in place of earlier ones.

    Raises
    ------
    XqgError
        If a score is not finite.
    """
    for batch in batches(rows):
        # One flat list of queries for the whole batch, each with the number of its row.
        flat = [(i, t) for i, row in enumerate(batch) for of in row.queries.values() for t in of]
        scores = iter(())  # type: Iterator[float]
        if flat:
            owners, texts = [owner for owner, _ in flat], [text for _, text in flat]
            found = scorer.score([row.passage for row in batch], texts, owners)
            if not np.isfinite(found).all():
                bad = batch[owners[int(np.flatnonzero(~np.isfinite(found))[0])]].passage.docid
                raise XqgError(
                    f"passage {bad!r}: a query's score is not finite; the model is broken, or "
                    "float16 is too narrow for it (--dtype float32 or bfloat16)"
                )
            scores = (round(float(score), 6) for score in found)
        for row in batch:
            yield row._replace(
                scores={
                    language: [next(scores) for _ in of] for language, of in row.queries.items()
                }
            )


def drop_low(
    rows: Iterable[Row], tally: Tally, thresholds: float | Mapping[str, float]
) -> Iterator[Row]:
    """Leave out queries whose score is below the threshold (of their language).

    Raises
    ------
    XqgError
        If a query has no score.
    """

    def relevant(row: Row, language: str, _: Sequence[str]) -> list[bool]:
        least = thresholds if isinstance(thresholds, float) else thresholds.get(language, -math.inf)
        return [score >= least for score in scores_of(row, language)]

    return sift(rows, tally, "score", relevant)


def scores_of(row: Row, language: str) -> list[float]:
    """A language's scores.

    Raises
    ------
    XqgError
        If a query has none.
    """
    texts = row.queries[language]
    found = row.scores.get(language, [None] * len(texts))
    scores = [score for score in found if score is not None]
    if len(scores) < len(texts):
        raise XqgError(
            f"passage {row.passage.docid!r}: its queries in {language} have no scores; give "
            "--encoder, --preset or --cross-encoder to score them, or leave the threshold out"
        )
    return scores


class Thresholds:
    """By language the score that a fraction of its queries reaches, found by sorting on disk.

    By language, because a model's scores in different languages are not comparable: one threshold
    for all would leave little of those that it reads badly.

    Parameters
    ----------
    path : Path
        Of the SQLite file to make.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-262144; begin;"
            "create table scores (language text, score real);"
        )

    def collect(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Note the scores of rows on their way."""
        for row in rows:
            self._db.executemany(
                "insert into scores values (?, ?)",
                [(lang, score) for lang in row.queries for score in scores_of(row, lang)],
            )
            yield row

    def keeping(self, fraction: float) -> dict[str, float]:
        """Thresholds that keep this fraction of each language's queries (ties are kept)."""
        counts = self._db.execute(
            "select language, count(*) from scores group by language"
        ).fetchall()
        found = {}
        for language, count in counts:
            (found[language],) = self._db.execute(
                "select score from scores where language = ? order by score desc limit 1 offset ?",
                (language, math.ceil(fraction * count) - 1),
            ).fetchone()
        self._db.close()
        return found
