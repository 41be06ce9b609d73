"""The tools that score queries, and that measure what choosing and weighing them is worth."""

from __future__ import annotations

import csv
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from generate_models import make_t5

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.evaluate.from_store.retrieval import parts_of
from pyserini_xqg.filter.__main__ import main as filter_queries
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.store.store import Store
from pyserini_xqg.train.pairs import Pair

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    yield importlib.import_module("bench_selection"), importlib.import_module("score_queries")
    for name in ("bench_selection", "bench_methods", "score_queries"):
        sys.modules.pop(name, None)


@pytest.fixture
def made(tmp_path, encoder):
    """A store of more than a block, and its queries with cosines as the filter writes them."""
    count = BLOCK + 5
    passages = [{"docid": f"d{i}", "text": f"w{i % 50} w{(i * 7) % 50}"} for i in range(count)]
    queries = [
        {"docid": f"d{i}", "generated_queries": {
            "te": [f"w{i % 50}", " ", f"w{(i * 3) % 50} w1"][: i % 4],
            "ar": ["w2 w3", f"w{i % 9}"]}}
        for i in range(count) if i != 7
    ]  # fmt: skip
    for name, rows in (("corpus", passages), ("queries", queries)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus, queries = str(tmp_path / "corpus.jsonl"), str(tmp_path / "queries.jsonl")
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries], keep_queries=True)
    filter_queries(["--corpus", corpus, "--queries", queries, "--encoder", encoder.spec.model,
                    "--pooling", "cls",
                    "--similarity", "cosine", "--device", "cpu",
                    "--output", str(tmp_path / "scored.jsonl")])  # fmt: skip
    return tmp_path


def test_the_softmax_by_hand(tools):
    found = tools[0].softmax(np.array([0.0, np.log(3)]), 1.0)
    assert found == pytest.approx([0.5, 1.5])
    assert tools[0].softmax(np.array([0.0, 1e4]), 0.1).tolist() == [0, 2]
    assert tools[0].softmax(np.array([-5.0]), 0.1).tolist() == [1]


def test_weights_by_the_files_scores_are_those_by_relevance(tools, made):
    selection, scoring = tools
    store = Store([made / "store"])
    scores = scoring.FileScores(
        str(made / "corpus.jsonl"), str(made / "scored.jsonl"), made / "work"
    )
    by_scores = selection.weigh_by_scores(scores, 0.5)
    by_cosine = selection.weigh_by_relevance(0.5 * scores.spread)
    groups, changed = [], False
    for part in parts_of(store, keep=True):  # two blocks
        one, other = by_scores(part), by_cosine(part)
        for code in store.languages:
            np.testing.assert_allclose(one.sums[code], other.sums[code], atol=1e-3)
            assert one.counts[code] == pytest.approx(part.block.counts[code])
            changed |= not np.allclose(one.sums[code], part.block.sums[code], atol=1e-2)
            groups += [of for of in scores.of(part)[code] if len(of)]
    assert changed
    around = np.concatenate([of - of.mean() for of in groups])
    assert scores.spread == pytest.approx(np.sqrt((around**2).mean()))
    assert len(around) == sum(store.queries.values())


def test_files_that_do_not_fit(tools, made, write_jsonl):
    rows = [json.loads(line) for line in (made / "scored.jsonl").read_text().splitlines()]
    rows[2]["generated_queries"]["ar"].pop()
    rows[2]["scores"]["ar"].pop()
    other = write_jsonl("other.jsonl", rows)
    corpus, scoring = str(made / "corpus.jsonl"), tools[1]
    part = next(parts_of(Store([made / "store"]), keep=True))
    scores = scoring.FileScores(corpus, str(other), made / "a")
    with pytest.raises(XqgError, match="passage 'd2' has 1 queries in ar, and the store 2"):
        scores.of(part)
    with pytest.raises(XqgError, match="passage 'd0' has queries without scores in ar"):
        scoring.FileScores(corpus, str(made / "queries.jsonl"), made / "b")
    with pytest.raises(XqgError, match="--queries: give the --corpus of the store, too"):
        tools[0].main(["--embeddings", "s", "--topics", "t", "--qrels", "q", "--queries", "f"])


