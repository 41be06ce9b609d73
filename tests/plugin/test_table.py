"""Each row of the plugin's table, which searcher opens which index: by what its README says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import pyserini_xqg
from pyserini_xqg.base.java import prepare

prepare()

from pyserini.output_writer import OutputFormat, get_output_writer  # noqa: E402
from pyserini.search.faiss import FaissSearcher  # noqa: E402
from pyserini.search.lucene import LuceneFlatDenseSearcher, LuceneHnswDenseSearcher  # noqa: E402

from pyserini_xqg.collection.runs import read_run  # noqa: E402
from pyserini_xqg.encode.corpus import encode_corpus  # noqa: E402
from pyserini_xqg.index.bm25 import build_bm25  # noqa: E402
from pyserini_xqg.index.bm25_routed import build_routed_bm25  # noqa: E402
from pyserini_xqg.index.build import build_index, build_routed  # noqa: E402
from pyserini_xqg.index.manifest import read_manifest  # noqa: E402
from pyserini_xqg.index.settings import Fusion  # noqa: E402
from pyserini_xqg.plugin import (  # noqa: E402
    Bm25Searcher,
    RoutedBm25Searcher,
    XqgQueryEncoder,
    XqgSearcher,
)
from pyserini_xqg.search.__main__ import main as search  # noqa: E402
from pyserini_xqg.search.searcher import open_searcher  # noqa: E402
from pyserini_xqg.store.store import Store  # noqa: E402

TOPICS = {"te-1": "w1 w2 w30", "te-2": "w3 w21 w40"}
FUSION = Fusion("mean", 0.5)


@pytest.fixture(scope="module")
def made(encoder, tmp_path_factory):
    """An index of every kind, of the same 90 passages."""
    folder = tmp_path_factory.mktemp("table")
    rows = [{"docid": f"d{i}", "text": f"w{i % 60} w{i % 7} w{i % 11 + 40}"} for i in range(90)]
    generated = [{"te": [f"w{i % 50}"] * (1 + i % 3), "ar": [f"w{i % 9}"]} for i in range(90)]
    queries = [
        {"docid": row["docid"], "generated_queries": of}
        for row, of in zip(rows, generated, strict=True)
    ]
    for name, lines in (("corpus", rows), ("queries", queries)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)
    topics = ({"qid": qid, "title": text, "lang": "te"} for qid, text in TOPICS.items())
    (folder / "t.jsonl").write_text("".join(json.dumps(topic) + "\n" for topic in topics))
    corpus, queries = folder / "corpus.jsonl", [folder / "queries.jsonl"]
    encode_corpus(corpus, folder / "store", encoder, queries=queries, keep_queries=True)
    store = Store([folder / "store"])
    for kind in ("flat", "hnsw", "IVF4,Flat"):
        build_index(store, folder / kind.partition(",")[0], FUSION, index_type=kind)
    build_index(store, folder / "max-sim", Fusion("max-sim", 0.3))
    build_routed(store, folder / "routed", FUSION)
    for kind in ("lucene-flat", "lucene-hnsw"):
        build_index(store, folder / kind, FUSION, to=kind)
        build_index(store, folder / f"unit-{kind}", Fusion("mean", 0.5, l2_norm=True), to=kind)
    build_bm25(corpus, folder / "bm25", queries=queries)
    build_routed_bm25(corpus, folder / "bm25-routed", queries=queries)
    return folder


def ours(folder, index, hits=9):
    """Docids and scores by topic, as ``pyserini_xqg.search`` finds them."""
    search(["--index", str(folder / index), "--topics", str(folder / "t.jsonl"), "--hits",
            str(hits), "--output", str(folder / "ours"), "--device", "cpu",
            "--overwrite"])  # fmt: skip
    return as_pairs(read_run(folder / "ours"))


def as_pairs(run):
    return {qid: [(hit.docid, float(hit.score)) for hit in hits] for qid, hits in run.items()}


def asked(searcher, **more):
    return {qid: searcher.search(text, k=9, **more) for qid, text in TOPICS.items()}


def assert_equal(found, expected):
    """The same hits, but that those of equal scores may change places."""
    assert found.keys() == expected.keys()
    for qid in expected:
        scores = [score for _, score in expected[qid]]
        assert [score for _, score in found[qid]] == pytest.approx(scores, abs=1e-4)
        last = pytest.approx(scores[-1], abs=1e-4)
        for (docid, score), (theirs, _) in zip(found[qid], expected[qid], strict=True):
            assert docid == theirs or scores.count(pytest.approx(score, abs=1e-4)) > 1 or (
                score == last
            )  # fmt: skip


def faiss_by_ours(folder):
    for index in ("flat", "hnsw", "IVF4"):
        found = asked(XqgSearcher(folder / index))
        assert_equal(as_pairs(found), ours(folder, index))


def faiss_by_encoder(folder):
    for index in ("flat", "hnsw", "IVF4"):
        path = str(folder / index)
        found = asked(FaissSearcher(path, XqgQueryEncoder(path)))
        assert_equal(as_pairs(found), ours(folder, index))


def faiss_by_name(folder):
    path = str(folder / "flat")
    assert_equal(as_pairs(asked(FaissSearcher(path, path))), ours(folder, "flat"))


def max_sim_by_ours(folder):
    found = asked(XqgSearcher(folder / "max-sim"))
    assert_equal(as_pairs(found), ours(folder, "max-sim"))


def max_sim_by_stock(folder):
    path = str(folder / "max-sim")
    searcher = FaissSearcher(path, XqgQueryEncoder(path))
    with get_output_writer(
        str(folder / "best"), OutputFormat.TREC, use_max_passage=True, max_passage_hits=9,
        max_passage_delimiter=" ",
    ) as writer:  # fmt: skip
        for qid, text in TOPICS.items():
            hits = searcher.search(text, k=searcher.num_docs)
            assert len({hit.docid for hit in hits}) < len(hits)
            writer.write(qid, hits)
    assert_equal(as_pairs(read_run(folder / "best")), ours(folder, "max-sim"))


def routed_by_ours(folder):
    searcher = XqgSearcher(folder / "routed")
    assert_equal(as_pairs(asked(searcher, language="te")), ours(folder, "routed"))
    texts, qids = list(TOPICS.values()), list(TOPICS)
    found = searcher.batch_search(texts, qids, k=9, languages=["te", "te"])
    assert_equal(as_pairs(found), ours(folder, "routed"))


def routed_by_stock(folder):
    found = asked(FaissSearcher(str(folder / "routed/te"), XqgQueryEncoder(folder / "routed")))
    assert_equal(as_pairs(found), ours(folder, "routed"))


def lucene_by_ours(folder):
    for index in ("lucene-flat", "lucene-hnsw"):
        found = asked(open_searcher(folder / index, device="cpu"))
        assert_equal(as_pairs(found), ours(folder, index))


def lucene_by_stock(folder):
    kinds = {"lucene-flat": LuceneFlatDenseSearcher, "lucene-hnsw": LuceneHnswDenseSearcher}
    for index, kind in kinds.items():
        path = folder / f"unit-{index}"
        assert not read_manifest(path)["stretched"]
        assert read_manifest(folder / index)["stretched"]
        encoder, searcher = XqgQueryEncoder(path), kind(str(path))
        found = {}
        for qid, text in TOPICS.items():
            vector = encoder.encode(text)
            length = float((vector**2).sum() ** 0.5)
            hits = searcher.search(json.dumps((vector / length).tolist()), 9)
            found[qid] = [(hit.docid, (2 * hit.score - 1) * length) for hit in hits]
        assert_equal(found, ours(folder, f"unit-{index}"))


def bm25_by_ours(folder):
    assert_equal(as_pairs(asked(Bm25Searcher(folder / "bm25"))), ours(folder, "bm25"))
    found = asked(RoutedBm25Searcher(folder / "bm25-routed"), language="te")
    assert_equal(as_pairs(found), ours(folder, "bm25-routed"))


#: What a row of the README holds in its first two columns, and what shows it: a function of this
#: file, or another file's test.
SHOWN = {
    ("FAISS, any", "`XqgSearcher(dir)`"): faiss_by_ours,
    ("FAISS, any", "`FaissSearcher(dir, XqgQueryEncoder(dir))`"): faiss_by_encoder,
    ("FAISS, any", "`FaissSearcher(dir, dir)`"): faiss_by_name,
    ("FAISS, any", "stock command"): (
        "test_plugin.py",
        "test_the_stock_search_command_gives_the_same_run",
    ),
    ("max-sim", "`XqgSearcher(dir)`"): max_sim_by_ours,
    ("max-sim", "stock `FaissSearcher`"): max_sim_by_stock,
    ("--routed", "`XqgSearcher(dir)`; `languages=`"): routed_by_ours,
    ("--routed", "`FaissSearcher(dir/te, XqgQueryEncoder(dir))`"): routed_by_stock,
    ("lucene-flat", "`open_searcher(dir)`"): lucene_by_ours,
    ("lucene-flat", "`LuceneFlatDenseSearcher(dir)`"): lucene_by_stock,
    ("--to bm25", "`Bm25Searcher(dir)`"): bm25_by_ours,
    ("--to bm25", "stock command"): (
        "test_lucene_command.py",
        "test_the_stock_command_gives_our_hits",
    ),
}


def rows():
    """The first two columns of the table, the first filled in where it stands for the one above."""
    text = (Path(pyserini_xqg.__file__).parent / "plugin/README.md").read_text(encoding="utf-8")
    table = text.split("| index made with |")[1].split("\n\n")[0].splitlines()[2:]
    index, found = "", []
    for line in table:
        first, second, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:4])
        index = first or index
        found.append((index, second))
    return found


def test_every_row_is_shown():
    listed = rows()
    assert len(listed) == len(SHOWN)
    for (index, opened), ((kind, by), shown) in zip(listed, SHOWN.items(), strict=True):
        assert kind in index
        assert by in opened
        if not callable(shown):
            file, name = shown
            assert f"def {name}(" in Path(__file__).with_name(file).read_text()


@pytest.mark.parametrize(
    "shown",
    [shown for shown in SHOWN.values() if callable(shown)],
    ids=lambda shown: shown.__name__,
)
def test_the_hits_are_those_of_our_command(made, shown):
    shown(made)
