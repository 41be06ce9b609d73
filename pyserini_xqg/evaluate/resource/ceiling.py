"""How much of a gain that is larger where the baseline is weaker is mere ceiling, or chance.

A language that stands at 90 of 100 can gain 10 points at most. So the gain is also taken as a share
of what the baseline leaves to gain. And a gain contains minus the baseline: a language whose topics
are hard by chance has a low baseline and a high gain. So the baseline is also taken from other
passages than the gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.collection.judged import Collection

Numbers = NDArray[np.float64]

_SAMPLES = 2000
_SPLITS = 500
_AT_ONCE = 250


class ByCluster(NamedTuple):
    """Sums of scores in per cent, and numbers of topics, shape (clusters, groups) each."""

    baseline: Numbers
    run: Numbers
    topics: Numbers


class Rho(NamedTuple):
    """A rank correlation and its 95 % interval over passages; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


def by_cluster(
    collection: Collection,
    groups: Mapping[str, Sequence[str]],
    baseline: Mapping[str, float],
    run: Mapping[str, float],
) -> ByCluster:
    """The scores of each cluster's topics in each group; `baseline` and `run` are shares of one."""
    rows = {name: n for n, name in enumerate(sorted(set(collection.clusters.values())))}
    sums = np.zeros((3, len(rows), len(groups)))
    for column, qids in enumerate(groups.values()):
        for qid in qids:
            place = rows[collection.clusters[qid]], column
            sums[(slice(None), *place)] += (100 * baseline[qid], 100 * run[qid], 1)
    return ByCluster(*sums)


def means(of: ByCluster, weights: Numbers) -> tuple[Numbers, Numbers]:
    """Baseline and gain of each group, its clusters weighted: shape (samples, groups).

    A group that a sample misses is NaN.
    """
    with np.errstate(invalid="ignore"):
        topics = weights @ of.topics
        baseline = weights @ of.baseline / topics
        return baseline, weights @ of.run / topics - baseline


def resampled(of: ByCluster, samples: int = _SAMPLES, seed: int = 0) -> tuple[Numbers, Numbers]:
    """Baseline and gain of each group in bootstrap samples of the clusters."""
    clusters = len(of.topics)
    rng = np.random.default_rng(seed)
    even = np.full(clusters, 1 / clusters)
    parts = [
        means(of, rng.multinomial(clusters, even, size=_AT_ONCE).astype(float))
        for _ in range(0, samples, _AT_ONCE)
    ]
    return np.concatenate([b for b, _ in parts]), np.concatenate([g for _, g in parts])


def of_other_passages(of: ByCluster, splits: int = _SPLITS, seed: int = 0) -> Numbers:
    """Rank correlations of the gain on half of the clusters with the baseline on the other half."""
    clusters = len(of.topics)
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(clusters), (splits, 1)), axis=1)
    half = (order < clusters // 2).astype(float)
    baseline, _ = means(of, half)
    _, gain = means(of, 1 - half)
    return rank_correlations(baseline, gain)


def headroom(baseline: Numbers, gain: Numbers) -> Numbers:
    """The gain in per cent of what the baseline leaves to gain; NaN where it leaves nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(baseline < 100, 100 * gain / (100 - baseline), np.nan)


def rank_correlations(one: Numbers, other: Numbers) -> Numbers:
    """Spearman's rho of each row with the row of the other, or with the one that it has.

    NaN for a row with a missing value, with fewer than three, or all of them equal.
    """
    from scipy.stats import rankdata

    one, other = np.broadcast_arrays(np.atleast_2d(one), np.atleast_2d(other))
    if one.shape[1] < 3:
        return np.full(len(one), np.nan)
    x, y = (rankdata(each, axis=1, nan_policy="propagate") for each in (one, other))
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (x, y))
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Numbers = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return found


def rho(one: Numbers, other: Numbers, samples: Numbers, of_samples: Numbers) -> Rho:
    """The rank correlation of two rows, and the quantiles of those of their samples."""
    value = rank_correlations(one, other)[0]
    if np.isnan(value):
        return Rho(None)
    found = rank_correlations(samples, of_samples)
    low, high = np.nanquantile(found, [0.025, 0.975])
    return Rho(float(value), float(low), float(high))


def even_share(baseline: Numbers, gain: Numbers) -> tuple[float, float] | None:
    """If every group gained the same share of what its baseline leaves: that share, and its fit.

    Least squares through the point (100, 0): the share in per cent, and the part of the gains'
    variance between groups that it accounts for, in per cent; below 0, the mean gain alone fits
    better. None where there is nothing to fit.
    """
    left = 100 - baseline
    spread = float(((gain - gain.mean()) ** 2).sum())
    if len(gain) < 3 or not spread or not float((left**2).sum()):
        return None
    share = float((left * gain).sum() / (left**2).sum())
    return 100 * share, 100 * (1 - float(((gain - share * left) ** 2).sum()) / spread)
