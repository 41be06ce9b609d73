from __future__ import annotations

import numpy as np
import pytest
from made_stores import make_subject, random_shards, write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.from_store.grid import Setting
from pyserini_xqg.evaluate.from_store.retrieval import System, everyone, parts_of
from pyserini_xqg.evaluate.from_store.subsets import (
    curve,
    curve_section,
    draw_queries,
    draws_interval,
)
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

SETTING = Setting("paper", "all", 0.5)
SYSTEM = {SETTING: System(Fusion("paper", 0.5), everyone(["te"]))}


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    store = random_shards(tmp_path_factory.mktemp("subsets"), [50], keep=True)
    return next(parts_of(store, keep=True))


def chosen(part, block, code):
    """By passage, which of its queries are in the sum; found by trying all."""
    count = part.block.counts[code]
    ends = np.cumsum(count)
    found = []
    for row, (end, n) in enumerate(zip(ends, count, strict=True)):
        vectors = part.block.queries[code][end - n : end]
        subsets = [[i for i in range(n) if mask >> i & 1] for mask in range(1 << n)]
        wanted = block.sums[code][row]
        (right,) = [
            subset for subset in subsets
            if np.allclose(vectors[subset].sum(axis=0), wanted, atol=1e-5)
        ]  # fmt: skip
        assert len(right) == block.counts[code][row]
        found.append(set(right))
    return found


def test_a_draw_takes_so_many_of_each_passage(part):
    two = draw_queries(2, 0, 0)(part)
    for code, count in two.counts.items():  # the single ones are those of the sums
        sums = [of.sum(axis=0) for of in np.split(two.queries[code], np.cumsum(count)[:-1])]
        assert np.array(sums) == pytest.approx(two.sums[code], abs=1e-5)
    one = draw_queries(1, 0, 0)(part)
    for code in ("ar", "te"):
        count = part.block.counts[code]
        assert set(count.tolist()) == {0, 1, 2, 3}
        of_two, of_one = chosen(part, two, code), chosen(part, one, code)
        assert [len(s) for s in of_two] == np.minimum(count, 2).tolist()
        assert [len(s) for s in of_one] == np.minimum(count, 1).tolist()
        assert all(a <= b for a, b in zip(of_one, of_two, strict=True))  # fewer are a part of more
        # not the first ones again and again: of three, each is taken
        assert {i for s, n in zip(of_one, count, strict=True) if n == 3 for i in s} == {0, 1, 2}
        assert one.counts[code].dtype == np.int32


def test_all_of_them_are_the_stores_own_sums(part):
    everything = draw_queries(3, 4, 0)(part)
    for code in ("ar", "te"):
        assert everything.sums[code] == pytest.approx(part.block.sums[code], abs=1e-6)
        assert np.array_equal(everything.counts[code], part.block.counts[code])
        assert np.array_equal(everything.queries[code], part.block.queries[code])
    assert np.array_equal(everything.passages, part.block.passages)


def test_draws_and_seeds_differ_and_repeat(part):
    first = draw_queries(1, 0, 0)(part).sums["te"]
    assert np.array_equal(first, draw_queries(1, 0, 0)(part).sums["te"])
    assert not np.array_equal(first, draw_queries(1, 1, 0)(part).sums["te"])
    assert not np.array_equal(first, draw_queries(1, 0, 1)(part).sums["te"])


@pytest.fixture
def subject(tmp_path):
    """A topic that p0 wins over p1 with the first of p0's two queries, and loses with the other."""
    queries = {"te": [[[0, 4], [0, -2]], [], []]}
    store = Store([write_store(tmp_path / "s", [[1, 0], [0, 1], [0, -1]], queries, keep=True)])
    return make_subject(store, [("q", "te", [0, 1], "p0")])


def test_the_curve_by_hand(subject):
    points = curve(subject, SYSTEM, "RR@10", [2, 1, 2], draws=12)
    assert [(point.setting, point.size) for point in points] == [(SETTING, 1), (SETTING, 2)]
    # alone the first makes p0 2 beside p1's 0.5: first; the other makes it -1: third, behind -0.5
    assert {round(value, 6) for value in points[0].by_draw} == {100.0, 33.333333}
    assert points[0].by_topic == {"q": pytest.approx(np.mean(points[0].by_draw))}
    # both: (4 - 2) / 2 = 1 beside 0.5
    assert points[1].by_draw == [100.0] * 12
    section = curve_section(subject, points, {"q": 50.0}, "RR@10")
    (table,) = section.tables
    middle = float(np.mean(points[0].by_draw))
    low, high = draws_interval(points[0].by_draw)
    assert low < middle < high
    assert [row[:3] for row in table.rows] == [[str(SETTING), 1, 12], [str(SETTING), 2, 12]]
    assert table.rows[0][3:] == pytest.approx([50.0, middle, low, high, middle - 50])
    assert table.rows[1][3:] == pytest.approx([50.0, 100.0, 100.0, 100.0, 50.0])
    assert table.intervals[1, 7] == (50.0, 50.0)


def test_the_interval_over_draws():
    # Student's t with 2 degrees of freedom: 4.303; 4.303 / sqrt(3) = 2.484
    assert draws_interval([1.0, 2.0, 3.0]) == pytest.approx((-0.484, 4.484), abs=1e-3)
    assert draws_interval([1.0]) is None


def test_what_is_refused(subject, tmp_path):
    with pytest.raises(XqgError, match="--num-queries 0: expected at least 1"):
        curve(subject, SYSTEM, "RR@10", [0, 1])
    sums = Store([write_store(tmp_path / "sums", [[1, 0]], {"te": [[[0, 1]]]})])
    with pytest.raises(XqgError, match="sums holds sums only"):
        curve(subject._replace(store=sums), SYSTEM, "RR@10", [1])
