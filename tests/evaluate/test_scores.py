from __future__ import annotations

import pytest

from pyserini_xqg.collection.judged import clusters_of, read_collection
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.trec.scores import scores_of, scores_table

BY_TOPIC = {"te-1": 1.0, "te-2": 0.5, "fi-1": 0.0, "en-1": 0.0}


@pytest.fixture
def collection(write_jsonl, tmp_path):
    """Two topics in Telugu, one in Finnish, one in English."""
    topics = write_jsonl(
        "topics.jsonl", [{"qid": qid, "title": "?", "lang": qid[:2]} for qid in BY_TOPIC]
    )
    qrels = tmp_path / "qrels"
    qrels.write_text("te-1 0 a 1\nte-2 0 b 1\nfi-1 0 a 1\nen-1 0 b 1\n")
    return read_collection(topics, qrels)


def test_by_hand(collection):
    scores = scores_of(collection, BY_TOPIC, ["te", "fi"])
    assert scores.by_group == {"en": 0.0, "fi": 0.0, "te": 75.0}
    assert scores.mean == 50.0  # of three topics, not of two languages
    pooled = {"te-1": 100.0, "te-2": 50.0, "fi-1": 0.0}
    assert collection.clusters == clusters_of(collection.qrels)
    assert scores.interval == bootstrap_interval(pooled, collection.clusters)
    assert scores.intervals["te"] == bootstrap_interval(
        {"te-1": 100.0, "te-2": 50.0}, {"te-1": "a", "te-2": "b"}
    )


def test_by_script(collection):
    scores = scores_of(collection, BY_TOPIC, ["Latn", "Telu"], "script")
    assert scores.by_group == {"Latn": 0.0, "Telu": 75.0}
    assert scores.mean == 37.5


def test_the_table(collection):
    scores = scores_of(collection, BY_TOPIC, ["te", "fi"])
    table = scores_table("RR@10, %", "rr-10", {"mine": scores}, collection, ["te", "fi"])
    assert table.columns == ["run", "mean", "low", "high", "macro", "te", "fi", "en"]
    interval = (f"{end:.1f}" for end in scores.interval)
    assert table.shown() == [
        ["mine", "50.0", *interval, "37.5", "75.0", "0.0", "0.0"],
        ["n", "3", "", "", "", "2", "1", "1"],
    ]
    assert table.cells()[0][5].interval == "50-100"
    assert "te (Telugu), fi (Finnish)" in table.note
    equal = scores_of(collection, BY_TOPIC, ["en", "fi"])
    table = scores_table("RR@10, %", "rr-10", {"mine": equal}, collection, ["en", "fi"])
    assert table.columns == ["run", "mean", "low", "high", "en", "fi", "te"]  # macro is the same
