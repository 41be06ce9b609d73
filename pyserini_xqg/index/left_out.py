"""Ranks of topics' passages under many settings at once, from a store and without an index.

Every setting of alpha and mu is scored from two products, of the topics with the passages and with
the smoothed means of their queries: with q(p) the mean that `pyserini_xqg.fusion.fuse` gives at
alpha 1, a fused passage scores (1 - alpha) t.E(p) + alpha t.q(p), divided by its length where that
is asked for. A topic may be one of the generated queries, left out of its own passage's sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.index.folds import FOLDS, folds_at
from pyserini_xqg.index.passage_pool import Pool, read_pool
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.rows import take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.index.maps import Maps
    from pyserini_xqg.index.predictions import Predictions
    from pyserini_xqg.store.store import Store

    Vectors = NDArray[np.float32]

#: Deeper than this a rank counts nothing.
CUTOFF = 10


class Topics(NamedTuple):
    """Topics of one route.

    Attributes
    ----------
    vectors : array, shape (t, d), float32
    topic, row : array of int64, shape (p,)
        Pairs of a topic and a passage that it asks for.
    members : sequence of str
        The languages that the route folds in.
    left_out : mapping of language to (array, array), or None
        For topics that are generated queries, one pair each: what each member's sum, shape
        ``(p, d)``, and count, shape ``(p,)``, of the passage must lose. None for topics with
        judgments.
    """

    vectors: Vectors
    topic: NDArray[np.int64]
    row: NDArray[np.int64]
    members: Sequence[str]
    left_out: Mapping[str, tuple[Vectors, NDArray[np.int32]]] | None = None


class Found(NamedTuple):
    """Reciprocal ranks in percent, cut off at `CUTOFF`.

    Attributes
    ----------
    own : array, shape (mus, alphas, t), float32
    none : array of the same shape, or None
        As if the passage that is asked for had no queries at all; of topics left out only.
    """

    own: NDArray[np.float32]
    none: NDArray[np.float32] | None


def rank(
    store: Store,
    topics: Sequence[Topics],
    pool: Pool,
    maps: Maps | None,
    *,
    alphas: Sequence[float],
    mus: Sequence[float],
    l2_norm: bool,
) -> list[Found]:
    """The reciprocal ranks of every topic's passages, for every setting, in one pass.

    Parameters
    ----------
    store : Store
    topics : sequence of Topics
    pool : Pool
    maps : Maps or None
        For mus above 0.
    alphas, mus : sequence of float
    l2_norm : bool

    Returns
    -------
    list of Found
        One for each of `topics`.
    """
    asked = np.concatenate([np.zeros(0, np.int64), *(one.row for one in topics)])
    own_folds = np.split(folds_at(store, asked), np.cumsum([len(one.row) for one in topics])[:-1])
    work = [
        _Work(store, one, own, maps, alphas, mus, l2_norm)
        for one, own in zip(topics, own_folds, strict=False)
    ]
    languages = sorted({code for one in topics for code in one.members})
    judged = [each for each, one in zip(work, topics, strict=True) if one.left_out is None]
    left = [each for each, one in zip(work, topics, strict=True) if one.left_out is not None]
    for rows, block, folds in read_pool(store, pool, languages):
        if judged:
            predictions = {} if maps is None else maps.predictions(block, folds)
            for each in judged:
                each.add(rows, block, None, predictions)
        # The passages that a topic left out is ranked against have their predictions from a map
        # without it, too: what few queries there are would else be in all of them but in its own.
        for fold in range(FOLDS if left else 0):
            predictions = predictions_at(maps, block, np.full(len(rows), fold)) or {}
            for each in left:
                each.add(rows, block, fold, predictions)
    return [each.found() for each in work]


def without(
    block: Block, left_out: Mapping[str, tuple[Vectors, NDArray[np.int32]]], part: slice
) -> Block:
    """A block whose passages have lost some queries; `part` are its pairs among all."""
    sums, counts = {}, {}
    for code, (vectors, count) in left_out.items():
        counts[code] = block.counts[code] - count[part]
        rest = block.sums[code] - vectors[part]
        # Not what rounding leaves of nothing.
        sums[code] = np.where(counts[code][:, None] > 0, rest, np.float32(0))
    return block._replace(sums={**block.sums, **sums}, counts={**block.counts, **counts})


def without_any(block: Block) -> Block:
    """A block whose passages have lost all their queries."""
    return block._replace(
        sums={code: np.zeros_like(sums) for code, sums in block.sums.items()},
        counts={code: np.zeros_like(counts) for code, counts in block.counts.items()},
    )


def predictions_at(maps: Maps | None, block: Block, folds: NDArray[np.int64]) -> Predictions | None:
    """What maps expect of passages, never from a map that their own queries are in."""
    return None if maps is None else maps.expected(block.passages, folds)


class _Work:
    """One route's topics: scores of their own passages, and how many others are above them."""

    def __init__(
        self,
        store: Store,
        topics: Topics,
        folds: NDArray[np.int64],
        maps: Maps | None,
        alphas: Sequence[float],
        mus: Sequence[float],
        l2_norm: bool,
    ) -> None:
        self._topics, self._mus, self._l2_norm = topics, list(mus), l2_norm
        self._alphas = [np.float32(alpha) for alpha in alphas]
        shape = len(mus), len(alphas), len(topics.vectors)
        self._own = {"own": np.full(shape, -np.inf, np.float32)}
        if topics.left_out is not None:
            self._own["none"] = np.full(shape, -np.inf, np.float32)
        self._above = {name: np.zeros(shape, np.int32) for name in self._own}
        self._folds = folds
        for start in range(0, len(topics.row), BLOCK):
            part = slice(start, start + BLOCK)
            block = take_rows(store, topics.row[part], topics.members)
            predictions = predictions_at(maps, block, folds[part])
            at = topics.topic[part]
            if topics.left_out is not None:
                self._score_own("none", without_any(block), predictions, at)
                block = without(block, topics.left_out, part)
            self._score_own("own", block, predictions, at)

    def _score_own(
        self,
        name: str,
        block: Block,
        predictions: Mapping[str, Vectors] | None,
        at: NDArray[np.int64],
    ) -> None:
        vectors = self._topics.vectors[at]
        plain = np.einsum("ij,ij->i", vectors, block.passages)
        for number, mu in enumerate(self._mus):
            means = _means(block, self._topics.members, mu, predictions)
            mixed = np.einsum("ij,ij->i", vectors, means)
            lengths = self._lengths(block.passages, means)
            for place, alpha in enumerate(self._alphas):
                scores = ((1 - alpha) * plain + alpha * mixed) / lengths[place]
                np.maximum.at(self._own[name][number, place], at, scores)

    def add(
        self,
        rows: NDArray[np.int64],
        block: Block,
        fold: int | None,
        predictions: Mapping[str, Vectors],
    ) -> None:
        """Rank the topics of a fold, or all for None, against some passages of the pool."""
        mine = self._topics_of(fold)
        if not len(mine):
            return
        vectors, own_pairs = self._topics.vectors[mine], self._own_pairs(rows, mine)
        plain = vectors @ block.passages.T
        for number, mu in enumerate(self._mus):
            means = _means(block, self._topics.members, mu, predictions)
            mixed = vectors @ means.T
            lengths = self._lengths(block.passages, means)
            for place, alpha in enumerate(self._alphas):
                scores = plain * ((1 - alpha) / lengths[place])
                if alpha:
                    scores += mixed * (alpha / lengths[place])
                # A topic's own passages are not among those that it is ranked against.
                scores[own_pairs] = -np.inf
                for name, own in self._own.items():
                    above = scores > own[number, place, mine][:, None]
                    self._above[name][number, place, mine] += above.sum(axis=1, dtype=np.int32)

    def _topics_of(self, fold: int | None) -> NDArray[np.int64]:
        if fold is None:
            return np.arange(len(self._topics.vectors))
        found: NDArray[np.int64] = self._topics.topic[self._folds == fold]
        return found

    def _own_pairs(
        self, rows: NDArray[np.int64], mine: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places in a table of these topics and these rows where a topic meets its passage."""
        topics = self._topics
        columns = np.minimum(np.searchsorted(rows, topics.row), len(rows) - 1)
        lines = np.full(len(topics.vectors), -1)
        lines[mine] = np.arange(len(mine))
        here = (rows[columns] == topics.row) & (lines[topics.topic] >= 0)
        return lines[topics.topic[here]], columns[here]

    def found(self) -> Found:
        ranks = {
            name: np.where(above < CUTOFF, 100 / (above + np.float32(1)), 0).astype(np.float32)
            for name, above in self._above.items()
        }
        return Found(ranks["own"], ranks.get("none"))

    def _lengths(self, passages: Vectors, means: Vectors) -> list[Vectors]:
        """The lengths of the fused vectors, for each alpha; 1 where they are not scaled."""
        if not self._l2_norm:
            return [np.ones(len(passages), np.float32) for _ in self._alphas]
        one, two, both = (
            np.einsum("ij,ij->i", a, b)
            for a, b in ((passages, passages), (means, means), (passages, means))
        )
        found = []
        for alpha in self._alphas:
            square = (1 - alpha) ** 2 * one + 2 * alpha * (1 - alpha) * both + alpha**2 * two
            length = np.sqrt(np.maximum(square, 0))
            found.append(np.where(length > 0, length, np.float32(1)).astype(np.float32))
        return found


def _means(
    block: Block, members: Sequence[str], mu: float, predictions: Mapping[str, Vectors] | None
) -> Vectors:
    """The (smoothed) means of the queries in some languages; E(p) where there is nothing."""
    from pyserini_xqg.fusion import fuse

    return fuse(
        block.passages,
        {code: block.sums[code] for code in members},
        {code: block.counts[code] for code in members},
        method="mean",
        alpha=1.0,
        mu=mu,
        predictions={code: (predictions or {})[code] for code in members} if mu else None,
    )
