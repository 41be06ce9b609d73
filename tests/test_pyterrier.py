"""Our transformers in pipelines of PyTerrier itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

pt = pytest.importorskip("pyterrier", reason="needs the extra pyterrier")

import pandas as pd  # noqa: E402
from generate_models import make_t5  # noqa: E402

from pyserini_xqg.base.errors import XqgError  # noqa: E402
from pyserini_xqg.collection.topics import Topic  # noqa: E402
from pyserini_xqg.encode.corpus import encode_corpus  # noqa: E402
from pyserini_xqg.encoder.spec import EncoderSpec  # noqa: E402
from pyserini_xqg.index.bm25 import build_bm25  # noqa: E402
from pyserini_xqg.index.build import build_index, build_routed  # noqa: E402
from pyserini_xqg.index.settings import Fusion  # noqa: E402
from pyserini_xqg.pyterrier import XqgGenerator, XqgRetriever, XqgStore  # noqa: E402
from pyserini_xqg.search.searcher import open_searcher, search_topics  # noqa: E402
from pyserini_xqg.store.store import Store  # noqa: E402

QUERIES = pd.DataFrame(
    [("1", "w3 w4", "te"), ("2", "w40", "ar"), ("3", "w3 w4", "ar"), ("007", "w9", "fi")],
    columns=["qid", "query", "lang"],
)
DOCUMENTS = [
    {"docno": "d1", "title": "w1", "text": "w2 w3 w4", "url": "u"},
    {"docno": "12#3", "title": "w5", "text": "w6 w7", "url": "u"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pt")


@pytest.fixture
def routed(corpus_and_queries, encoder, folder):
    corpus, queries = corpus_and_queries
    path = folder / "routed"
    if not path.exists():
        encode_corpus(corpus, folder / "store", encoder, queries=[queries])
        build_routed(Store([folder / "store"]), path, Fusion("mean", 0.5))
    return path


def test_the_retriever_gives_the_searchers_hits(routed):
    found = XqgRetriever(routed, num_results=7)(QUERIES)
    topics = [Topic(*row) for row in QUERIES.itertuples(index=False)]
    expected = [
        (qid, topic.text, hit.docid, rank)
        for topic, (qid, hits) in zip(
            topics, search_topics(open_searcher(routed), topics, hits=7), strict=True
        )
        for rank, hit in enumerate(hits)
    ]
    assert [*found[["qid", "query", "docno", "rank"]].itertuples(index=False)] == expected
    by_qid = dict([*found.groupby("qid")["docno"].agg(list).items()])
    assert by_qid["1"] != by_qid["3"]  # one text, two routes


def test_pipelines(routed, corpus_and_queries, folder):
    corpus, queries = corpus_and_queries
    if not (folder / "bm25").exists():
        build_bm25(corpus, folder / "bm25", queries=[queries])
    dense = XqgRetriever(routed, num_results=20)
    sparse = XqgRetriever(folder / "bm25", num_results=20)
    both = (0.7 * dense + 0.3 * sparse) % 5
    found = both(QUERIES)
    assert (found.groupby("qid").size() <= 5).all()
    one, other = (run(QUERIES).set_index(["qid", "docno"])["score"] for run in (dense, sparse))
    for row in found.itertuples():
        key = (row.qid, row.docno)
        assert row.score == pytest.approx(0.7 * one.get(key, 0) + 0.3 * other.get(key, 0), abs=1e-4)
    qrels = pd.DataFrame([("1", "d0", 1), ("2", "d7", 1)], columns=["qid", "docno", "label"])
    table = pt.Experiment(
        [dense, sparse, both], QUERIES, qrels, ["recip_rank"], names=["d", "s", "both"]
    )
    assert list(table["name"]) == ["d", "s", "both"]
    cut = dense % 3
    assert cut(QUERIES)["docno"].tolist() == dense(QUERIES).query("rank < 3")["docno"].tolist()
    fused = cut.compile()
    assert isinstance(fused, XqgRetriever)
    assert fused.num_results == 3


def test_no_queries_no_rows(routed):
    found = XqgRetriever(routed)(QUERIES.head(0))
    assert list(found.columns) == ["qid", "query", "docno", "score", "rank"]
    assert len(found) == 0


def cls_of(model_dir):
    return EncoderSpec(str(model_dir), pooling="cls")


def test_generation_and_the_store(folder, model_dir, tmp_path):
    generator = XqgGenerator(
        str(make_t5(tmp_path / "t5")), ["te", "fi"], num_queries=2, max_new_tokens=6
    )
    frame = pd.DataFrame(DOCUMENTS)
    out = generator(frame)
    assert list(out.columns) == [*frame.columns, "generated_queries", "querygen"]
    for queries, text in zip(out["generated_queries"], out["querygen"], strict=True):
        assert [*queries] == ["te", "fi"]
        assert all(len(of) == 2 for of in queries.values())
        assert text == "\n".join([*queries["te"], *queries["fi"]])
    store = XqgStore(tmp_path / "s", cls_of(model_dir), fields=["title", "text"])
    (generator >> store).index(DOCUMENTS)
    made = Store([tmp_path / "s"])
    assert (made.passages, made.languages) == (2, ["fi", "te"])
    assert sum(made.queries.values()) == sum(
        bool(text.strip()) for of in out["generated_queries"] for q in of.values() for text in q
    )
    retriever = store.build(tmp_path / "i", Fusion("mean", 0.4), num_results=1)
    (best,) = open_searcher(tmp_path / "i").search("w6 w7", 1, language="te")
    asked = pd.DataFrame([("1", "w6 w7", "te")], columns=["qid", "query", "lang"])
    assert (retriever % 1)(asked)["docno"].tolist() == [best.docid]
    appended = XqgGenerator(generator._generator.settings.generator, ["te"], num_queries=1,
                            append=True, max_new_tokens=6)(frame)  # fmt: skip
    assert appended["text"][0].startswith("w2 w3 w4\n")
    assert generator(frame.head(0)).columns.tolist() == list(out.columns)


def test_doc2querys_own_column_needs_a_language(model_dir, tmp_path):
    rows = [{"docno": "a", "text": "w1", "querygen": "w2\nw3\n"}]
    with pytest.raises(XqgError, match="language of 'querygen' is not known"):
        XqgStore(tmp_path / "s", cls_of(model_dir)).index(rows)
    XqgStore(tmp_path / "s", cls_of(model_dir), language="en").index(rows)
    assert Store([tmp_path / "s"]).queries == {"en": 2}
    with pytest.raises(XqgError, match="document 1: expected docno and text"):
        XqgStore(tmp_path / "t", cls_of(model_dir)).index([{"docid": "a"}])
    build_index(Store([tmp_path / "s"]), tmp_path / "i", Fusion("mean", 0.4))


def test_no_java_is_started_for_a_dense_index(routed):
    """So that PyTerrier can start its own, with Terrier in it."""
    script = (
        "import sys\nfrom pyserini_xqg.pyterrier import XqgRetriever\n"
        f"XqgRetriever({str(routed)!r}).search('w1')\n"
        "import pyterrier as pt\nassert not pt.java.started()\nassert 'jnius' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
