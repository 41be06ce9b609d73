from __future__ import annotations

import pytest

from pyserini_xqg.errors import XqgError
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.trec import score_by_topic


@pytest.fixture
def files(tmp_path):
    qrels, run = tmp_path / "qrels", tmp_path / "run"
    qrels.write_text("007 0 a 1\nte-1 0 b 1\nnone 0 c 1\n")
    run.write_text("007 Q0 a 1 2.0 t\n007 Q0 b 2 1.0 t\nte-1 Q0 a 1 2.0 t\nte-1 Q0 b 2 1.0 t\n")
    return qrels, run


def test_scores_by_hand(files):
    scores = score_by_topic(*files, ["Success@1", "RR@10"])
    assert scores == {
        "Success@1": {"007": 1.0, "te-1": 0.0, "none": 0.0},  # an unanswered topic counts as 0
        "RR@10": {"007": 1.0, "te-1": 0.5, "none": 0.0},
    }


def test_what_is_refused(files):
    with pytest.raises(XqgError, match="no such file"):
        score_by_topic(files[0], "nowhere", ["RR@10"])
    with pytest.raises(XqgError, match="unknown measure"):
        score_by_topic(*files, ["Sucess@1"])


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
