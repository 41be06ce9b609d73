from __future__ import annotations

import json

import pytest

from pyserini_xqg.errors import XqgError
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.by_query import read_by_query
from pyserini_xqg.evaluate.collection import read_collection
from pyserini_xqg.evaluate.runs import Hit, read_run
from pyserini_xqg.evaluate.trec import (
    check_answers,
    parse_measures,
    score_by_topic,
    score_table,
    trec_order,
)


@pytest.fixture
def files(tmp_path):
    qrels, run = tmp_path / "qrels", tmp_path / "run"
    qrels.write_text("none 0 c 1\n007 0 a 1\nte-1 0 b 1\n")
    run.write_text("007 Q0 a 1 2.0 t\n007 Q0 b 2 1.0 t\nte-1 Q0 a 1 2.0 t\nte-1 Q0 b 2 1.0 t\n")
    return qrels, run


@pytest.fixture
def topics(tmp_path):
    path = tmp_path / "topics.jsonl"
    rows = [("007", "te"), ("te-1", "te"), ("none", "ru"), ("not judged", "ru")]
    path.write_text(
        "".join(
            json.dumps({"qid": qid.replace(" ", "-"), "title": "?", "lang": lang}) + "\n"
            for qid, lang in rows
        )
    )
    return path


def test_scores_by_hand(files):
    scores = score_by_topic(*files, ["Success@1", "RR@10"])
    assert scores == {
        "Success@1": {"007": 1.0, "te-1": 0.0, "none": 0.0},  # an unanswered topic counts as 0
        "RR@10": {"007": 1.0, "te-1": 0.5, "none": 0.0},
    }


def test_aliases_keep_the_name_that_was_given(files):
    scores = score_by_topic(*files, ["MRR@10", "RR@10", "Recall@2", "NDCG@10", "MAP"])
    assert list(scores) == ["MRR@10", "RR@10", "Recall@2", "NDCG@10", "MAP"]
    assert scores["MRR@10"] == scores["RR@10"] == {"007": 1.0, "te-1": 0.5, "none": 0.0}
    assert scores["Recall@2"]["te-1"] == 1.0
    assert all(list(of) == ["none", "007", "te-1"] for of in scores.values())


@pytest.mark.parametrize("measure", ["RR@10", "RR", "P@1", "Success@1", "nDCG@1", "AP@1"])
def test_ties_are_broken_as_trec_eval_does(measure):
    """By docid, the larger first, whatever the ranks; and scores have single precision."""
    for scores in ((1.0, 1.0), (1.0, 1.00000001), (1.00000001, 1.0)):
        run = {"t": [Hit("b", scores[0]), Hit("a", scores[1])]}
        first, second = ({"t": {docid: 1}} for docid in "ba")
        assert score_by_topic(first, run, [measure])[measure]["t"] == 1.0
        assert score_by_topic(second, run, [measure])[measure]["t"] < 1.0


def test_trec_order():
    hits = [Hit("é", 1.0), Hit("z", 1.0), Hit("10", 0.5), Hit("9", 0.5), Hit("x", 1e300)]
    assert [hit.docid for hit in trec_order(hits)] == ["x", "é", "z", "9", "10"]
    assert trec_order([]) == []


def test_what_is_refused(files):
    with pytest.raises(XqgError, match="no such file"):
        score_by_topic(files[0], "nowhere", ["RR@10"])
    with pytest.raises(XqgError, match="install ir-measures"):
        score_by_topic(*files, ["alpha_nDCG@5"])


@pytest.mark.parametrize("name", ["Sucess@1", "RR@x", "RR@", "", "P", "RR@1.5", "RR@10(rel=1)"])
def test_unknown_measures(name):
    with pytest.raises(XqgError, match=r"unknown measure .*expected one such as RR@10"):
        parse_measures([name])


def test_a_cutoff_that_would_end_the_process():
    with pytest.raises(XqgError, match="measure 'Success@0': expected a cutoff of at least 1"):
        parse_measures(["Success@0"])


def test_a_run_for_other_topics(files, topics):
    collection = read_collection(topics, files[0])
    check_answers(read_run(files[1]), collection, "mine")
    with pytest.raises(
        XqgError, match="mine: answers none of the 3 judged topics; found topic '7', .* '007'"
    ):
        check_answers({"7": [Hit("a", 1.0)]}, collection, "mine")
    with pytest.raises(XqgError, match="answers none"):
        check_answers({"007": []}, collection, "mine")


def test_the_table(files, topics):
    collection = read_collection(topics, files[0])
    table = score_table(collection, score_by_topic(*files, ["RR@10", "P@1"]))
    assert table.columns == ["lang", "n", "RR@10", "P@1"]
    assert table.rows == [
        ["ru", 1, 0.0, 0.0],
        ["te", 2, 0.75, 0.5],
        ["mean of 2", 3, 0.375, 0.25],
        ["all topics", 3, 0.5, pytest.approx(1 / 3)],
    ]
    by_script = score_table(collection, score_by_topic(*files, ["RR@10"]), "script")
    assert [row[0] for row in by_script.rows] == ["Cyrl", "Telu", "mean of 2", "all topics"]


def test_the_command(files, topics, tmp_path, capsys):
    arguments = ["trec", "--topics", str(topics), "--qrels", str(files[0]), "--run", str(files[1])]
    by_query = tmp_path / "scores.csv"
    main([*arguments, "--by-query", str(by_query), "--output", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "3 topics; 1 without results, which count as 0" in said
    assert "agrees to 4 places" in said
    assert (tmp_path / "out" / "trec-by-lang.csv").is_file()
    scores = read_by_query(by_query)
    assert list(scores) == ["RR@10", "nDCG@10", "R@100", "P@10", "Success@1"]
    assert scores["RR@10"] == {"007": 1.0, "te-1": 0.5, "none": 0.0}
    main([*arguments, "--no-check", "--measures", "Judged@10"])  # trec_eval does not have it
    assert "Not checked against trec_eval" in capsys.readouterr().out
    with pytest.raises(XqgError, match="cannot check 'Judged@10'.*--no-check"):
        main([*arguments, "--measures", "Judged@10"])
