from __future__ import annotations

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.__main__ import main
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.max_sim import BestOfBlock, BestOfPassage, single_vectors
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import XqgSearcher
from pyserini_xqg.search.__main__ import main as search
from pyserini_xqg.search.searcher import open_searcher
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.store import Store
from pyserini_xqg.verify.__main__ import main as verify

MAX = Fusion("max-sim", 0.3)


@pytest.fixture
def store(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries], keep_queries=True)
    return Store([tmp_path / "store"])


def by_hand(store, topic, languages, alpha=0.3):
    """(1 - alpha) q.E(p) + alpha max_i q.E(q_i), by docid; q.E(p) where there are no queries."""
    (block,) = store.blocks(languages, keep=True)
    scores = {}
    for row, docid in enumerate(block.docids):
        of = [
            block.queries[code][sum(block.counts[code][:row]) : sum(block.counts[code][: row + 1])]
            for code in languages
        ]
        own, queries = float(block.passages[row] @ topic), np.concatenate(of)
        scores[docid] = (1 - alpha) * own + alpha * (queries @ topic).max() if len(queries) else own
    return scores


def test_a_vector_for_each_query():
    block = Block(
        ["a", "b", "c"],
        np.array([[1, 0], [0, 1], [1, 1]], np.float32),
        {},
        {"te": np.array([2, 0, 0]), "ar": np.array([1, 0, 1])},
        {
            "te": np.array([[2, 0], [4, 0]], np.float32),
            "ar": np.array([[0, 8], [0, 2]], np.float32),
        },
    )
    owners, vectors = single_vectors(block, np.float32(0.5))
    assert owners.tolist() == [0, 0, 0, 1, 2]
    assert vectors.tolist() == [[0.5, 4], [1.5, 0], [2.5, 0], [0, 1], [0.5, 1.5]]


@pytest.mark.parametrize("at_once", [1, 1 << 24])
def test_the_scores_of_a_block(store, monkeypatch, at_once):
    monkeypatch.setattr("pyserini_xqg.index.max_sim._AT_ONCE", at_once)
    (block,) = store.blocks(keep=True)
    topics = np.random.default_rng(1).normal(size=(5, 16)).astype(np.float32)
    best = BestOfBlock(block, topics)
    for languages in (["te"], ["ar", "te"], ["ar"]):
        for of in ([0, 1, 2, 3, 4], [0, 2], [3, 1]):
            for alpha in (0.0, 0.3, 1.0):
                scores = best.scores(languages, of, alpha)
                assert scores.dtype == np.float32
                expected = [
                    list(by_hand(store, topics[row], languages, alpha).values()) for row in of
                ]
                np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_block_without_queries_in_a_language():
    block = Block(["a"], np.ones((1, 2), np.float32), {}, {"te": np.array([0])},
                  {"te": np.empty((0, 2), np.float32)})  # fmt: skip
    found = BestOfBlock(block, np.array([[1, 2]], np.float32)).scores(["te"], [0], 0.5)
    assert found.tolist() == [[3.0]]


@pytest.mark.parametrize("languages", [["ar", "te"], ["te"]])
def test_the_formula_by_hand(store, tmp_path, languages):
    build_index(store, tmp_path / "m", MAX, languages=languages)
    searcher = XqgSearcher(tmp_path / "m")
    topic = searcher.query_encoder.encode("w3 w17")
    expected = by_hand(store, topic, languages)
    for k in (1, 7, 30, 99):
        hits = searcher.search("w3 w17", k=k)
        best = sorted(expected.values(), reverse=True)[:k]
        assert [float(hit.score) for hit in hits] == pytest.approx(best, rel=1e-5)
        assert len({hit.docid for hit in hits}) == min(k, 30)
        for hit in hits:
            assert expected[hit.docid] == pytest.approx(float(hit.score), rel=1e-5)
    manifest = read_manifest(tmp_path / "m")
    assert (manifest["kind"], manifest["method"], manifest["passages"]) == (
        "max-sim", "max-sim", 30,
    )  # fmt: skip
    queries = sum(store.queries[code] for code in languages)
    alone = 0 if "ar" in languages else 8  # every fourth passage has none in te
    assert manifest["rows"] == queries + alone


def test_routes_and_shards(store, tmp_path):
    build_routed(store, tmp_path / "r", MAX)
    build_index(store, tmp_path / "te", MAX, languages=["te"])
    build_index(store, tmp_path / "all", MAX)
    routed, te, everything = (XqgSearcher(tmp_path / name) for name in ("r", "te", "all"))
    for language, single in (("te", te), ("fi", everything)):
        found = routed.search("w3 w17", k=9, language=language)
        expected = [(hit.docid, hit.score) for hit in single.search("w3 w17", k=9)]
        assert [(hit.docid, hit.score) for hit in found] == expected
        dense = open_searcher(tmp_path / "r", device="cpu").search("w3 w17", 9, language=language)
        assert [(hit.docid, pytest.approx(hit.score)) for hit in dense] == expected


