from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.collection.topics import Expansion, Topic
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.search.__main__ import main
from pyserini_xqg.search.joining import JOINS, Asking, mean_vectors, search_joined
from pyserini_xqg.search.searcher import open_searcher, search_topics
from pyserini_xqg.store.store import Store

PASSAGE = Expansion("passage", "en", " ".join(f"w{i}" for i in range(10, 50)))
PARAPHRASE = Expansion("paraphrase", "te", "w7 w8")
EXPANDED = Topic("te-1", "w1 w2", "te", (PASSAGE, PARAPHRASE))
PLAIN = Topic("007", "w3", "ar")


@pytest.fixture(scope="module")
def searchers(model_dir, tmp_path_factory):
    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.spec import EncoderSpec

    folder = tmp_path_factory.mktemp("joining")
    texts = {f"d{i}": " ".join(f"w{(i * 7 + j) % 60}" for j in range(9)) for i in range(30)}
    with open(folder / "corpus.jsonl", "w") as corpus, open(folder / "queries.jsonl", "w") as out:
        for i, (docid, text) in enumerate(texts.items()):
            print(json.dumps({"docid": docid, "text": text}), file=corpus)
            queries = {"te": [f"w{i} w{i + 3}"], "en": [f"w{i + 30}"]}
            print(json.dumps({"docid": docid, "generated_queries": queries}), file=out)
    encoder = Encoder(EncoderSpec(str(model_dir), pooling="cls", query_max_length=8), device="cpu")
    encode_corpus(folder / "corpus.jsonl", folder / "store", encoder,
                  queries=[folder / "queries.jsonl"])  # fmt: skip
    store = Store([folder / "store"])
    build_index(store, folder / "dense", Fusion("mean", 0.5))
    build_index(store, folder / "lucene", Fusion("mean", 0.5), to="lucene-flat")
    build_routed(store, folder / "routed", Fusion("mean", 0.5))
    build_bm25(folder / "corpus.jsonl", folder / "bm25", queries=[folder / "queries.jsonl"])
    return {
        name: open_searcher(folder / name, **({} if name == "bm25" else {"device": "cpu"}))
        for name in ("dense", "lucene", "routed", "bm25")
    }, folder


def ask(searcher, join, topics=(EXPANDED, PLAIN), **asking):
    return search_joined(searcher, topics, join, Asking(30, **asking))


def same(found, expected):
    assert [h.docid for h in found] == [h.docid for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], rel=1e-5)


@pytest.mark.parametrize("name", ["dense", "lucene", "routed", "bm25"])
@pytest.mark.parametrize("join", JOINS)
def test_a_topic_without_expansions_is_searched_as_it_is(searchers, name, join):
    searcher = searchers[0][name]
    if (name, join) == ("bm25", "mean"):
        with pytest.raises(XqgError, match="a BM25 index has none of; take text"):
            ask(searcher, join)
        return
    found = ask(searcher, join)
    assert list(found) == ["te-1", "007"]
    same(found["007"], searcher.search("w3", k=30, language="ar"))
    assert found["te-1"] != searcher.search("w1 w2", k=30, language="te")
    alone = ask(searcher, join, [PLAIN])
    same(alone["007"], found["007"])


def test_texts_of_bm25(searchers):
    searcher = searchers[0]["bm25"]
    found = ask(searcher, "text")["te-1"]
    same(found, searcher.search(f"w1 w2 {PASSAGE.text} w7 w8", k=30))
    total = dict.fromkeys((hit.docid for hit in found), 0.0)
    for text in ("w1 w2", PASSAGE.text, "w7 w8"):
        for hit in searcher.search(text, k=30):
            total[hit.docid] += hit.score
    assert {hit.docid: hit.score for hit in found} == pytest.approx(total, rel=1e-4)


def test_a_joined_text_may_be_as_long_as_a_passage(searchers):
    searcher = searchers[0]["dense"]
    encoder = searcher.encoder
    text = f"w1 w2 {PASSAGE.text} w7 w8"
    found = ask(searcher, "text")["te-1"]
    same(found, searcher.search(encoder.encode_queries([text], 256), 30))
    cut = searcher.search(encoder.encode_queries([text]), 30)
    assert {h.docid: h.score for h in found} != {h.docid: h.score for h in cut}


def test_the_mean_by_hand(searchers):
    encoder = searchers[0]["dense"].encoder
    own = encoder.encode_queries(["w1 w2"])[0]
    passage = encoder.encode_passages([PASSAGE.text])[0]
    other = encoder.encode_queries(["w7 w8"])[0]
    vectors = mean_vectors(encoder, [PLAIN, EXPANDED])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[1], (own + passage + other) / 3, rtol=1e-5)
    np.testing.assert_array_equal(vectors[0], encoder.encode_queries(["w3"])[0])
    weighted = mean_vectors(encoder, [EXPANDED], 0.8)[0]
    np.testing.assert_allclose(weighted, 0.8 * own + 0.1 * (passage + other), rtol=1e-5)
    searcher = searchers[0]["dense"]
    same(ask(searcher, "mean", weight=0.8)["te-1"], searcher.search(weighted[None], 30))


def test_the_mean_is_normalised_where_the_encoder_normalises(model_dir):
    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.spec import EncoderSpec

    spec = EncoderSpec(
        str(model_dir), pooling="cls", l2_norm=True, query_prefix="w5 ", passage_prefix="w6 "
    )
    encoder = Encoder(spec, device="cpu")
    (found,) = mean_vectors(encoder, [EXPANDED._replace(expansions=(PASSAGE,))])
    encoder.use(replace(spec, query_prefix="", passage_prefix=""))
    total = encoder.encode_queries(["w5 w1 w2"])[0]
    total = total + encoder.encode_passages([f"w6 {PASSAGE.text}"])[0]
    np.testing.assert_allclose(found, total / np.linalg.norm(total), rtol=1e-4)


