"""Indexes that stock Pyserini wrote, searched by ours: the hits are Pyserini's own."""

from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.java import prepare

prepare()

from pyserini.encode import AutoQueryEncoder  # noqa: E402
from pyserini.encode.optional import FaissRepresentationWriter  # noqa: E402
from pyserini.index.lucene import LuceneIndexer  # noqa: E402
from pyserini.search.faiss import FaissSearcher  # noqa: E402
from pyserini.search.lucene import LuceneSearcher  # noqa: E402

from pyserini_xqg.collection.runs import read_run  # noqa: E402
from pyserini_xqg.encode.corpus import encode_corpus  # noqa: E402
from pyserini_xqg.hybrid import main  # noqa: E402
from pyserini_xqg.index.bm25 import build_bm25  # noqa: E402
from pyserini_xqg.index.build import build_index  # noqa: E402
from pyserini_xqg.index.settings import Fusion  # noqa: E402
from pyserini_xqg.search import stock  # noqa: E402
from pyserini_xqg.search.__main__ import main as search_command  # noqa: E402
from pyserini_xqg.search.searcher import open_searcher  # noqa: E402
from pyserini_xqg.search.stock import Bm25Settings, open_stock_bm25  # noqa: E402
from pyserini_xqg.store.store import Store  # noqa: E402

TOPICS = {"te-1": "w3 w4 towns", "te-2": "w20 w21 w9"}


def hits_of(found):
    return [(hit.docid, pytest.approx(hit.score, abs=1e-5)) for hit in found]


@pytest.fixture
def indexes(corpus_and_queries, encoder, tmp_path, write_jsonl):
    """Stock ones, a FAISS folder and a Lucene index, and ours of the same passages."""
    corpus, queries = corpus_and_queries
    rows = [json.loads(line) for line in corpus.read_text().splitlines()]
    lucene = LuceneIndexer(args=["-index", str(tmp_path / "lucene"), "-storeDocvectors",
                                 "-storeRaw"])  # fmt: skip
    for row in rows:
        lucene.add_doc_dict({"id": row["docid"], "contents": f"{row['text']} town"})
    lucene.close()
    writer = FaissRepresentationWriter(str(tmp_path / "faiss"), dimension=16)
    with writer:
        vectors = encoder.encode_passages([row["text"] for row in rows])
        writer.write({"id": [row["docid"] for row in rows], "vector": vectors})
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    build_index(Store([tmp_path / "store"]), tmp_path / "ours", Fusion("mean", 0.4))
    build_bm25(corpus, tmp_path / "bm25", queries=[queries])
    write_jsonl("t.jsonl", [{"qid": qid, "title": text} for qid, text in TOPICS.items()])
    return tmp_path


def hybrid(folder, dense, sparse, *more):
    main(["--dense", str(folder / dense), "--sparse", str(folder / sparse), "--topics",
          str(folder / "t.jsonl"), "--output", str(folder / "run"), "--hits", "10",
          "--device", "cpu", "--overwrite", *map(str, more)])  # fmt: skip
    return read_run(folder / "run")


@pytest.mark.parametrize("settings", [{}, {"k1": 1.2, "b": 0.75}, {"rm3": True}])
def test_a_lucene_index_gives_pyserinis_hits(indexes, settings):
    own = open_stock_bm25(indexes / "lucene", Bm25Settings(**settings))
    searcher = LuceneSearcher(str(indexes / "lucene"))
    searcher.set_bm25(settings.get("k1", 0.9), settings.get("b", 0.4))
    if "rm3" in settings:
        searcher.set_rm3()
    for text in TOPICS.values():
        expected = [(hit.docid, hit.score) for hit in searcher.search(text)]
        assert hits_of(own.search(text)) == expected
        assert len(expected) == 10