def test_stock_pyserini_with_its_max_passage(store, tmp_path):
    """Stock search returns rows; its writer keeps a docid once, at its best."""
    from pyserini.output_writer import OutputFormat, get_output_writer
    from pyserini.search.faiss import FaissSearcher

    build_index(store, tmp_path / "m", MAX)
    own = XqgSearcher(tmp_path / "m")
    stock = FaissSearcher(str(tmp_path / "m"), own.query_encoder)
    hits = stock.search("w3 w17", k=200)
    with get_output_writer(
        str(tmp_path / "run"), OutputFormat.TREC, use_max_passage=True, max_passage_hits=9,
        max_passage_delimiter=" ",
    ) as writer:  # fmt: skip
        writer.write("1", hits)
    found = [line.split()[2] for line in (tmp_path / "run").read_text().splitlines()]
    assert found == [hit.docid for hit in own.search("w3 w17", k=9)]


def test_hubs_do_not_hide_others():
    """A passage with many good rows: more rows are asked for until there are enough passages."""

    asked = []

    class Rows:
        def search(self, vectors, k):
            asked.append(k)
            return np.tile(-np.arange(k, dtype=np.float32), (len(vectors), 1)), np.tile(
                np.arange(k), (len(vectors), 1)
            )

    index = BestOfPassage(Rows(), ["hub"] * 90 + ["a", "b"])
    assert index.ntotal == 3
    scores, passages = index.search(np.zeros((2, 4), np.float32), 2)
    assert passages.tolist() == [[0, 1]] * 2
    assert scores.tolist() == [[0.0, -90.0]] * 2
    assert asked == [62, 92]
    scores, passages = index.search(np.zeros((1, 4), np.float32), 5)
    assert passages.tolist() == [[0, 1, 2, -1, -1]]
    assert scores[0, 3:].tolist() == [-np.inf] * 2


def test_the_command_and_its_checks(store, tmp_path, write_jsonl, capsys):
    words = ["--embeddings", str(tmp_path / "store"), "--method", "max-sim", "--alpha", "0.3"]
    main([*words, "--output", str(tmp_path / "m")])
    topics = write_jsonl("t.jsonl", [{"qid": "q1", "title": "w3"}])
    search(["--index", str(tmp_path / "m"), "--topics", str(topics), "--hits", "4",
            "--output", str(tmp_path / "run"), "--device", "cpu"])  # fmt: skip
    assert len((tmp_path / "run").read_text().splitlines()) == 4
    verify([str(tmp_path / "m"), "--device", "cpu"])
    assert "max-sim" in capsys.readouterr().out
    with open(tmp_path / "m/index", "r+b") as file:
        file.seek(45)
        file.write(b"\x01\x02")
    with pytest.raises(SystemExit):
        verify([str(tmp_path / "m"), "--device", "cpu"])


def test_a_killed_build_goes_on(store, tmp_path, monkeypatch):
    from pyserini_xqg.index.flat import FlatIndexWriter

    build_index(store, tmp_path / "whole", MAX)
    finish = FlatIndexWriter.finish
    monkeypatch.setattr(FlatIndexWriter, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_index(store, tmp_path / "m", MAX)
    monkeypatch.setattr(FlatIndexWriter, "finish", finish)
    build_index(store, tmp_path / "m", MAX)
    for name in ("index", "docid", "xqg.json"):
        assert (tmp_path / "m" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--type", "hnsw"], "makes a flat FAISS index: leave --to and --type out"),
        (["--to", "lucene-flat"], "makes a flat FAISS index: leave --to and --type out"),
        (["--weights", "te=2"], "leave --weights, --centre and --l2-norm out"),
        (["--alpha", "1.5"], "needs --alpha, the share of the best query, 0 to 1"),
        (["--alpha", "te=0.5"], "--alpha by language goes with --routed"),
    ],
)
def test_what_is_refused(store, tmp_path, options, message):
    words = ["--embeddings", str(tmp_path / "store"), "--output", str(tmp_path / "m"),
             "--method", "max-sim", "--alpha", "0.3", *options]  # fmt: skip
    with pytest.raises(XqgError, match=message):
        main(words)
    assert not (tmp_path / "m").exists()


def test_a_store_of_sums(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "sums", encoder, queries=[queries])
    with pytest.raises(XqgError, match="sums holds sums only.* encode again with xqg --keep-quer"):
        build_index(Store([tmp_path / "sums"]), tmp_path / "m", MAX)
