"""How far chance could have moved a mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Resamples drawn at once: a thousand clusters then take 8 MB, however many samples there are.
_AT_ONCE = 1000
# Draws that are kept: 40 MB, four times at most.
_KEPT = 5_000_000


def bootstrap_interval(
    scores: Mapping[str, float],
    clusters: Mapping[str, str],
    *,
    groups: Mapping[str, str] | None = None,
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean, resampling whole clusters of topics.

    Topics on one passage stand or fall together, in whatever language they are asked: resampling
    them one by one would make the interval too narrow. Given the differences of two runs, it is
    the interval of their mean difference. After Efron and Tibshirani, "An Introduction to the
    Bootstrap", 1993, chapter 13; whole clusters as in Cameron, Gelbach and Miller, "Bootstrap-Based
    Improvements for Inference with Clustered Errors", 2008, who also warn that with few clusters
    (below some 20 to 30) any such interval is too narrow.

    Parameters
    ----------
    scores : mapping of topic id to float
    clusters : mapping of topic id to str
        What binds topics together, such as the passage they ask for.
    groups : mapping of topic id to str or None
        Such as the topics' languages: the interval is then that of the unweighted mean of the
        groups' means. A group that a resample misses is left out of its mean.
    level, samples, seed
        Coverage, number of resamples, and the random seed.

    Returns
    -------
    tuple of two floats
    """
    row = _numbered(clusters[qid] for qid in scores)
    column = _numbered(groups[qid] if groups else "" for qid in scores)
    totals, sizes = np.zeros((2, len(row), len(column)))
    for qid, score in scores.items():
        place = row[clusters[qid]], column[groups[qid] if groups else ""]
        totals[place] += score
        sizes[place] += 1
    means = []
    few = len(row) * samples <= _KEPT
    for drawn in (_kept_draws if few else _draws)(len(row), samples, seed):
        found = drawn @ sizes
        of_groups = np.divide(drawn @ totals, found, where=found > 0, out=np.zeros_like(found))
        means.append(of_groups.sum(axis=1) / (found > 0).sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draws(clusters: int, samples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is in each resample, some resamples at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, samples, _AT_ONCE):
        count = min(_AT_ONCE, samples - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), count).astype(np.float64)


@lru_cache(maxsize=4)
def _kept_draws(clusters: int, samples: int, seed: int) -> list[NDArray[np.float64]]:
    """The same, drawn once for all measures, runs and languages of as many clusters."""
    return list(_draws(clusters, samples, seed))


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(set(names)))}