def test_a_faiss_folder_gives_pyserinis_hits(indexes, model_dir):
    found = hybrid(indexes, "faiss", "bm25", "--encoder", model_dir, "--pooling", "mean",
                   "--weight", 1)  # fmt: skip
    query_encoder = AutoQueryEncoder(str(model_dir), device="cpu", pooling="mean")
    searcher = FaissSearcher(str(indexes / "faiss"), query_encoder)
    for qid, text in TOPICS.items():
        ours = [hit.docid for hit in found[qid]][:5]
        assert ours == [hit.docid for hit in searcher.search(text, 10)][:5]


def test_both_at_once_and_beside_ours(indexes, model_dir, capsys):
    encoder = ["--encoder", model_dir, "--pooling", "cls", "--weight", 0.5]
    both = hybrid(indexes, "faiss", "lucene", *encoder)
    assert {*both} == {*TOPICS}
    said = capsys.readouterr().err
    assert "lucene is searched with BM25 (k1 0.9, b 0.4) and the analyzer of 'en'" in said
    assert "faiss does not say what encoded it" in said
    assert hybrid(indexes, "ours", "lucene", "--weight", 0.5) != both
    assert hybrid(indexes, "ours", "lucene", "--weight", 0.5, "--k1", 2, "--b", 0.1)


def search(folder, index, *more):
    search_command(["--index", str(folder / index), "--topics", str(folder / "t.jsonl"),
                    "--output", str(folder / "run"), "--hits", "10", "--device", "cpu",
                    "--overwrite", *map(str, more)])  # fmt: skip
    return {qid: [(hit.docid, hit.score) for hit in hits]
            for qid, hits in read_run(folder / "run").items()}  # fmt: skip


def near(run):
    return {qid: [(docid, pytest.approx(score, abs=1e-4)) for docid, score in hits]
            for qid, hits in run.items()}  # fmt: skip


@pytest.mark.parametrize(
    "more", [[], ["--k1", 1.2, "--b", 0.75], ["--rm3"], ["--rm3", "--threads", 2]]
)
def test_search_takes_a_lucene_index(indexes, more):
    searcher = LuceneSearcher(str(indexes / "lucene"))
    searcher.set_bm25(*([1.2, 0.75] if "--k1" in more else [0.9, 0.4]))
    if "--rm3" in more:
        searcher.set_rm3()
    expected = {qid: [(hit.docid, hit.score) for hit in searcher.search(text)]
                for qid, text in TOPICS.items()}  # fmt: skip
    assert search(indexes, "lucene", *more) == near(expected)


def test_an_analyzer_by_language(indexes, write_jsonl):
    """The stems of Finnish, in a stock index that was built with them, as in stock's hits."""
    texts = {
        "1": "talossa asuu kissoja",
        "2": "kissan talo",
        "3": "veneillä järvelle",
        "4": "kissa",
    }
    lucene = LuceneIndexer(args=["-index", str(indexes / "fi"), "-language", "fi"])
    for docid, text in texts.items():
        lucene.add_doc_dict({"id": docid, "contents": text})
    lucene.close()
    topics = {"1": "kissojen talot", "2": "järvien veneet"}
    write_jsonl("t.jsonl", [{"qid": qid, "title": text} for qid, text in topics.items()])
    searcher = LuceneSearcher(str(indexes / "fi"))
    searcher.set_language("fi")
    expected = {qid: [(hit.docid, hit.score) for hit in searcher.search(text)]
                for qid, text in topics.items()}  # fmt: skip
    assert sorted(docid for docid, _ in expected["1"]) == ["1", "2"]
    assert search(indexes, "fi", "--language", "fi") == near(expected)
    assert search(indexes, "fi", "--analyzer", "fi") == near(expected)
    assert search(indexes, "fi") != near(expected)


def test_search_takes_a_faiss_folder(indexes, model_dir, capsys):
    found = search(indexes, "faiss", "--encoder", model_dir, "--pooling", "mean")
    query_encoder = AutoQueryEncoder(str(model_dir), device="cpu", pooling="mean")
    searcher = FaissSearcher(str(indexes / "faiss"), query_encoder)
    expected = {qid: [(hit.docid, hit.score) for hit in searcher.search(text)]
                for qid, text in TOPICS.items()}  # fmt: skip
    assert found == near(expected)
    assert "is taken at your word (pooling mean" in capsys.readouterr().err


