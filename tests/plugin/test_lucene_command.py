"""``run pyserini.search.lucene`` over indexes of ours: no n-grams and no analyzer to name."""

from __future__ import annotations

import pytest
from stock import stock, stock_command

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.bm25_routed import build_routed_bm25
from pyserini_xqg.search.searcher import open_searcher

TEXTS = {"te-1": "లండన్ జనాభా ఎంత", "en-2": "town by a lake", "long": "w1 town " * 600}


def search(start, index, topics, output):
    start("pyserini.search.lucene", "--index", index, "--topics", topics, "--output", output,
          "--bm25", "--hits", 10)  # fmt: skip


@pytest.fixture
def collection(write_jsonl):
    rows = [
        {"docid": "a", "title": "Lahti", "text": "A town by a lake."},
        {"docid": "b", "title": "London", "text": "A large town."},
        {"docid": "c", "title": "", "text": "w1 w2"},
    ]
    queries = [{"docid": "b", "generated_queries": {"te": ["లండన్ జనాభా ఎంత?"]}}]
    return write_jsonl("c.jsonl", rows), write_jsonl("q.jsonl", queries)


@pytest.mark.parametrize(
    ("build", "start"), [(build_bm25, stock_command), (build_routed_bm25, stock)]
)
def test_the_stock_command_gives_our_hits(build, start, collection, tmp_path):
    corpus, queries = collection
    build(corpus, tmp_path / "i", queries=[queries])
    topics = tmp_path / "topics.tsv"
    topics.write_text("".join(f"{qid}\t{text}\n" for qid, text in TEXTS.items()))
    search(start, tmp_path / "i", topics, tmp_path / "run")
    rows = [line.split() for line in (tmp_path / "run").read_text().splitlines()]
    searcher = open_searcher(tmp_path / "i")
    for qid, text in TEXTS.items():
        expected = [(hit.docid, f"{hit.score:.6f}") for hit in searcher.search(text)]
        assert [(row[2], row[4]) for row in rows if row[0] == qid] == expected
    assert {row[0] for row in rows} == {*TEXTS}


def test_a_dense_index_is_named(write_jsonl, encoder, tmp_path):
    from pyserini_xqg.encode.corpus import encode_corpus
    from pyserini_xqg.index.settings import Fusion

    corpus = write_jsonl("c.jsonl", [{"docid": "a", "text": "w1"}])
    encode_corpus(corpus, tmp_path / "i", encoder, to_faiss=Fusion())
    (tmp_path / "t.tsv").write_text("1\tw1\n")
    with pytest.raises(XqgError, match="is a faiss index; expected one of --to bm25"):
        search(stock, tmp_path / "i", tmp_path / "t.tsv", tmp_path / "run")