def test_the_command(tools, made, write_jsonl, capsys):
    topics = [{"qid": f"{code}-{i}", "title": f"w{i} w{(i * 3) % 50}", "lang": code}
              for i in range(8) for code in ("te", "ar")]  # fmt: skip
    path = write_jsonl("topics.jsonl", topics)
    (made / "qrels").write_text("".join(f"{t['qid']} 0 d{t['qid'][3:]} 1\n" for t in topics))
    tools[0].main([
        *("--embeddings", str(made / "store"), "--topics", str(path), "--device", "cpu"),
        *("--qrels", str(made / "qrels"), "--corpus", str(made / "corpus.jsonl")),
        *("--queries", str(made / "scored.jsonl"), "--keep", "1", "--output", str(made / "out")),
    ])  # fmt: skip
    said = capsys.readouterr().out
    assert "weighted by scores of scored.jsonl" in said
    with open(made / "out/selection.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["languages"], row["queries"]) for row in rows] == [
        (where, way) for where in ("routed", "all") for way in (
            "all queries alike", "kept by MMR", "kept by k-means", "weighted by relevance",
            "weighted by scores of scored.jsonl")
    ]  # fmt: skip
    for row in rows:
        alike = next(other for other in rows if other["languages"] == row["languages"])
        gain = float(row["RR@10, test"]) - float(alike["RR@10, test"])
        assert float(row["test - alike"]) == pytest.approx(gain, abs=0.01)


def test_likelihoods_by_hand(tools, tmp_path, write_jsonl):
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    torch.set_num_threads(1)
    generator = str(make_t5(tmp_path / "t5"))
    corpus = write_jsonl("c.jsonl", [{"docid": "1", "title": "London", "text": "w1 w2"}])
    texts = ["ఎవరు నది", "w3 w4 w5 w6"]
    queries = write_jsonl("q.jsonl", [{"docid": "1", "generated_queries": {"te": texts}, "x": 1}])
    words = ["--corpus", str(corpus), "--queries", str(queries), "--generator", generator,
             "--output", str(tmp_path / "scored.jsonl")]  # fmt: skip
    tools[1].main(words)
    with pytest.raises(XqgError, match="exists; give another name"):
        tools[1].main(words)
    row = json.loads((tmp_path / "scored.jsonl").read_text())
    assert (row["generated_queries"], row["x"]) == ({"te": texts}, 1)
    tokenizer = AutoTokenizer.from_pretrained(generator)
    model = AutoModelForSeq2SeqLM.from_pretrained(generator).eval()
    prompt = tokenizer(
        "Generate a Telugu question for this passage: London w1 w2", return_tensors="pt"
    )
    for text, score in zip(texts, row["scores"]["te"], strict=True):
        labels = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            loss = model(**prompt, labels=labels).loss  # the mean over the tokens
        assert score == pytest.approx(-float(loss), abs=1e-4)
    assert row["scores"]["te"][0] != row["scores"]["te"][1]


def test_a_generator_scores_what_it_has_not_seen(tools, tmp_path, write_jsonl, monkeypatch):
    scoring = tools[1]
    rows = [{"docid": f"d{i}", "title": f"t{i // 2}", "text": f"w{i}",
             "generated_queries": {"te": [f"w{i}", "w1"]}} for i in range(40)]  # fmt: skip
    learnt = {}

    def train(of, dev, folder):
        learnt[folder.name] = {row.passage.title for row in of}
        assert dev & learnt[folder.name] != learnt[folder.name]
        assert dev & learnt[folder.name]
        return folder.name

    monkeypatch.setattr(scoring, "train_tiny", train)
    numbers = {"generator-0": 0.5, "generator-1": 1.5}
    monkeypatch.setattr(
        scoring, "likelihoods", lambda name: lambda pairs: [numbers[name]] * len(pairs)
    )
    path = write_jsonl("both.jsonl", rows)
    scoring.score_by_tiny_generators(path, path, tmp_path / "out", tmp_path)
    assert learnt["generator-0"] | learnt["generator-1"] == {f"t{i}" for i in range(20)}
    assert learnt["generator-0"].isdisjoint(learnt["generator-1"])  # articles, not passages
    found = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    for row in found:
        (name,) = {name for name, number in numbers.items() if row["scores"]["te"] == [number] * 2}
        assert row["title"] not in learnt[name]
    assert len(found) == 40


def test_a_tiny_generator_is_trained(tools, tmp_path, monkeypatch):
    pytest.importorskip("accelerate")
    scoring = tools[1]
    monkeypatch.setattr(
        scoring, "TINY", {"max_steps": 30, "effective_batch_size": 16, "learning_rate": 1e-2,
                          "eval_steps": 15})  # fmt: skip
    rows = [
        Row(
            Passage(str(i), f"t{i}", f"w{i} w{i + 1}"),
            {"fi": ["kuka on w1", "missä on w2"]},
            {},
            {},
        )
        for i in range(12)
    ]
    score = scoring.likelihoods(scoring.train_tiny(rows, {"t0", "t1"}, tmp_path / "g"))
    usual, strange = score(
        [Pair("fi", "kuka on w1", "t20", "w3"), Pair("fi", "7 3 1", "t20", "w3")]
    )
    assert usual > strange + 1