def test_search_by_a_prebuilt_name(indexes, monkeypatch, tmp_path):
    from pyserini import util

    expected = search(indexes, "lucene")
    asked = []
    monkeypatch.setattr(
        util, "download_prebuilt_index",
        lambda name, verbose: asked.append(name) or str(indexes / "lucene"),
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    search_command(["--index", "cacm", "--topics", "t.jsonl", "--output", "named", "--hits", "10"])
    assert asked == ["cacm"]
    assert near(expected) == {qid: [(hit.docid, hit.score) for hit in hits]
                              for qid, hits in read_run(tmp_path / "named").items()}  # fmt: skip


def test_what_search_does_not_take(indexes, model_dir):
    for index, more, message in (
        ("faiss", [], "faiss does not say what encoded it: give --encoder"),
        ("faiss", ["--encoder", model_dir, "--rm3"], "--rm3 is not for a FAISS index such as"),
        ("faiss", ["--encoder", model_dir, "--pooling", "cls", "--ef-search", 9], "--ef-search"),
        ("lucene", ["--pooling", "cls"], "--pooling is not for a Lucene index such as .*lucene"),
        ("lucene", ["--encoder", model_dir], "lucene is a Lucene index: leave --encoder out"),
        ("lucene", ["--nprobe", 3], "--nprobe"),
        ("lucene", ["--detect-language"], "not routed: leave --detect-language out"),
        ("ours", ["--k1", 1], "--k1 is for indexes of stock Pyserini; .*ours records its own"),
        ("store", [], "is no xQG index"),
    ):
        with pytest.raises(XqgError, match=message):
            search(indexes, index, *more)
    with pytest.raises(XqgError, match="lucene is of stock Pyserini, .*: search it alone"):
        search(indexes, "ours", "--index", indexes / "ours", indexes / "lucene")
    with pytest.raises(XqgError, match="of stock Pyserini .* commands search and hybrid take it"):
        open_searcher(indexes / "lucene")


def test_what_does_not_fit_is_refused(indexes, model_dir, write_large):
    for dense, sparse, more, message in (
        ("lucene", "faiss", [], "swap the two"),
        ("faiss", "lucene", [], "does not say what encoded it: give --encoder"),
        ("ours", "bm25", ["--k1", 1], "--k1 is for indexes of stock Pyserini; .* records its own"),
        ("ours", "bm25", ["--pooling", "cls"], "--pooling is for indexes of stock"),
        ("ours", "lucene", ["--analyzer", "xx"], "'xx': Anserini has none for this language"),
        ("store", "lucene", [], "is no xQG index"),
    ):
        with pytest.raises(XqgError, match=message):
            hybrid(indexes, dense, sparse, "--weight", 0.5, *more)


def test_dense_lucene_indexes_have_no_words(indexes):
    build_index(Store([indexes / "store"]), indexes / "vectors", Fusion("mean", 0.4),
                to="lucene-flat")  # fmt: skip
    (indexes / "vectors/xqg.json").unlink()
    with pytest.raises(XqgError, match="without words in 'contents'"):
        hybrid(indexes, "ours", "vectors", "--weight", 0.5)


def test_prebuilt_names(indexes, monkeypatch):
    """The folder that Pyserini fetches them into; one line where it cannot."""
    from pyserini import util

    monkeypatch.setattr(
        util, "download_prebuilt_index", lambda name, verbose: str(indexes / "lucene")
    )
    assert stock.at_hand("cacm") == str(indexes / "lucene")
    assert stock.at_hand(str(indexes / "ours")) == str(indexes / "ours")

    def offline(name, verbose):
        raise ValueError("Unable to download prebuilt index at any known URLs.")

    monkeypatch.setattr(util, "download_prebuilt_index", offline)
    with pytest.raises(XqgError, match="no such folder: cacm; and as one of .*: Unable to"):
        stock.at_hand("cacm")
    monkeypatch.undo()
    with pytest.raises(XqgError, match="Unrecognized index name no-such-index"):
        stock.at_hand("no-such-index")
