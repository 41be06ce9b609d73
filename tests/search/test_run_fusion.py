from __future__ import annotations

import random

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.search.joining import fuse_runs, sum_runs

DENSE = {"007": [Hit("a", 80.0), Hit("b", 70.0), Hit("c", 60.0)], "te-1": [Hit("a", 5.0)]}
SPARSE = {"007": [Hit("c", 9.0), Hit("a", 5.0), Hit("d", 1.0)]}


def test_the_sum_of_normalised_scores_by_hand():
    fused = fuse_runs(DENSE, SPARSE, 0.75)
    # dense a 1, b 0.5, c 0; BM25 c 1, a 0.5, d 0; ties in the order of docids
    assert fused["007"] == [
        Hit("a", pytest.approx(0.75 * 1 + 0.25 * 0.5)),
        Hit("b", pytest.approx(0.75 * 0.5)),
        Hit("c", pytest.approx(0.25)),
        Hit("d", pytest.approx(0.0)),
    ]
    assert fused["te-1"] == [Hit("a", pytest.approx(0.75))]  # one hit is the best and the worst
    assert [hit.docid for hit in fuse_runs(DENSE, SPARSE, 0.25, hits=2)["007"]] == ["c", "a"]


def test_runs_without_hits():
    assert fuse_runs({}, {}, 0.5) == {}
    assert [hit.docid for hit in fuse_runs({}, SPARSE, 0.5)["007"]] == ["c", "a", "d"]
    assert fuse_runs(DENSE, {"007": []}, 0.5).keys() == DENSE.keys()


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_a_weight_that_is_no_share(weight):
    with pytest.raises(XqgError, match="expected the share of the dense run, 0 to 1"):
        fuse_runs(DENSE, SPARSE, weight)


def test_the_plain_sum_by_hand():
    assert sum_runs([DENSE, SPARSE, DENSE])["007"] == [
        Hit("a", pytest.approx(1 + 0.5 + 1)),
        Hit("b", pytest.approx(0.5 + 0.5)),
        Hit("c", pytest.approx(1.0)),
        Hit("d", pytest.approx(0.0)),
    ]
    assert [hit.docid for hit in sum_runs([DENSE, SPARSE], hits=1)["007"]] == ["a"]
    assert sum_runs([DENSE]) is DENSE


def drawn(seed):
    """Runs with ties, single hits, equal scores and topics that one of them lacks."""
    draw = random.Random(seed)
    return {
        f"te-{topic}": sorted(
            (
                Hit(f"d{docid}", draw.choice([round(draw.gauss(0, 9), 2), 3.5]))
                for docid in draw.sample(range(40), draw.choice([1, 2, 25]))
            ),
            key=lambda hit: -hit.score,
        )
        for topic in draw.sample(range(12), 9)
    } | {"same": [Hit(f"d{docid}", 2.5) for docid in range(5)]}


def test_the_same_as_pyserini():
    from pyserini.fusion import interpolation, normalize
    from pyserini.trectools import RescoreMethod, TrecRun

    def stock(run):
        return TrecRun.from_list(
            [(qid, "Q0", docid, rank, score, "x") for qid, hits in run.items()
             for rank, (docid, score) in enumerate(hits, 1)])  # fmt: skip

    def check(found, fused):
        rows = [(qid, hit.docid, hit.score) for qid, hits in found.items() for hit in hits]
        expected = [(row[0], row[2], row[4]) for row in fused.to_numpy()]
        assert [row[:2] for row in rows] == [row[:2] for row in expected]
        assert [row[2] for row in rows] == pytest.approx([row[2] for row in expected], abs=1e-12)

    runs = [drawn(seed) for seed in range(3)]
    scaled = [stock(run).rescore(RescoreMethod.NORMALIZE) for run in runs]
    for weight in (0.0, 0.35, 1.0):
        for hits in (5, 1000):
            check(fuse_runs(*runs[:2], weight, hits), interpolation(scaled[:2], weight, k=hits))
    check(sum_runs(runs), normalize([stock(run) for run in runs]))
    check(sum_runs(runs, hits=4), normalize([stock(run) for run in runs], k=4))
