"""An alpha for each route, chosen on some topics so that none is likely to do harm.

The gain of an alpha over no augmentation is estimated for each language, shrunk towards that of all
languages, and the alpha is taken whose gain is best assured: the one with the highest lower bound.
Where no bound is above 0 nothing is folded in.

The estimator is empirical Bayes as in Efron and Morris, "Data Analysis Using Stein's Estimator and
Its Generalizations", JASA 70, 1975: with y_l and s_l^2 a language's mean gain and its sampling
variance, m the mean gain over all topics and v its variance, and

    tau^2 = max(0, variance of the y_l - mean of the s_l^2)     how much languages differ
    c_l   = tau^2 / (tau^2 + s_l^2)                             what its own topics weigh

a language's gain is c_l y_l + (1 - c_l) m, with variance c_l s_l^2 + (1 - c_l)^2 v. Topics that ask
for one passage are one cluster in s_l^2 and v.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

ByTopic = Mapping[str, float]
#: The chance that a lower bound is above what is true.
LEVEL = 0.05


class Gain(NamedTuple):
    """What an alpha brings over no augmentation, for topics in one language.

    Attributes
    ----------
    alpha : float
    own : float
        The mean over its topics.
    share : float
        c_l above, 0 to 1.
    shrunk, low : float
        The estimate, and its lower bound (one-sided, 95 %).
    corrected : float
        The lower bound that holds for all alphas tried together.
    """

    alpha: float
    own: float
    share: float
    shrunk: float
    low: float
    corrected: float


def gains_by_language(
    scores: Mapping[float, ByTopic],
    none: ByTopic,
    groups: Mapping[str, Sequence[str]],
    clusters: Mapping[str, str],
) -> dict[str, list[Gain]]:
    """The gains of every alpha, by language, each shrunk towards the mean over all topics.

    Parameters
    ----------
    scores : mapping of alpha to scores by topic
    none : scores by topic
        Of no augmentation.
    groups : mapping of language to topic ids
        A language without topics gets the mean over all, less certain by as much as languages
        differ. One language alone is not shrunk: there is nothing to shrink it to.
    clusters : mapping of topic id to cluster
    """
    everything = [qid for qids in groups.values() for qid in qids]
    found: dict[str, list[Gain]] = {code: [] for code in groups}
    widths = [NormalDist().inv_cdf(1 - level) for level in (LEVEL, LEVEL / len(scores))]
    for alpha, of in scores.items():
        change = {qid: of[qid] - none[qid] for qid in everything}
        mean, variance = mean_and_variance(change, clusters)
        own = [
            mean_and_variance({qid: change[qid] for qid in qids}, clusters)
            for qids in groups.values()
        ]
        sure = [(y, s) for y, s in own if s < inf]
        between = inf
        if len(sure) > 1:
            spread = float(np.var([y for y, _ in sure], ddof=1))
            between = max(0.0, spread - sum(s for _, s in sure) / len(sure))
        for code, (y, s) in zip(groups, own, strict=True):
            share = _share(between, s)
            shrunk = share * y + (1 - share) * mean
            # c_l s_l^2 is the same as (1 - c_l) tau^2, which has a value without topics, too
            within = share * s if s < inf else between
            deviation = sqrt(within + (1 - share) ** 2 * variance if share < 1 else within)
            low, corrected = (shrunk - width * deviation for width in widths)
            found[code].append(Gain(alpha, y, share, shrunk, low, corrected))
    return found


def _share(between: float, variance: float) -> float:
    if variance == inf:
        return 0.0
    return 1.0 if between == inf else between / ((between + variance) or 1.0)


def best_assured(gains: Sequence[Gain]) -> Gain:
    """The gain with the highest lower bound; no augmentation where none is sure to be above 0."""
    if not any(gain.corrected > 0 for gain in gains):
        return Gain(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return max(gains, key=lambda gain: gain.low)


def mean_and_variance(values: ByTopic, clusters: Mapping[str, str]) -> tuple[float, float]:
    """A mean over topics and its sampling variance, clusters drawn as wholes.

    The variance is that of Liang and Zeger, "Longitudinal Data Analysis Using Generalized Linear
    Models", Biometrika 73, 1986, for a mean, times C / (C - 1) for C clusters; infinite for fewer
    than two.
    """
    if not values:
        return 0.0, inf
    mean = sum(values.values()) / len(values)
    sums: dict[str, float] = {}
    for qid, value in values.items():
        sums[clusters[qid]] = sums.get(clusters[qid], 0.0) + value - mean
    if len(sums) < 2:
        return mean, inf
    squares = sum(each**2 for each in sums.values())
    return mean, squares / len(values) ** 2 * len(sums) / (len(sums) - 1)
