"""A collection's own generated queries as topics, each with what its passage must lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.left_out import Topics
from pyserini_xqg.index.passage_pool import Pool
from pyserini_xqg.index.settings import FALLBACK
from pyserini_xqg.store.rows import take_counts
from pyserini_xqg.store.sample import Sample, read_sample
from pyserini_xqg.store.store import Store

#: Queries that serve as topics: of one language, and roughly of all together.
OF_LANGUAGE, IN_ALL = 1_500, 12_000


def read_samples(store: Store, languages: Sequence[str]) -> dict[str, Sample]:
    """The sampled queries of each language.

    Raises
    ------
    XqgError
        If the store has no sample.
    """
    found = {}
    for code in languages:
        sample = read_sample(store, code)
        if sample is None:
            raise XqgError(
                f"{store.paths[0]} was made by an earlier version and holds no single query "
                "vectors, by which alpha and mu are chosen: encode it again, or give both, as in "
                "--method mean --alpha 0.4 --mu 2"
            )
        found[code] = sample
    return found


def draw_topics(
    samples: Mapping[str, Sample], seed: int = 0, most: int = IN_ALL
) -> dict[str, Sample]:
    """Some of the sampled queries of each language; all of them where there are few."""
    each = min(OF_LANGUAGE, max(most // 40, most // max(len(samples), 1)))
    rng, drawn = np.random.default_rng(seed), {}
    for code, sample in samples.items():
        if len(sample.rows) > each:
            some = np.sort(rng.choice(len(sample.rows), each, replace=False))
            sample = Sample(sample.rows[some], sample.vectors[some])
        drawn[code] = sample
    return drawn


def of_language(drawn: Sample, language: str) -> Topics:
    """Sampled queries as topics of the route of their language."""
    one = np.ones(len(drawn.rows), np.int32)
    return _topics(drawn, [language], {language: (drawn.vectors, one)})


def of_all(
    samples: Mapping[str, Sample], drawn: Mapping[str, Sample], members: Sequence[str], most: int
) -> Topics:
    """Sampled queries in several languages as topics of an index that folds some in.

    In each of them the query of the topic's passage that is nearest to it is left out: itself in
    its own language, in others perhaps its translation.

    Parameters
    ----------
    samples : mapping of language to Sample
        All that the store keeps.
    drawn : mapping of language to Sample
        Those that may serve as topics.
    members : sequence of str
        The languages that are folded in.
    most : int
        Topics in all; taken evenly.
    """
    rows = np.concatenate([sample.rows for sample in drawn.values()])
    vectors = np.concatenate([sample.vectors for sample in drawn.values()])
    step = -(-len(rows) // most) if len(rows) else 1
    of = Sample(rows[::step], vectors[::step])
    return _topics(of, members, {code: _nearest(of, samples[code]) for code in members})


def _nearest(topics: Sample, queries: Sample) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Of each topic's passage the query that is nearest to it, and 1 where there is one."""
    starts = np.searchsorted(queries.rows, topics.rows)
    stops = np.searchsorted(queries.rows, topics.rows, side="right")
    found = np.zeros_like(topics.vectors)
    for place, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        if start < stop:
            of = queries.vectors[start:stop]
            apart = ((of - topics.vectors[place]) ** 2).sum(axis=1)
            found[place] = of[np.argmin(apart)]
    return found, (stops > starts).astype(np.int32)


def _topics(
    sample: Sample,
    members: Sequence[str],
    left_out: Mapping[str, tuple[NDArray[np.float32], NDArray[np.int32]]],
) -> Topics:
    return Topics(sample.vectors, np.arange(len(sample.rows)), sample.rows, list(members), left_out)


def covered(store: Store, pool: Pool, languages: Sequence[str]) -> dict[str, float]:
    """The share of the pool's passages that have queries, by route."""
    routes = {**{code: [code] for code in languages}, FALLBACK: list(languages)}
    counts = take_counts(store, pool.rows, languages)
    return {
        route: float(np.any([counts[code] > 0 for code in members], axis=0).mean())
        for route, members in routes.items()
    }
