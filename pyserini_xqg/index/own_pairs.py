"""Whether a store's generated queries belong to their passages.

Queries that were joined to other passages than they were made of, by a shifted file or a wrong
docid, still find each other: left out of its passage's sum, each is found by the others, and
folding them in looks like a gain. So it is asked first, by the encoder alone, whether a passage and
its queries choose each other: of some passages with queries, each one's mean query vector has a
nearest passage, and each passage a nearest mean query vector (both less their means, scaled to
length 1: else passages that are near to everything win). Where the two agree they are a pair.
Queries that belong to their passages form most of their pairs with these; others form them by
chance, one in as many as there are passages.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, factorial
from typing import NamedTuple

import numpy as np

from pyserini_xqg.fusion import normalise
from pyserini_xqg.index.gains import LEVEL
from pyserini_xqg.store.rows import take_rows
from pyserini_xqg.store.sample import Sample
from pyserini_xqg.store.store import Store

#: Passages with queries that are looked at, and those that are too few to tell anything.
MOST, LEAST = 2_000, 20


class OwnPairs(NamedTuple):
    """Passages and sets of queries that are each other's nearest.

    Attributes
    ----------
    passages : int
        With queries, that were looked at.
    pairs : int
    own : int
        Those of a passage with its own queries.
    """

    passages: int
    pairs: int
    own: int

    def belong(self) -> bool:
        """Whether there are surely more of a passage's own than chance makes.

        Chance makes each pair one's own with the same small probability, so their number is
        Poisson's, with mean ``pairs / passages``.
        """
        if self.passages < LEAST:
            return True
        mean = self.pairs / self.passages
        fewer = sum(exp(-mean) * mean**k / factorial(k) for k in range(min(self.own, 20)))
        return 1 - fewer < LEVEL


def own_pairs(store: Store, samples: Mapping[str, Sample], seed: int = 0) -> OwnPairs:
    """Count them among some of the passages that have queries, over all languages together.

    Parameters
    ----------
    store : Store
    samples : mapping of language to Sample
        Whose passages are looked at.
    seed : int
        Of the passages, where there are many.
    """
    rows = np.unique(np.concatenate([sample.rows for sample in samples.values()]))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    if not len(rows):
        return OwnPairs(0, 0, 0)
    passages = take_rows(store, rows, []).passages
    sums, counts = np.zeros_like(passages), np.zeros(len(rows), np.float32)
    for code in samples:  # one after the other, as all of them would take much memory
        block = take_rows(store, rows, [code])
        sums += block.sums[code]
        counts += block.counts[code]
    means = sums / counts[:, None]
    scores = normalise(means - means.mean(axis=0)) @ normalise(passages - passages.mean(axis=0)).T
    nearest, numbers = scores.argmax(axis=1), np.arange(len(rows))
    mutual = scores.argmax(axis=0)[nearest] == numbers
    return OwnPairs(len(rows), int(mutual.sum()), int((mutual & (nearest == numbers)).sum()))
