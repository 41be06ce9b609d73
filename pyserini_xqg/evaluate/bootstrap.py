"""How far chance could have moved a mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def bootstrap_interval(
    scores: Mapping[str, float],
    clusters: Mapping[str, str],
    *,
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean, resampling whole clusters of topics.

    Topics on one passage stand or fall together, in whatever language they are asked: resampling
    them one by one would make the interval too narrow.

    Parameters
    ----------
    scores : mapping of topic id to float
    clusters : mapping of topic id to str
        What binds topics together, such as the passage they ask for.
    level, samples, seed
        Coverage, number of resamples, and the random seed.

    Returns
    -------
    tuple of two floats
    """
    names = sorted({clusters[qid] for qid in scores})
    row = {name: i for i, name in enumerate(names)}
    totals, sizes = np.zeros(len(names)), np.zeros(len(names))
    for qid, score in scores.items():
        totals[row[clusters[qid]]] += score
        sizes[row[clusters[qid]]] += 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=samples)
    means = (drawn @ totals) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
