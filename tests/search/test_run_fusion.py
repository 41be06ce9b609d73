from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.search.run_fusion import fuse_runs, sum_runs

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
