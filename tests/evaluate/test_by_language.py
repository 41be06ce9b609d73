from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from made_stores import make_subject, write_store

from pyserini_xqg.evaluate.from_store.grid import grid
from pyserini_xqg.evaluate.from_store.sweep import sweep
from pyserini_xqg.index.gains import (
    Gain,
    best_assured,
    gains_by_language,
    mean_and_variance,
)
from pyserini_xqg.store.store import Store

#: One-sided, 95 %.
BOUND = 1.6448536
OWN = {qid: qid for qid in "abcdef"}  # every topic a cluster
NONE = dict.fromkeys("abcdef", 0.0)


def test_the_variance_of_a_mean_over_clusters():
    values = {"a": 1.0, "b": 3.0, "c": 8.0}
    mean, variance = mean_and_variance(values, OWN)
    assert (mean, variance) == (4.0, pytest.approx(np.var([1, 3, 8], ddof=1) / 3))
    # a and b stand together: deviations -3 - 1 and 4, two clusters
    assert mean_and_variance(values, {"a": "x", "b": "x", "c": "y"})[1] == (16 + 16) / 9 * 2
    assert mean_and_variance(values, dict.fromkeys("abc", "x"))[1] == inf
    assert mean_and_variance({}, {}) == (0.0, inf)


def test_shrinkage_by_hand():
    scores = {0.5: {"a": 10.0, "b": 12.0, "c": 4.0, "d": 6.0}}
    gains = gains_by_language(scores, NONE, {"te": ["a", "b"], "ar": ["c", "d"]}, OWN)
    # means 11 and 5, each of variance 1; over all topics 8, of variance (40 / 3) / 4
    between = 18 - 1
    share = between / (between + 1)
    shrunk = share * 11 + (1 - share) * 8
    low = shrunk - BOUND * sqrt(share + (1 - share) ** 2 * 10 / 3)
    assert gains["te"] == [Gain(0.5, 11.0, *map(pytest.approx, (share, shrunk, low, low)))]
    assert gains["ar"][0].shrunk == pytest.approx(share * 5 + (1 - share) * 8)


def test_languages_that_do_not_differ_get_the_mean():
    scores = {0.5: {"a": 0.0, "b": 12.0, "c": 1.0, "d": 12.0}}
    for gain in gains_by_language(scores, NONE, {"te": ["a", "b"], "ar": ["c", "d"]}, OWN).values():
        assert (gain[0].share, gain[0].shrunk) == (0.0, 6.25)


def test_a_language_without_topics_is_less_certain():
    scores = {0.5: {"a": 10.0, "b": 12.0, "c": 4.0, "d": 6.0}}
    groups = {"te": ["a", "b"], "ar": ["c", "d"], "fi": []}
    (gain,) = gains_by_language(scores, NONE, groups, OWN)["fi"]
    assert (gain.share, gain.shrunk) == (0.0, 8.0)
    assert gain.low == pytest.approx(8 - BOUND * sqrt(17 + 10 / 3))


def test_one_language_stands_alone():
    (gain,) = gains_by_language({0.5: {"a": 1.0, "b": 3.0}}, NONE, {"te": ["a", "b"]}, OWN)["te"]
    assert gain == (0.5, 2.0, 1.0, 2.0, *2 * [pytest.approx(2 - BOUND)])


def test_the_bound_for_several_alphas_together():
    scores = {alpha: {"a": 1.0, "b": 3.0} for alpha in (0.1, 0.5)}
    for gain in gains_by_language(scores, NONE, {"te": ["a", "b"]}, OWN)["te"]:
        assert gain[4:] == (pytest.approx(2 - BOUND), pytest.approx(2 - 1.959964))


def test_the_best_assured_and_none():
    sure, high = Gain(0.2, 3.0, 1.0, 3.0, 2.0, -0.1), Gain(0.8, 9.0, 1.0, 9.0, 1.0, 0.1)
    assert best_assured([high, sure]) == sure
    # none is sure enough for so many tries; of bounds at 0 it is not said either
    assert best_assured([sure, Gain(0.3, 3.0, 1.0, 3.0, 1.0, 0.0)]).alpha == 0.0
    assert best_assured([]).alpha == 0.0


@pytest.fixture
def made(tmp_path):
    """Queries in te lead to their passages; those in ar, and so all together, lead away."""
    n = 12
    unit = np.eye(2 * n + 1)
    passages = 0.5 * unit[:n] + 0.4 * unit[1 : n + 1]
    queries = {
        "te": [[unit[n + row]] for row in range(n)],
        "ar": [[-3 * unit[n + row]] for row in range(n)],
    }
    store = Store([write_store(tmp_path / "s", passages.tolist(), queries)])
    topics = [
        (f"{code}-{row}", code, (0.5 * unit[(row + 1) % n] + unit[n + row]).tolist(), f"p{row}")
        for row in range(n)
        for code in ("te", "ar", "fi")
    ]
    halves = [
        make_subject(store, [topic for topic in topics if int(topic[3][1:]) % 2 == half])
        for half in (0, 1)
    ]
    settings = grid(["ar", "te"], alphas=[0.2, 0.6], methods=["mean"], language_sets=["all"],
                    with_routed=True)  # fmt: skip
    return halves, settings


def test_the_section_of_a_sweep(made):
    (dev, test), settings = made
    section = sweep(dev, test, settings, "Success@1")[1]
    assert section.title == "Alpha by language"
    assert section.text[-1] == (
        f"python -m pyserini_xqg.index --embeddings {dev.store.paths[0]} --output DIR --routed "
        "--method mean --alpha ar=0 te=0.2 all=0"
    )
    on_dev, on_test = section.tables
    chosen = {row[0]: row[1:4] for row in on_dev.rows}
    assert (chosen["te"], chosen["ar"][2], chosen["all"][2]) == ([6, 0.2, 0.2], 0.0, 0.0)
    rows = {row[0]: dict(zip(on_test.columns[1:], row[1:], strict=True)) for row in on_test.rows}
    none, by_language = rows["no augmentation"], rows["alpha by language"]
    assert by_language["te"] == 100.0 > none["te"]
    assert (by_language["ar"], by_language["fi"]) == (none["ar"], none["fi"])
    assert rows["by language - no augmentation"]["ar"] == 0.0


def test_queries_that_do_harm_are_not_folded_in(made):
    (dev, test), settings = made
    only_ar = {
        setting: system._replace(members=lambda asked: ["ar"])
        if setting.languages == "routed"
        else system
        for setting, system in settings.items()
    }
    text = sweep(dev, test, only_ar, "Success@1")[1].text
    assert text[-1].endswith("--alpha ar=0 te=0 all=0")


def test_without_routes_there_is_no_such_section(made):
    (dev, test), settings = made
    plain = {s: system for s, system in settings.items() if s.languages != "routed"}
    assert "Alpha by language" not in [s.title for s in sweep(dev, test, plain, "Success@1")]
