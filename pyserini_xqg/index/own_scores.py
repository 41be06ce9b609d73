"""Scores of topics left out: of their own passages, and of the best others, in index and store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.index.folds import folds_at
from pyserini_xqg.index.left_out import Topics, predictions_at, without, without_any
from pyserini_xqg.index.maps import Maps
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.rows import take_rows
from pyserini_xqg.store.store import Store

Vectors = NDArray[np.float32]


class _Group(NamedTuple):
    """Scores of the passages asked for, of the best others, and how many of these are above."""

    own: Vectors
    above: NDArray[np.int32]


class _Best:
    """The best of the other passages for each topic."""

    def __init__(self, topics: int) -> None:
        self.score = np.full(topics, -np.inf, np.float32)
        self.row = np.zeros(topics, np.int64)

    def add(self, mine: NDArray[np.int64], scores: Vectors, rows: NDArray[np.int64]) -> None:
        place = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), place]
        better = best > self.score[mine]
        self.score[mine[better]] = best[better]
        self.row[mine[better]] = rows[place[better]]

    def share(self, own: Vectors, rows: NDArray[np.int64], few: int) -> float:
        """The part of top-1 that the commonest passages take, each topic's own among them."""
        top = np.where(own > self.score, rows, self.row)
        return sum(count for _, count in Counter(top.tolist()).most_common(few)) / len(top)


def with_others(store: Store, topics: Topics) -> Topics:
    """The topics whose passages have other queries: a sum of none cannot be filled up."""
    counts = take_rows(store, topics.row, topics.members).counts
    lost = topics.left_out or {}
    more = sum(counts[code] - lost[code][1] for code in topics.members)
    kept = np.flatnonzero(np.asarray(more) > 0)
    return Topics(
        topics.vectors[kept],
        np.arange(len(kept)),
        topics.row[kept],
        topics.members,
        {code: (vectors[kept], count[kept]) for code, (vectors, count) in lost.items()},
    )


def _refilled(whole: Block, rest: Block) -> Block:
    """Sums of fewer queries, scaled as if there were as many as before.

    A sum grows with the number of queries, so a passage that loses one would fall behind for that.
    """
    before = np.sum(list(whole.counts.values()), axis=0)
    after = np.sum(list(rest.counts.values()), axis=0)
    factor = (before / np.maximum(after, 1)).astype(np.float32)[:, None]
    return rest._replace(sums={code: sums * factor for code, sums in rest.sums.items()})


class OwnScores:
    """The topics of one language."""

    def __init__(
        self,
        store: Store,
        topics: Topics,
        fusion: Fusion,
        centres: Mapping[str, Vectors] | None,
        maps: Maps | None,
    ) -> None:
        self.topics, number, summed = topics, len(topics.vectors), fusion.method == "paper"
        self._folds = folds_at(store, topics.row)
        own: dict[str, list[Vectors]] = {"plain": [], "own": [], "none": []}
        for start in range(0, number, BLOCK):
            part = slice(start, start + BLOCK)
            block = take_rows(store, topics.row[part], topics.members)
            predictions = predictions_at(maps, block, self._folds[part])

            def score(vectors: Vectors, part: slice = part) -> Vectors:
                found: Vectors = np.einsum("ij,ij->i", topics.vectors[part], vectors)
                return found

            def fused(block: Block, predictions: Any = predictions) -> Vectors:
                return fusion.apply(block, centres, predictions)

            own["plain"].append(score(block.passages))
            rest = without(block, topics.left_out or {}, part)
            own["own"].append(score(fused(_refilled(block, rest) if summed else rest)))
            own["none"].append(score(fused(without_any(block))))
        self.groups = {
            name: _Group(
                np.concatenate([np.zeros(0, np.float32), *scores]), np.zeros(number, np.int32)
            )
            for name, scores in own.items()
        }
        self.best = {"plain": _Best(number), "own": _Best(number)}

    def add(
        self, rows: NDArray[np.int64], passages: Vectors, vectors: Vectors, fold: int | None
    ) -> None:
        mine = np.arange(len(self._folds)) if fold is None else np.flatnonzero(self._folds == fold)
        if not len(mine):
            return
        columns = np.minimum(np.searchsorted(rows, self.topics.row[mine]), len(rows) - 1)
        here = np.flatnonzero(rows[columns] == self.topics.row[mine])
        for name, of in (("plain", passages), ("own", vectors)):
            scores = self.topics.vectors[mine] @ of.T
            scores[here, columns[here]] = -np.inf
            self.best[name].add(mine, scores, rows)
            for group in ("own", "none") if name == "own" else ("plain",):
                own, above = self.groups[group]
                above[mine] += (scores > own[mine][:, None]).sum(axis=1, dtype=np.int32)
