"""Whether a paired difference is real: tests, corrections and effect sizes, on arrays.

`differences` are always one number a topic, the run's score less the baseline's.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: What counts as no difference, and as equally far from zero: more than rounding, less than a rank.
_EPSILON = 1e-9
#: Sign flips drawn at once.
_AT_ONCE = 1000


def paired_t_test(differences: npt.ArrayLike) -> float | None:
    """The two-sided p-value of Student's paired t-test, as the paper uses it (through scipy).

    It takes topics for independent: where several ask for one passage its p-value is too small.

    Returns
    -------
    float or None
        1 where no topic changed; None for fewer than two topics, which have no variance.
    """
    from scipy import stats

    d = np.asarray(differences, dtype=np.float64)
    if d.size < 2:
        return None
    if np.ptp(d) < _EPSILON:  # all the same: scipy would divide by zero
        return 1.0 if abs(d[0]) < _EPSILON else 0.0
    return float(stats.ttest_1samp(d, 0.0).pvalue)


def randomisation_test(
    differences: npt.ArrayLike,
    clusters: Sequence[Hashable],
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> float:
    """The two-sided p-value of Fisher's randomisation test, flipping the sign of whole clusters.

    Without an effect either run could have been the baseline, for a cluster as a whole: its topics
    depend on each other. The statistic is the mean difference over topics. Smucker, Allan and
    Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation", CIKM 2007; whole-block flips after Winkler et al., "Multi-level block permutation",
    NeuroImage 2015.

    Parameters
    ----------
    differences : array_like (n,)
    clusters : sequence of hashable (n,)
    draws : int
        If there are no more sign patterns than this, all of them are enumerated and the p-value is
        exact. Otherwise so many are drawn, and the p-value is (1 + b) / (1 + draws), b being those
        as far from zero as the data (Phipson and Smyth, "Permutation P-values should never be
        zero", 2010).
    seed : int
    """
    totals = _totals(differences, clusters)
    totals = totals[np.abs(totals) > _EPSILON]  # the rest contributes zero, whatever its sign
    reached = abs(totals.sum()) - _EPSILON
    if 2**totals.size <= draws:
        patterns = np.array(list(product((1, -1), repeat=totals.size)), dtype=np.float64)
        return float(np.mean(np.abs(patterns @ totals) >= reached))
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, draws, _AT_ONCE):
        count = min(_AT_ONCE, draws - start)
        signs = 1 - 2 * rng.integers(0, 2, size=(count, totals.size), dtype=np.int8)
        extreme += int(np.sum(np.abs(signs @ totals) >= reached))
    return (1 + extreme) / (1 + draws)


def mcnemar_test(differences: npt.ArrayLike) -> float:
    """The two-sided p-value of McNemar's exact test on hits (through scipy).

    Of the topics that only one of the two runs hits, each is equally likely to be either's:
    a binomial test on their counts (McNemar, Psychometrika 1947). Topics count as independent.
    """
    from scipy import stats

    wins, _, losses = wins_ties_losses(differences)
    return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def bonferroni(p_values: npt.ArrayLike) -> Floats:
    """Bonferroni's adjusted p-values: times their number, 1 at most. Shape (m,)."""
    p = np.asarray(p_values, dtype=np.float64)
    return np.minimum(1.0, p * p.size)


def holm(p_values: npt.ArrayLike) -> Floats:
    """Holm's adjusted p-values; they control the family-wise error as Bonferroni's, and are less.

    Holm, "A simple sequentially rejective multiple test procedure", 1979: the i-th smallest of m is
    multiplied by m - i + 1, and none is less than one before it. Shape (m,).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted


def cohens_dz(differences: npt.ArrayLike) -> float | None:
    """Cohen's d_z: the mean difference over the standard deviation (n - 1) of the differences.

    Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, section 2.3.5. It is by
    topic and describes; it leans on no independence. None where the differences do not vary.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.size < 2 or np.ptp(d) < _EPSILON:
        return None
    return float(d.mean() / d.std(ddof=1))


def wins_ties_losses(differences: npt.ArrayLike) -> tuple[int, int, int]:
    """Topics that the run does better, equally well, and worse on than the baseline."""
    d = np.asarray(differences, dtype=np.float64)
    wins, losses = int(np.sum(d > _EPSILON)), int(np.sum(d < -_EPSILON))
    return wins, d.size - wins - losses, losses


#: Percentage points that the 95 % interval of a difference must stay above to speak of no harm.
MARGIN = -2.0
#: Below so many clusters a bootstrap interval is too narrow to say anything by.
FEWEST_CLUSTERS = 20
#: `verdict` in words, for tables.
RULE = (
    "Verdict: better if the 95 % interval of the difference lies above 0, no harm if it lies above "
    f"{MARGIN:g} points (a smaller loss may still be there), else harm if it lies below 0, else "
    "undetermined; "
    f"always undetermined with fewer than {FEWEST_CLUSTERS} clusters, and no change where every "
    "score is the same: a bootstrap cannot see what is not in its data."
)


def verdict(low: float, high: float, *, clusters: int, changed: int) -> str:
    """Whether a run gains or harms, from the 95 % interval of its difference in percentage points.

    A test of superiority, then one of non-inferiority with a margin, each at 2.5 % on one side:
    `RULE` has it in words.

    Parameters
    ----------
    low, high : float
    clusters, changed : int
        Clusters of topics, and topics whose score changed.
    """
    if not changed:
        return "no change"
    if clusters < FEWEST_CLUSTERS:
        return "undetermined"
    if low > 0:
        return "better"
    if low > MARGIN:
        return "no harm"
    return "harm" if high < 0 else "undetermined"


def _totals(differences: npt.ArrayLike, clusters: Sequence[Hashable]) -> Floats:
    row = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    totals = np.zeros(len(row))
    np.add.at(totals, [row[name] for name in clusters], np.asarray(differences, dtype=np.float64))
    return totals
