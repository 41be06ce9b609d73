from __future__ import annotations

import csv
import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import read_collection
from pyserini_xqg.collection.runs import Hit, read_run
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.by_query import read_by_query
from pyserini_xqg.evaluate.trec.measures import (
    check_answers,
    file_name,
    parse_measures,
    score_by_topic,
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


@pytest.mark.parametrize("name", ["Sucess@1", "RR@x", "RR@", "", "RR@1.5", "RR@10(rel=1)"])
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


def test_names_of_files():
    assert [file_name(name) for name in ("Success@1", "nDCG@20", "AP(rel=2)")] == [
        "success-1", "ndcg-20", "ap-rel-2",
    ]  # fmt: skip


def test_the_command(files, topics, tmp_path, capsys):
    arguments = ["trec", "--topics", str(topics), "--qrels", str(files[0]), "--runs", str(files[1])]
    by_query = tmp_path / "scores.csv"
    main([*arguments, "--by-query", str(by_query), "--output", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "3 topics; one without results counts as 0" in said
    assert "run: 1 without results" in said
    assert "agrees to 4 places" in said
    with open(tmp_path / "out/rr-10.csv") as file:
        row = next(csv.DictReader(file))
    assert row["run"] == "run"
    found = [float(row[column]) for column in ("ru", "te", "macro", "mean")]
    assert found == [0.0, 75.0, 37.5, 50.0]
    scores = read_by_query(by_query)
    assert list(scores) == ["RR@10", "nDCG@10", "R@100", "P@10", "Success@1"]
    assert scores["RR@10"] == {"007": 1.0, "te-1": 0.5, "none": 0.0}


def test_what_the_command_refuses(files, topics, tmp_path, capsys):
    arguments = ["trec", "--topics", str(topics), "--qrels", str(files[0]), "--runs", str(files[1])]
    main([*arguments, "--no-check", "--measures", "Judged@10"])  # trec_eval does not have it
    assert "Not checked against trec_eval" in capsys.readouterr().out
    with pytest.raises(XqgError, match="cannot check 'Judged@10'.*--no-check"):
        main([*arguments, "--measures", "Judged@10"])
    with pytest.raises(XqgError, match="--languages: no judged topics in ja; there are ru te"):
        main([*arguments, "--languages", "te", "ja"])
    with pytest.raises(XqgError, match="leave it out with --by script"):
        main([*arguments, "--languages", "te", "--by", "script"])
    other = tmp_path / "other.run"
    other.write_text("other Q0 a 1 2.0 t\n")
    with pytest.raises(XqgError, match="other: answers none of the 3 judged topics"):
        main([*arguments, str(other), "--no-check"])
    with pytest.raises(XqgError, match="--by-query writes one run's scores; found 2 runs"):
        main([*arguments, str(other), "--by-query", str(tmp_path / "scores.csv")])


def test_a_picture_of_the_means():
    from matplotlib.figure import Figure

    from pyserini_xqg.evaluate.trec.scores import Scores, means_plot

    scores = {
        "plain.run": Scores({}, {}, 80.9, (77.8, 84.0)),
        "new.run": Scores({}, {}, 88.7, (86.0, 91.0)),
    }
    plot = means_plot("rr-10", "RR@10, %", scores)
    axes = Figure().add_subplot()
    plot.draw(axes)
    assert plot.name == "rr-10-means"
    assert [bar.get_width() for bar in axes.patches] == [80.9, 88.7]
    assert [text.get_text() for text in axes.texts] == ["80.9", "88.7"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(scores)
    assert axes.yaxis_inverted()  # the first stands above
