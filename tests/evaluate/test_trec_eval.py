"""Against Pyserini's real trec_eval."""

from __future__ import annotations

import random

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.evaluate.trec import trec_eval
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.evaluate.trec.trec_eval import Asked, check_with_trec_eval, trec_eval_name

QRELS = {
    "007": {"a": 1, "b": 2, "c": 0, "d": -2},
    "te-1": {"b": 1},
    "small": {"a": 1},
    "none": {"c": 1},
}
RUN = {
    "007": [Hit("d", 3.0), Hit("b", 2.0), Hit("a", 2.0), Hit("c", 2.0)],
    "te-1": [Hit("a", 1.0), Hit("b", 1.00000001)],
    "small": [Hit("a", 2e-7), Hit("b", 1e-7)],
    "not judged": [Hit("a", 1.0)],
}


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("RR", Asked("recip_rank")),
        ("MRR@10", Asked("recip_rank", 10)),
        ("nDCG", Asked("ndcg")),
        ("nDCG@10", Asked("ndcg_cut.10")),
        ("Recall@100", Asked("recall.100")),
        ("P@5", Asked("P.5")),
        ("Success@1", Asked("success.1")),
        ("MAP", Asked("map")),
        ("AP@20", Asked("map_cut.20")),
        ("Rprec", Asked("Rprec")),
        ("recall_100", Asked("recall.100")),
        ("ndcg_cut.10", Asked("ndcg_cut.10")),
        ("recip_rank", Asked("recip_rank")),
        ("map", Asked("map")),
    ],
)
def test_names(name, asked):
    assert trec_eval_name(name) == asked


@pytest.mark.parametrize("name", ["Judged@10", "P(rel=2)@5", "nDCG(dcg='exp-log2')@10"])
def test_measures_that_it_does_not_have(name):
    with pytest.raises(XqgError, match="trec_eval cannot check .*--no-check"):
        trec_eval_name(name)


def test_several_cutoffs_of_one_measure():
    measures = [
        "R@1", "R@3", "recall_2", "P_1", "P@2", "nDCG", "ndcg_cut_10", "nDCG@1", "RR", "RR@1",
        "success_1", "Success@2", "map", "map_cut_1",
    ]  # fmt: skip
    scores = score_by_topic(QRELS, RUN, measures)
    # By hand: of 007's two relevant passages c, b, a tie behind d, and c is first among them.
    assert [scores[name]["007"] for name in ("R@1", "R@3", "recall_2", "RR")] == [0, 0.5, 0, 1 / 3]
    assert "agrees" in check_with_trec_eval(QRELS, {"run": RUN}, {"run": scores})
    scores["R@3"]["007"] = 0.0
    with pytest.raises(
        XqgError, match=r"R@3 of topic '007' of run: 0.000000 by ir_measures, 0.5000"
    ):
        check_with_trec_eval(QRELS, {"run": RUN}, {"run": scores})


def test_they_agree_with_ties_grades_and_topics_without_results():
    draw = random.Random(3)
    qrels, run = dict(QRELS), dict(RUN)
    for topic in range(30):
        docids = [f"d{i}" for i in range(25)]
        qrels[f"q{topic}"] = {d: draw.randrange(3) for d in draw.sample(docids, 8)} | {"e": 1}
        run[f"q{topic}"] = [Hit(d, draw.randrange(6)) for d in draw.sample(docids, 20)]
    measures = ["RR", "MRR@3", "nDCG", "nDCG@10", "R@5", "P@3", "Success@1", "AP", "AP@5"]
    scores = score_by_topic(qrels, run, [*measures, "Rprec"])
    assert "agrees to 4 places" in check_with_trec_eval(qrels, {"run": run}, {"run": scores})


def test_a_difference_names_measure_and_topic():
    scores = score_by_topic(QRELS, RUN, ["P@1"])
    scores["P@1"]["te-1"] = 0.9999
    with pytest.raises(
        XqgError, match=r"P@1 of topic 'te-1' of run: 0.999900 .* 1.0000 by trec_eval"
    ):
        check_with_trec_eval(QRELS, {"run": RUN}, {"run": scores})


@pytest.mark.parametrize("hits", [10, 100])  # the last two together, all together
def test_several_runs_are_told_apart(monkeypatch, hits):
    monkeypatch.setattr(trec_eval, "_HITS", hits)
    turned = {qid: [Hit(h.docid, -h.score) for h in of] for qid, of in RUN.items()}
    runs = {"one": RUN, "turned": turned, "small": {"small": RUN["small"]}}
    measures = ["RR", "nDCG"]
    scores = {name: score_by_topic(QRELS, run, measures) for name, run in runs.items()}
    assert scores["one"]["RR"] != scores["turned"]["RR"]
    assert "agrees" in check_with_trec_eval(QRELS, runs, scores)
    scores["turned"], scores["one"] = scores["one"], scores["turned"]
    with pytest.raises(XqgError, match=r"RR of topic '007' of one: 0.5.* by ir_m.*, 0.3333 by"):
        check_with_trec_eval(QRELS, runs, scores)


def test_the_mean_counts_topics_without_results(monkeypatch):
    scores = {"P@1": {"a": 1.0, "none": 0.0}}
    monkeypatch.setattr(trec_eval, "_run_trec_eval", lambda *_: {"P_1": {"0:a": 1.0, "all": 1.0}})
    with pytest.raises(XqgError, match="P@1 of topic 'all': 0.500000"):
        check_with_trec_eval({"a": {}, "none": {}}, {"run": {}}, {"run": scores})


def test_silence_is_a_score_of_zero(monkeypatch):
    scores = {"P@1": {"a": 1.0, "silent": 0.5}}
    monkeypatch.setattr(trec_eval, "_run_trec_eval", lambda *_: {"P_1": {"0:a": 1.0, "all": 0.75}})
    with pytest.raises(XqgError, match="P@1 of topic 'silent' of run: 0.500000 .* 0.0000"):
        check_with_trec_eval({"a": {}, "silent": {}}, {"run": {}}, {"run": scores})


def test_what_it_fails_with_is_said(monkeypatch):
    monkeypatch.setitem(trec_eval.NAMES, "P", (None, "no_such.{}"))
    with pytest.raises(XqgError, match=r"trec_eval failed: .*pyserini_xqg.doctor"):
        check_with_trec_eval(QRELS, {"run": RUN}, {"run": {"P@1": {}}})
