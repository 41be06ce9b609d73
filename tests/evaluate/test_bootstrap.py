from __future__ import annotations

import pytest

from pyserini_xqg.evaluate import bootstrap
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval


def test_the_interval_of_a_coin():
    scores = {str(i): float(i % 2) for i in range(400)}
    low, high = bootstrap_interval(scores, {qid: qid for qid in scores})
    # normal approximation: 0.5 -+ 1.96 * 0.5 / sqrt(400)
    assert (low, high) == pytest.approx((0.451, 0.549), abs=0.006)


def test_topics_of_one_passage_are_drawn_together():
    scores = {f"{language}-{i}": float(i % 2) for i in range(100) for language in "abcd"}
    clusters = {qid: qid[2:] for qid in scores}
    low, high = bootstrap_interval(scores, clusters)
    # 100 independent coins, not 400: 0.5 -+ 1.96 * 0.5 / sqrt(100)
    assert (low, high) == pytest.approx((0.402, 0.598), abs=0.012)


def test_all_resamples_of_two_clusters():
    # Drawn are aa, ab, ba and bb: means 0, 1/3 (twice; b has one topic, a has two) and 1.
    scores, clusters = {"1": 0.0, "2": 0.0, "3": 1.0}, {"1": "a", "2": "a", "3": "b"}
    for level, expected in ((0.95, (0.0, 1.0)), (0.2, (1 / 3, 1 / 3))):
        assert bootstrap_interval(scores, clusters, level=level) == pytest.approx(expected)


def test_means_of_groups():
    # One group of 300 coins, one of 100 topics that always score 1: half of either's mean.
    scores = {f"a{i}": float(i % 2) for i in range(300)} | {f"b{i}": 1.0 for i in range(100)}
    clusters, groups = {qid: qid for qid in scores}, {qid: qid[0] for qid in scores}
    low, high = bootstrap_interval(scores, clusters, groups=groups)
    half = 1.96 * 0.5 / 300**0.5 / 2
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.005)


def test_a_group_that_a_resample_misses_is_left_out():
    scores, alone = {"1": 0.0, "2": 1.0}, {"1": "1", "2": "2"}
    # Resamples 11, 12, 21, 22 have the means 0, 1/2, 1/2 and 1, with two groups as without.
    low, high = bootstrap_interval(scores, alone, groups={"1": "x", "2": "y"})
    assert (low, high) == (0.0, 1.0)


def test_seeds_and_portions(monkeypatch):
    scores = {str(i): i / 10 for i in range(10)}
    clusters = {qid: qid for qid in scores}
    whole = bootstrap_interval(scores, clusters, samples=500)
    assert whole != bootstrap_interval(scores, clusters, samples=500, seed=1)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 7)
    assert bootstrap_interval(scores, clusters, samples=500) == whole
