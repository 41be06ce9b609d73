from __future__ import annotations

import json
import random

import pytest
from stock import stock

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import digest
from pyserini_xqg.collection.judged import read_qrels
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.evaluate.xor.predictions import Question, simple_tokenizer
from pyserini_xqg.evaluate.xor.qrels import AnswerBearing, judge, pool, section

CORPUS = [
    {"docid": "blue", "title": "Danube", "text": 'The "Blue" river, 3.5 km long, rises here.'},
    {"docid": "danube", "title": "x", "text": "The Danube flows on."},
    {"docid": "never", "title": "1914", "text": "In no run: Danube."},
    {"docid": "year", "title": "x", "text": "Built in 1914, they say; yes."},
]
GOLD = [
    {"id": "te-1", "lang": " te", "answers": ["Danube"]},
    {"id": "te-2", "lang": "te", "answers": ["yes", "1914"]},
    {"id": "ar-1", "lang": "ar", "answers": ["no", "yes"]},  # not counted
    {"id": "ar-2", "lang": "ar", "answers": ["danube"]},  # case counts
    {"id": "ar-3", "lang": "ar", "answers": ["Danube"]},  # no run answers it
]
RUN = {
    "te-1": ["blue", "danube", "year"],
    "te-2": ["year", "blue", "danube"],
    "ar-1": ["year"],
    "ar-2": ["danube", "blue"],
}
OTHER = {"te-1": ["year"], "te-2": ["danube"], "ar-2": ["danube"]}


def as_run(ranked):
    return {
        qid: [Hit(docid, -rank) for rank, docid in enumerate(docids)]
        for qid, docids in ranked.items()
    }


def write_run(path, ranked):
    path.write_text(
        "".join(
            f"{qid} Q0 {hit.docid} {rank} {hit.score} t\n"
            for qid, hits in as_run(ranked).items()
            for rank, hit in enumerate(hits, 1)
        )
    )
    return path


@pytest.fixture
def files(tmp_path, write_jsonl):
    return [
        "--runs", str(write_run(tmp_path / "a.run", RUN)),
        str(write_run(tmp_path / "b.run", OTHER)),
        "--corpus", str(write_jsonl("corpus.jsonl", CORPUS)),
        "--gold", str(write_jsonl("gold.jsonl", GOLD)),
        "--tokenizer", "simple",
    ]  # fmt: skip


def test_the_rule_by_hand(files, tmp_path, capsys):
    main(["xor-qrels", *files, "--output", str(tmp_path / "q")])
    # Titles are not looked at, danube is not Danube, yes is no answer, nobody pools the third one.
    assert read_qrels(tmp_path / "q") == {"te-1": {"danube": 1}, "te-2": {"year": 1}}
    label = json.loads((tmp_path / "q.json").read_text())
    assert label["kind"] == "answer-bearing"
    assert label["tokenizer"] == "simple"
    assert label["label"] == "NOT OFFICIAL: not the official tokenizer"
    assert (label["depth"], len(label["runs"])) == (100, 2)
    assert (label["pooled"], label["answer-bearing"]) == (3 + 3 + 2, 2)
    assert label["questions without"] == ["ar-2", "ar-3"]
    assert label["digest"] == digest((tmp_path / "q").read_bytes())
    printed = capsys.readouterr().out
    assert "NOT OFFICIAL" in printed
    assert "answer-bearing, not judged relevant" in printed


def test_counts_by_language():
    questions = [Question(qid, qid[:2], ["x"]) for qid in ("te-1", "te-2", "ar-1")]
    questions.append(Question("ar-2", "ar", []))
    found = AnswerBearing(
        {"te-1": {"a": 1, "b": 1}, "ar-1": {"a": 1}}, {"te-1": 5, "te-2": 4, "ar-1": 2}
    )
    shown = section(found, questions, official=True)
    assert shown.caveat == ""
    assert shown.tables[0].rows == [["ar", 1, 2, 1, 0], ["te", 2, 9, 2, 1], ["all", 3, 11, 3, 1]]
    assert "multiply a mean over all by 0.6667" in shown.tables[0].note


