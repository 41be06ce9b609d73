"""How well a retriever does on dev examples while it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.train.examples import Example, passage_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
