"""The sample of single query vectors that a store keeps beside the sums.

Whoever leaves a query out of its own passage's sum needs the query's own vector: to choose alpha
and mu without topics, and to check what was built. Passages are drawn by a hash of their docid, so
that shards, resumed runs and query files that come later draw the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.store.block import Block, Sampled
from pyserini_xqg.store.columns import Column
from pyserini_xqg.store.rows import lines_at
from pyserini_xqg.store.store import Store

#: Queries a language that are enough for every decision, whatever the size of the collection.
MOST = 20_000
#: Queries a language that are kept although they take more than their share of the disk.
LEAST = 2_000
#: Of the store's disk.
SHARE = 0.01


class Sample(NamedTuple):
    """Single query vectors in one language.

    Attributes
    ----------
    rows : array of int64, shape (k,)
        The passage of each, counted through the shards, in order.
    vectors : array, shape (k, d), float32
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]


def sample_rates(queries: Mapping[str, int], passages: int) -> dict[str, float]:
    """The share of passages to draw for each language.

    Parameters
    ----------
    queries : mapping of language to int
        In the whole collection, not in a shard of it.
    passages : int
        Of the whole collection.

    Returns
    -------
    dict of language to float
        In (0, 1]: as many as give about `MOST` queries, or `SHARE` of the store's vectors where
        that is less; never fewer than give `LEAST`. They fall, and never rise, when queries are
        added.
    """
    share = SHARE * passages * (1 + 1 / max(len(queries), 1))
    limit = min(MOST, max(LEAST, share))
    return {code: min(1.0, limit / count) if count else 1.0 for code, count in queries.items()}


def drawn(docids: Sequence[str], rate: float) -> NDArray[np.bool_]:
    """Which passages are drawn at this rate; at a higher one these are drawn, too."""
    if rate >= 1:
        return np.ones(len(docids), dtype=bool)
    return np.array([_place(docid) < rate for docid in docids], dtype=bool)


def _place(docid: str) -> float:
    """Where a passage stands between 0 and 1, whatever the machine and the process."""
    found = hashlib.blake2b(docid.encode(), digest_size=8, person=b"xqg sample").digest()
    return int.from_bytes(found, "big") / 2.0**64


def draw(block: Block, rates: Mapping[str, float]) -> dict[str, Sampled]:
    """The sample of a block that has every query's vector, by language."""
    found = {}
    for language, rate in rates.items():
        mine, count = drawn(block.docids, rate), block.counts[language]
        vectors = (block.queries or {})[language][np.repeat(mine, count)]
        found[language] = Sampled(np.where(mine, count, 0).astype(np.int32), vectors)
    return found


def thinned(sampled: Sampled, docids: Sequence[str], rate: float) -> Sampled:
    """A block's sample at a lower rate than it was drawn at."""
    mine = drawn(docids, rate)
    vectors = sampled.vectors[np.repeat(mine, sampled.counts)]
    return Sampled(np.where(mine, sampled.counts, 0).astype(np.int32), vectors)


def read_sample(store: Store, language: str) -> Sample | None:
    """The sample of one language over all shards, at one rate; None where a shard has none.

    A store with every query's vector and no sample, as earlier versions made it, is sampled now.

    Raises
    ------
    XqgError
        If a file is shorter than the manifest says.
    """
    if store.sample_rates is None:
        return _from_kept(store, language) if store.kept_queries else None
    rows, vectors = [], []
    first, rate = 0, store.sample_rates[language]
    for path, size, manifest in zip(store.paths, store.sizes, store.manifests, strict=True):
        here = manifest["sample"][language]
        column = Column(path / f"sample.{language}.row.npy", 1)
        of_row = column.read(here["queries"])[:, 0].astype(np.int64)
        column.close()
        column = Column(path / f"sample.{language}.npy", store.dimension)
        of_vector = column.vectors(here["queries"])
        column.close()
        if here["rate"] > rate:
            passages, passage = np.unique(of_row, return_inverse=True)
            mine = drawn(list(lines_at(path / "docid", passages)), rate)[passage]
            of_row, of_vector = of_row[mine], of_vector[mine]
        rows.append(of_row + first)
        vectors.append(of_vector)
        first += size
    return Sample(np.concatenate(rows), np.concatenate(vectors))


def _from_kept(store: Store, language: str) -> Sample:
    rate = sample_rates(store.queries, store.passages)[language]
    rows, vectors, first = [], [], 0
    for block in store.blocks([language], keep=True):
        found = draw(block, {language: rate})[language]
        rows.append(first + np.repeat(np.arange(len(block.docids)), found.counts))
        vectors.append(found.vectors)
        first += len(block.docids)
    return Sample(np.concatenate(rows), np.concatenate(vectors))