class Listed:
    """A searcher whose hits are known by query; it keeps what it was asked."""

    def __init__(self, hits):
        self._hits, self.asked = hits, []

    def batch_search(self, queries, qids, k, threads, languages):
        self.asked += zip(qids, queries, languages, strict=True)
        return {
            qid: [Hit(docid, score) for docid, score in self._hits[query].items()][:k]
            for qid, query in zip(qids, queries, strict=True)
        }


def test_runs_by_hand():
    listed = Listed({
        "q": {"a": 30, "b": 20, "c": 10},  # 1, 0.5, 0
        "x": {"c": 8, "b": 6, "d": 4},  # 1, 0.5, 0
        "y": {"d": 2, "a": 1},  # 1, 0
        "p": {"e": 5.5},
    })  # fmt: skip
    topics = [
        Topic("1", "q", "te", (Expansion("passage", "en", "x"), Expansion("paraphrase", "", "y"))),
        Topic("2", "p", "fi"),
        Topic("3", "p", "fi", (Expansion("paraphrase", "fi", "x"),)),
    ]
    found = search_joined(listed, topics, "runs", Asking(3))
    assert found["1"] == [("a", 1), ("b", 1), ("c", 1)]  # of the union, d has 1, too: by docid
    assert found["2"] == [("e", 5.5)]
    assert {h.docid: h.score for h in found["3"]} == {"c": 1, "e": 1, "b": 0.5}
    assert listed.asked == [
        ("1", "q", "te"), ("2", "p", "fi"), ("3", "p", "fi"),
        ("1", "x", "en"), ("3", "x", "fi"), ("1", "y", "te"),
    ]  # fmt: skip
    found = search_joined(listed, topics[:1], "runs", Asking(10, weight=0.6))["1"]
    # The others' sums, c 1, d 1, b 0.5, a 0, are brought to 0..1 again.
    expected = {"a": 0.6, "b": 0.3 + 0.2, "c": 0.4, "d": 0.4}
    assert {h.docid: h.score for h in found} == pytest.approx(expected)


def test_each_run_takes_the_route_of_its_language(searchers):
    routed = searchers[0]["routed"]
    topic = Topic("1", "w1", "te", (Expansion("translation", "en", "w31"),))
    found = {h.docid: h.score for h in search_joined(routed, [topic], "runs", Asking(30))["1"]}
    expected = dict.fromkeys(found, 0.0)
    for text, language in (("w1", "te"), ("w31", "en")):
        hits = {h.docid: float(h.score) for h in routed.search(text, k=30, language=language)}
        low, high = min(hits.values()), max(hits.values())
        for docid, score in hits.items():
            expected[docid] += (score - low) / (high - low)
    assert found == pytest.approx(expected, abs=1e-5)


def test_long_expansions_of_bm25(searchers):
    """Lucene takes 1,024 terms in a query unless it is told otherwise."""
    text = " ".join(f"word{i}suffix{i}" for i in range(400))
    topic = Topic("1", "w1 w2", "te", (Expansion("passage", "en", text),))
    found = search_joined(searchers[0]["bm25"], [topic], "text", Asking(5))
    same(found["1"][:2], searchers[0]["bm25"].search("w1 w2", k=2))


def test_the_command(searchers, write_jsonl, tmp_path):
    searcher, folder = searchers[0]["dense"], searchers[1]
    rows = [{"qid": "te-1", "title": "w1 w2", "lang": "te", "expansions": [
                {"kind": item.kind, "lang": item.language, "text": item.text}
                for item in EXPANDED.expansions]},
            {"qid": "007", "title": "w3", "lang": "ar"}]  # fmt: skip
    topics = write_jsonl("t.jsonl", rows)
    for join in (None, *JOINS):
        options = ["--join", join] if join else []
        main(["--index", str(folder / "dense"), "--topics", str(topics), "--output",
              str(tmp_path / "run"), "--device", "cpu", "--overwrite", *options])  # fmt: skip
        run = [line.split() for line in (tmp_path / "run").read_text().splitlines()]
        plain = searcher.search("w1 w2", k=30)
        expected = ask(searcher, join)["te-1"] if join else plain
        assert [row[2] for row in run if row[0] == "te-1"] == [h.docid for h in expected]
    asked = dict(search_topics(searcher, [EXPANDED], hits=30, join="mean", query_weight=1.0))
    same(asked["te-1"], searcher.search("w1 w2", k=30))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--query-weight", "0.5"], "goes with --join mean and --join runs"),
        (["--join", "text", "--query-weight", "0.5"], "goes with --join mean and --join runs"),
        (["--join", "runs", "--query-weight", "1.5"], "expected the topic's own share, 0 to 1"),
        (
            ["--join", "runs"],
            r"no topic of \S+t\.jsonl has expansions; write them with .*pyserini_xqg\.expand",
        ),
    ],
)
def test_options_that_do_not_fit(searchers, write_jsonl, tmp_path, options, message):
    topics = write_jsonl("t.jsonl", [{"qid": "1", "title": "w1"}])
    with pytest.raises(XqgError, match=message):
        main(["--index", str(searchers[1] / "dense"), "--topics", str(topics), "--output",
              str(tmp_path / "run"), *options])  # fmt: skip
