"""Passages from all over a store, which topics are ranked among."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.index.folds import folds_at
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.rows import take_rows
from pyserini_xqg.store.store import Store

#: How many; all of a smaller collection.
POOL = 100_000


class Pool(NamedTuple):
    """The passages that topics are ranked among.

    Attributes
    ----------
    rows : array of int64, shape (n,), sorted
    folds : array of int64, shape (n,)
    """

    rows: NDArray[np.int64]
    folds: NDArray[np.int64]


def draw_pool(store: Store, most: int = POOL, seed: int = 0) -> Pool:
    """Passages from all over a store: one, at random, of each of as many equal stretches."""
    number = min(store.passages, most)
    edges = np.arange(number + 1) * store.passages // max(number, 1)
    rows = edges[:-1] + np.random.default_rng(seed).integers(np.diff(edges))
    return Pool(rows, folds_at(store, rows))


def read_pool(
    store: Store, pool: Pool, languages: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], Block, NDArray[np.int64]]]:
    """Rows, vectors and folds of the pool's passages, some at a time, with a progress bar."""
    from tqdm import tqdm

    with tqdm(total=len(pool.rows), desc="leaving out", unit="passage", disable=None) as bar:
        for start in range(0, len(pool.rows), BLOCK):
            rows = pool.rows[start : start + BLOCK]
            yield rows, take_rows(store, rows, languages), pool.folds[start : start + BLOCK]
            bar.update(len(rows))