@pytest.mark.parametrize("tokenize", [simple_tokenizer(), str.split])
def test_parity_with_the_rule_of_the_measure(tokenize):
    rng = random.Random(3)
    words = ["Blue", "blue", '"Blue"', "3.5", "km,", "1914.", "Ukraine's", "no"]
    passages = [Passage(f"d{i}", "1914", " ".join(rng.choices(words, k=4))) for i in range(60)]
    answers = ["Blue", '"Blue"', "3.5 km", "Ukraine's", "1914 .", "Ukraine ' s"]
    questions = [Question(f"q{i}", "te", rng.sample(answers, 2)) for i in range(30)]
    pooled = {q.qid: {p.docid for p in rng.sample(passages, 9)} for q in questions}
    found = judge(pooled, passages, questions, tokenize)
    expected = {
        (q.qid, p.docid)
        for q in questions
        for p in passages
        if p.docid in pooled[q.qid]
        and any(answer in " ".join(tokenize(p.text)) for answer in q.answers)
    }
    assert 10 < len(expected) < 200
    assert {(qid, docid) for qid, of in found.qrels.items() for docid in of} == expected


def test_the_pool_is_as_deep_as_asked():
    runs = [as_run(RUN), as_run(OTHER)]
    assert pool(runs, 1) == {
        "te-1": {"blue", "year"}, "te-2": {"year", "danube"}, "ar-1": {"year"}, "ar-2": {"danube"},
    }  # fmt: skip
    assert pool(runs, 2)["te-1"] == {"blue", "year", "danube"}


def test_stock_trec_eval_and_ours_agree(files, tmp_path):
    qrels, run = tmp_path / "q", files[1]
    main(["xor-qrels", *files, "--output", str(qrels)])
    scores = score_by_topic(qrels, run, ["P@2", "R@1", "R@2"])
    # te-1 has its one passage at rank 2, te-2 at rank 1.
    assert scores["P@2"] == {"te-1": 0.5, "te-2": 0.5}
    assert scores["R@1"] == {"te-1": 0.0, "te-2": 1.0}
    said = stock("pyserini.eval.trec_eval", "-c", "-m", "P.2", "-m", "recall.1,2", qrels, run)
    rows = [line.split() for line in said.splitlines()]
    theirs = {row[0]: float(row[2]) for row in rows if row[1:2] == ["all"]}
    ours = {name: sum(of.values()) / 2 for name, of in scores.items()}
    assert theirs == {"P_2": ours["P@2"], "recall_1": ours["R@1"], "recall_2": ours["R@2"]}


def test_what_is_refused(files, tmp_path, write_jsonl):
    out = tmp_path / "q"
    with pytest.raises(XqgError, match="--depth 0"):
        main(["xor-qrels", *files, "--output", str(out), "--depth", "0"])
    write_run(tmp_path / "a.run", {"te-9": ["blue"]})
    with pytest.raises(XqgError, match=r"1 topic\(s\) of the runs are not in the gold.*'te-9'"):
        main(["xor-qrels", *files, "--output", str(out)])
    write_run(tmp_path / "a.run", {"te-1": ["nowhere"]})
    with pytest.raises(
        XqgError, match=r"1 docid\(s\) of the runs are not in the corpus.*'nowhere'"
    ):
        main(["xor-qrels", *files, "--output", str(out)])
    assert not list(tmp_path.glob("q*"))
    out.write_text("mine")
    with pytest.raises(XqgError, match="q exists"):
        main(["xor-qrels", *files, "--output", str(out)])
    write_run(tmp_path / "a.run", RUN)
    main(["xor-qrels", *files, "--output", str(out), "--overwrite"])
    assert set(read_qrels(out)) == {"te-1", "te-2"}
