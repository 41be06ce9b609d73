from __future__ import annotations

import csv

import pytest

from pyserini_xqg.errors import XqgError
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.collection import read_collection
from pyserini_xqg.evaluate.scores import file_name, score_run, scores_table


@pytest.fixture
def files(write_jsonl, tmp_path):
    """Two topics in Telugu, one in Finnish, one in English; the last is not answered."""
    topics = write_jsonl("topics.jsonl", [
        {"qid": qid, "title": "?", "lang": qid[:2]} for qid in ("te-1", "te-2", "fi-1", "en-1")
    ])  # fmt: skip
    qrels, run = tmp_path / "qrels", tmp_path / "mine.run"
    qrels.write_text("te-1 0 a 1\nte-2 0 b 1\nfi-1 0 a 1\nen-1 0 b 1\n")
    run.write_text("te-1 Q0 a 1 2.0 t\nte-2 Q0 a 1 2.0 t\nte-2 Q0 b 2 1.0 t\nfi-1 Q0 b 1 2.0 t\n")
    return topics, qrels, run


def test_by_hand(files):
    collection = read_collection(*files[:2])
    scores = score_run(collection, files[2], "RR@10", ["te", "fi"])
    assert scores.by_language == {"en": 0.0, "fi": 0.0, "te": 75.0}
    assert scores.mean == 50.0  # of three topics, not of two languages
    pooled = {"te-1": 100.0, "te-2": 50.0, "fi-1": 0.0}
    assert scores.interval == bootstrap_interval(pooled, collection.clusters)
    assert scores.intervals["te"] == bootstrap_interval(
        {"te-1": 100.0, "te-2": 50.0}, {"te-1": "a", "te-2": "b"}
    )


def test_the_table(files):
    collection = read_collection(*files[:2])
    scores = score_run(collection, files[2], "RR@10", ["te", "fi"])
    table = scores_table("RR@10, %", "rr-10", {"mine": scores}, collection, ["te", "fi"])
    assert table.columns == ["run", "te", "fi", "mean", "low", "high", "en"]
    assert table.shown() == [
        ["mine", "75.0", "0.0", "50.0", *(f"{end:.1f}" for end in scores.interval), "0.0"],
        ["n", "2", "1", "3", "", "", "1"],
    ]
    assert table.cells()[0][1].interval == "50-100"
    assert "te (Telugu), fi (Finnish)" in table.note


def test_the_command(files, tmp_path, capsys):
    topics, qrels, run = map(str, files)
    command = ["scores", "--topics", topics, "--qrels", qrels, "--runs", run]
    main([*command, "--measures", "Success@1", "RR@10", "--output", str(tmp_path / "out")])
    assert "Success@1, %" in capsys.readouterr().out
    with open(tmp_path / "out/success-1.csv") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["run"] == "mine"
    assert [float(rows[0][code]) for code in ("en", "fi", "te", "mean")] == [0.0, 0.0, 50.0, 25.0]
    with pytest.raises(XqgError, match="--languages ja: no judged topics; there are en, fi, te"):
        main([*command, "--languages", "te", "ja"])
    files[2].write_text("other Q0 a 1 2.0 t\n")
    with pytest.raises(XqgError, match="mine: answers none of the 4 judged topics"):
        main(command)


def test_names_of_files():
    assert [file_name(name) for name in ("Success@1", "nDCG@20", "AP(rel=2)")] == [
        "success-1", "ndcg-20", "ap-rel-2",
    ]  # fmt: skip
