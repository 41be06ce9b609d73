"""Tests and corrections against figures worked by hand, tables in the literature, and scipy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from pyserini_xqg.evaluate.compare import significance
from pyserini_xqg.evaluate.compare.significance import (
    bonferroni,
    cohens_dz,
    holm,
    mcnemar_test,
    paired_t_test,
    randomisation_test,
    verdict,
    wins_ties_losses,
)


def test_paired_t_test():
    # Mean 2, standard deviation sqrt(2.5), so t = 2 / sqrt(2.5 / 5) = 2 * sqrt(2) at 4 degrees.
    assert paired_t_test([0, 1, 2, 3, 4]) == pytest.approx(2 * stats.t.sf(2 * 2**0.5, 4))
    one, other = [0.2, 0.5, 1.0, 0.3], [0.1, 0.7, 0.0, 0.3]
    theirs = stats.ttest_rel(one, other).pvalue
    assert paired_t_test(np.subtract(one, other)) == pytest.approx(theirs)


def test_paired_t_test_without_variance():
    assert paired_t_test([0.0, 0.0, 0.0]) == 1.0
    assert paired_t_test([0.1 + 0.2, 0.3, 0.3]) == 0.0  # the same but for rounding
    assert paired_t_test([0.5]) is None


def test_randomisation_enumerates_few_clusters():
    # Totals 3, 1 and 1, together 5: of the 8 sign patterns only +++ and --- get there.
    assert randomisation_test([1, 2, 1, 1], ["a", "a", "b", "c"]) == 2 / 8
    # Together 3: the patterns that begin with + give 3, 5, 1 and 3, the others their opposites.
    assert randomisation_test([3, 1, -1], "abc") == 6 / 8
    assert randomisation_test([0, 0], "ab") == 1.0
    assert randomisation_test([1, -1, 5], "aab") == 1.0  # a cluster that cancels out has no sign


def test_randomisation_agrees_with_scipy():
    differences = [0.4, -0.1, 0.3, 0.25, -0.05, 0.6, 0.1]
    theirs = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert randomisation_test(differences, range(7)) == pytest.approx(theirs)


def test_randomisation_by_drawing():
    differences = np.random.default_rng(5).normal(0.4, 1, size=12)
    exact = randomisation_test(differences, range(12))
    by_hand = np.mean(
        [
            abs(np.dot(signs, differences)) >= abs(differences.sum()) - 1e-12
            for signs in product((1, -1), repeat=12)
        ]
    )
    assert exact == pytest.approx(by_hand)
    drawn = randomisation_test(differences, range(12), draws=4000, seed=1)
    assert drawn == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 4000) ** 0.5)
    assert drawn != exact
    assert drawn != randomisation_test(differences, range(12), draws=4000, seed=2)


def test_a_drawn_p_value_is_never_zero(monkeypatch):
    assert randomisation_test([1.0] * 60, range(60), draws=999) == 1 / 1000
    assert randomisation_test([1.0] * 60, range(60)) == 1 / 10_001
    whole = randomisation_test([1.0, -0.5] * 10, range(20), draws=999)
    assert randomisation_test([1.0, -1.0] * 10, range(20), draws=999) == 1.0  # each is as far
    monkeypatch.setattr(significance, "_AT_ONCE", 10)
    assert randomisation_test([1.0, -0.5] * 10, range(20), draws=999) == whole


def test_errors_of_the_first_kind():
    """Without any effect, topics in seven languages on one passage fool the t-test, not us."""
    rng = np.random.default_rng(2)
    passages, languages, trials = 60, 7, 400
    clusters = np.repeat(np.arange(passages), languages)
    found = {"t": 0, "flat": 0, "clustered": 0}
    for seed in range(trials):
        shared = np.repeat(rng.normal(size=passages), languages)
        differences = shared + rng.normal(size=passages * languages)
        found["t"] += paired_t_test(differences) <= 0.05
        found["clustered"] += (
            randomisation_test(differences, clusters, draws=199, seed=seed) <= 0.05
        )
        if seed < 100:
            topics = range(passages * languages)
            found["flat"] += randomisation_test(differences, topics, draws=199, seed=seed) <= 0.05
    # In 6,000 trials: 0.050 with clusters, 0.330 for the t-test.
    assert 0.02 <= found["clustered"] / trials <= 0.08
    assert found["t"] / trials >= 0.25
    assert found["flat"] / 100 >= 0.2


def test_mcnemar():
    # 9 wins and 2 losses: twice the 67 of 2,048 outcomes with at most 2 losses.
    assert mcnemar_test([1] * 9 + [-1] * 2 + [0] * 50) == pytest.approx(2 * 67 / 2048)
    assert mcnemar_test([0, 0]) == 1.0


def test_bonferroni():
    assert bonferroni([0.01, 0.2, 0.5]).tolist() == pytest.approx([0.03, 0.6, 1.0])


def test_holm():
    # Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04, and none may be
    # less than the one before it.
    assert holm([0.03, 0.01, 0.04, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.6]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_effect_size():
    assert cohens_dz([0, 1, 2, 3, 4]) == pytest.approx(2 / 2.5**0.5)
    assert cohens_dz([1, 1]) is None
    assert cohens_dz([1]) is None
    assert cohens_dz([1, 3]) == pytest.approx(2 / 2**0.5)  # two topics are enough


def test_wins_ties_losses():
    assert wins_ties_losses([0.5, -0.1, 0, 0.1 + 0.2 - 0.3, 0.2]) == (2, 2, 1)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (17.0, 25.0, "better"),
        (0.1, 0.2, "better"),
        (0.0, 5.0, "no harm"),
        (-1.9, 5.0, "no harm"),
        (-1.9, -0.1, "no harm"),  # a loss, but of less than two points
        (-2.0, 5.0, "undetermined"),
        (-6.0, 0.0, "undetermined"),
        (-6.0, -0.1, "harm"),
    ],
)
def test_verdict(low, high, expected):
    assert verdict(low, high, clusters=20, changed=1) == expected
    assert verdict(low, high, clusters=19, changed=1) == "undetermined"
    assert verdict(0, 0, clusters=19, changed=0) == "no change"
