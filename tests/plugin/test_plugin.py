"""Against real Pyserini: its classes, its commands, its fusion and its trec_eval."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import faiss
import numpy as np
import pytest
from stock import stock, stock_command

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.build import build_index
from pyserini_xqg.index.maps_file import load_maps
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import (
    XqgDocumentEncoder,
    XqgQueryEncoder,
    XqgRepresentationWriter,
    XqgSearcher,
    register,
)
from pyserini_xqg.search.__main__ import main as search
from pyserini_xqg.store.store import Store

TOPICS = {"te-007": "w1 w2", "ar-1": "w3", "ar-2": "w4 w5"}


def run_of(path):
    run = {}
    for line in path.read_text().splitlines():
        qid, _, docid, _, score, _ = line.split()
        run.setdefault(qid, []).append((docid, float(score)))
    return run


@pytest.fixture
def index(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    build_index(Store([tmp_path / "store"]), tmp_path / "xqg", Fusion("paper", 0.01))
    return tmp_path / "xqg"


@pytest.fixture
def topics(tmp_path):
    path = tmp_path / "topics.tsv"
    path.write_text("".join(f"{qid}\t{text}\n" for qid, text in TOPICS.items()))
    return path


@pytest.fixture(scope="module")
def model(model_dir, tmp_path_factory):
    """The model, with what says how it pools."""
    folder = shutil.copytree(model_dir, tmp_path_factory.mktemp("said") / "model")
    (folder / "xqg_encoder.json").write_text('{"pooling": "cls"}')
    return str(folder)


def test_the_document_encoder_is_the_stores_path(index, corpus_and_queries, model, model_dir):
    corpus = [json.loads(line) for line in corpus_and_queries[0].read_text().splitlines()]
    queries = {
        row["docid"]: row["generated_queries"]
        for row in map(json.loads, corpus_and_queries[1].read_text().splitlines())
    }
    encoder = XqgDocumentEncoder(model, device="cpu", fusion=Fusion("paper", 0.01))
    fused = encoder.encode(
        texts=[row["text"] for row in corpus],
        queries=[queries[row["docid"]] for row in corpus],
        max_length=256, fp16=False, add_sep=False,
    )  # fmt: skip
    stored = faiss.read_index(str(index / "index"))
    assert fused == pytest.approx(stored.reconstruct_n(0, stored.ntotal), abs=1e-5)
    with pytest.raises(XqgError, match="pooling 'mean': .* which says 'cls'; leave it out"):
        XqgDocumentEncoder(model, device="cpu", pooling="mean", l2_norm=True)
    with pytest.raises(XqgError, match="pools is not known"):  # what stock passes is its default
        XqgDocumentEncoder(str(model_dir), device="cpu", pooling="cls")
    plain = encoder.encode(["w1"])
    assert plain == pytest.approx(encoder.encoder.encode_passages(["w1"]), abs=1e-6)
    with pytest.raises(XqgError, match="1 mappings of queries for 2 texts"):
        encoder.encode(["w1", "w2"], queries=[{}])
    with pytest.raises(XqgError, match="give --method"):
        XqgDocumentEncoder(model, device="cpu").encode(["w1"], queries=[{"te": ["w2"]}])


def test_the_document_encoder_smooths(model, tmp_path, encoder, corpus_and_queries):
    """What it gives is what the index of the same maps holds, and passages may have no queries."""
    import faiss

    encode_corpus(corpus_and_queries[0], tmp_path / "s", encoder, queries=[corpus_and_queries[1]])
    fusion = Fusion("mean", 0.5, mu=2)
    build_index(Store([tmp_path / "s"]), tmp_path / "i", fusion)
    rows = list(map(json.loads, corpus_and_queries[0].read_text().splitlines()))
    queries = {
        row["docid"]: row["generated_queries"]
        for row in map(json.loads, corpus_and_queries[1].read_text().splitlines())
    }
    document_encoder = XqgDocumentEncoder(model, device="cpu", fusion=fusion, maps=tmp_path / "i")
    docids, texts = [row["docid"] for row in rows], [row["text"] for row in rows]
    of = [queries[docid] for docid in docids]
    fused = document_encoder.encode(texts, queries=of, docids=docids)
    stored = faiss.read_index(str(tmp_path / "i/index")).reconstruct_n(0, len(docids))
    assert fused == pytest.approx(stored, abs=1e-4)
    later = document_encoder.encode(["w1 w2"])
    passage, maps = encoder.encode_passages(["w1 w2"]), document_encoder.maps
    expected = 0.5 * passage + 0.25 * sum(maps.predict(code, passage) for code in ("ar", "te"))
    assert later == pytest.approx(expected, abs=1e-4)
    with XqgRepresentationWriter(tmp_path / "j", document_encoder) as writer:
        writer.write({"id": docids, "vector": fused, "text": texts, "queries": of})
    assert load_maps(tmp_path / "j").languages == ["ar", "te"]
    with pytest.raises(XqgError, match="queries in 'fi', which there is no map for; there are ar"):
        document_encoder.encode(["w1"], queries=[{"fi": ["w2"]}])
    for more in ({"fusion": fusion}, {"maps": tmp_path / "i"}):
        with pytest.raises(XqgError, match="maps: the two go together, as in fusion=Fusion"):
            XqgDocumentEncoder(model, device="cpu", **more)
    with pytest.raises(XqgError, match="expected a Fusion"):
        XqgDocumentEncoder(model, device="cpu", fusion="mean")


def test_the_query_encoder_in_a_stock_searcher(index):
    from pyserini.search.faiss import FaissSearcher

    ours, theirs = XqgSearcher(index), FaissSearcher(str(index), XqgQueryEncoder(index))
    for text in TOPICS.values():
        a, b = ours.search(text, k=5), theirs.search(text, k=5)
        assert [hit.docid for hit in a] == [hit.docid for hit in b]
        assert [hit.score for hit in a] == pytest.approx([hit.score for hit in b], rel=1e-5)


def test_the_query_encoder_on_a_model_folder(model_dir, tmp_path, encoder):
    with pytest.raises(XqgError, match="use --encoder-class auto"):
        XqgQueryEncoder(model_dir)
    shutil.copytree(model_dir, tmp_path / "m")
    (tmp_path / "m/xqg_encoder.json").write_text('{"pooling": "cls"}')
    vector = XqgQueryEncoder(tmp_path / "m").encode("w1")
    assert vector == pytest.approx(encoder.encode_queries(["w1"])[0], abs=1e-6)
    assert vector.shape == (16,)
    for differs in ({"prefix": "q:"}, {"pooling": "mean"}, {"l2_norm": True}, {"fp16": True},
                    {"tokenizer_name": "bert"}):  # fmt: skip
        with pytest.raises(XqgError, match=f"{next(iter(differs))} .*: the encoder's specificat"):
            XqgQueryEncoder(tmp_path / "m", **differs)
    XqgQueryEncoder(tmp_path / "m", pooling="cls", l2_norm=False, fp16=False, prefix=None)


def test_what_stock_pyserini_guesses_from_a_name_is_nobodys_wish(index, tmp_path):
    with pytest.raises(XqgError, match="pooling 'mean': .* which says 'cls'; leave it out"):
        XqgQueryEncoder(index, pooling="mean")
    index.rename(tmp_path / "contriever-xqg")
    XqgQueryEncoder(tmp_path / "contriever-xqg", pooling="mean", l2_norm=False)


def test_the_writer_leaves_a_whole_index_or_none(model, tmp_path, encoder):
    document_encoder = XqgDocumentEncoder(model, device="cpu", fusion=Fusion("mean", 0.5))
    texts, queries = ["w1", "w2 w3"], [{"te": ["w4"]}, {"te": []}]
    batch = {
        "id": ["007", "12#3"], "text": texts, "queries": queries,
        "vector": document_encoder.encode(texts, queries=queries),
    }  # fmt: skip
    with XqgRepresentationWriter(tmp_path / "i", document_encoder) as writer:
        writer.write(batch, ["text"])
    searcher = XqgSearcher(tmp_path / "i")
    assert searcher.docids == ["007", "12#3"]
    vectors = searcher.index.reconstruct_n(0, 2)
    assert vectors == pytest.approx(batch["vector"], abs=1e-6)

    with (
        pytest.raises(XqgError, match="duplicate docid '007'"),
        XqgRepresentationWriter(tmp_path / "j", document_encoder) as writer,
    ):
        writer.write(batch)
        writer.write(batch)
    assert not (tmp_path / "j").exists()
    with (
        pytest.raises(XqgError, match="passage '007' holds NaN"),
        XqgRepresentationWriter(tmp_path / "j", document_encoder) as writer,
    ):
        writer.write({**batch, "vector": np.full((2, 16), np.nan)})
    assert not (tmp_path / "j").exists()
    with XqgRepresentationWriter(tmp_path / "j", document_encoder) as writer:
        writer.write(batch)
    assert XqgSearcher(tmp_path / "j").num_docs == 2


def test_register():
    from pyserini.encode import document_encoder_class_map, query_encoder_class_map

    register()
    assert document_encoder_class_map["xqg"] is XqgDocumentEncoder
    assert query_encoder_class_map["xqg"] is XqgQueryEncoder


def test_an_index_is_its_own_encoder_by_name(index):
    from pyserini.search.faiss import FaissSearcher

    register()
    register()  # and once more changes nothing
    stock, ours = FaissSearcher(str(index), str(index)), XqgSearcher(index)
    assert type(stock.query_encoder) is XqgQueryEncoder
    for text in TOPICS.values():
        found, expected = stock.search(text, k=5), ours.search(text, k=5)
        assert [hit.docid for hit in found] == [hit.docid for hit in expected]
    with pytest.raises(Exception, match="nowhere"):  # stock Pyserini's own way, as before
        FaissSearcher(str(index), "/nowhere/at-all")


def test_importing_us_is_enough_for_that(index):
    """In a process of its own, where nobody calls register."""
    script = f"""
import pyserini_xqg
from pyserini.search.faiss import FaissSearcher
hits = FaissSearcher({str(index)!r}, {str(index)!r}).search("w1 w2", k=5)
print([(hit.docid, round(float(hit.score), 4)) for hit in hits])
try:
    FaissSearcher({str(index)!r}, "/nowhere/at-all")
except Exception as error:
    print("nowhere" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [
        (hit.docid, round(float(hit.score), 4)) for hit in XqgSearcher(index).search("w1 w2", 5)
    ]
    assert done.stdout.splitlines()[-2:] == [str(found), "True"]


def test_a_searcher_as_pyserinis_users_know_it(index, corpus_and_queries, tmp_path):
    corpus, queries = corpus_and_queries
    build_bm25(corpus, tmp_path / "bm25", queries=[queries])
    searcher = XqgSearcher(index, base_index=tmp_path / "bm25")
    assert (searcher.num_docs, searcher.dimension, len(searcher.docids)) == (30, 16, 30)
    hits = searcher.batch_search(["w1", "w2"], ["a", "b"], k=3, threads=2)
    assert {qid: [hit.docid for hit in of] for qid, of in hits.items()} == {
        qid: [hit.docid for hit in searcher.search(text, 3)]
        for qid, text in (("a", "w1"), ("b", "w2"))
    }
    for hit in hits["a"]:
        assert json.loads(searcher.doc(hit.docid).raw())["id"] == hit.docid
    assert searcher.doc("none") is None
    assert set(searcher.batch_doc(["007", "12#3"], 1)) == {"007", "12#3"}
    with pytest.raises(XqgError, match="holds vectors, not texts: for these give base_index="):
        XqgSearcher(index).doc("007")
    with pytest.raises(XqgError, match="is a faiss index; expected a BM25 one"):
        XqgSearcher(index, base_index=index)


def test_the_stock_search_command_gives_the_same_run(index, topics, tmp_path):
    search(["--index", str(index), "--topics", str(topics), "--output", str(tmp_path / "ours"),
            "--hits", "30"])  # fmt: skip
    ours = run_of(tmp_path / "ours")
    assert {"-1018987027025691298", "007", "12#3"} <= {docid for docid, _ in ours["ar-1"]}
    common = ("pyserini.search.faiss", "--index", index, "--topics", topics, "--encoder", index,
              "--encoder-class", "xqg", "--hits", 30)  # fmt: skip
    stock_command(*common, "--output", tmp_path / "stock")
    stock(*common, "--output", tmp_path / "batch", "--threads", 2, "--batch-size", 2)
    for name in ("stock", "batch"):
        theirs = run_of(tmp_path / name)
        assert set(theirs) == set(TOPICS)
        for qid in TOPICS:
            assert [docid for docid, _ in theirs[qid]] == [docid for docid, _ in ours[qid]]
            assert [score for _, score in theirs[qid]] == pytest.approx(
                [score for _, score in ours[qid]], rel=1e-5
            )


def test_pseudo_relevance_feedback(index, topics, tmp_path):
    common = ("pyserini.search.faiss", "--index", index, "--topics", topics, "--encoder", index,
              "--encoder-class", "xqg", "--hits", 30)  # fmt: skip
    stock(*common, "--output", tmp_path / "plain")
    stock(*common, "--output", tmp_path / "prf", "--prf-depth", 3, "--prf-method", "rocchio")
    plain, prf = run_of(tmp_path / "plain"), run_of(tmp_path / "prf")
    assert set(prf) == set(TOPICS)
    assert prf != plain
    # Rocchio by hand for one topic: 0.9 q + 0.1 mean of the best three
    searcher = XqgSearcher(index)
    query = searcher.query_encoder.encode(TOPICS["ar-1"])
    rows = [searcher.docids.index(docid) for docid, _ in plain["ar-1"][:3]]
    moved = 0.9 * query + 0.1 * np.mean([searcher.index.reconstruct(row) for row in rows], axis=0)
    expected = [hit.docid for hit in searcher.search(moved[None], k=30)]
    assert [docid for docid, _ in prf["ar-1"]] == expected


def test_the_stock_encode_command(corpus_and_queries, model_dir, tmp_path, encoder):
    shutil.copytree(model_dir, tmp_path / "m")
    (tmp_path / "m/xqg_encoder.json").write_text('{"pooling": "mean"}')
    stock("pyserini.encode", "input", "--corpus", corpus_and_queries[0], "--fields", "text",
          "output", "--embeddings", tmp_path / "i", "--to-faiss",
          "encoder", "--encoder", tmp_path / "m", "--encoder-class", "xqg", "--fields", "text",
          "--device", "cpu", "--dimension", 16)  # fmt: skip
    index = faiss.read_index(str(tmp_path / "i/index"))
    texts = [json.loads(line)["text"] for line in corpus_and_queries[0].read_text().splitlines()]
    expected = XqgDocumentEncoder(str(tmp_path / "m"), device="cpu").encode(texts)
    assert index.reconstruct_n(0, 30) == pytest.approx(expected, abs=1e-5)


def test_fusion_and_trec_eval(index, corpus_and_queries, topics, tmp_path):
    corpus, queries = corpus_and_queries
    build_bm25(corpus, tmp_path / "bm25", queries=[queries])
    for name, path in (("dense", index), ("sparse", tmp_path / "bm25")):
        search(["--index", str(path), "--topics", str(topics), "--hits", "10",
                "--output", str(tmp_path / name)])  # fmt: skip
    dense, sparse = run_of(tmp_path / "dense"), run_of(tmp_path / "sparse")

    stock("pyserini.fusion", "--method", "rrf", "--rrf.k", 60, "--runs", tmp_path / "dense",
          tmp_path / "sparse", "--output", tmp_path / "rrf", "--k", 10)  # fmt: skip
    stock("pyserini.fusion", "--method", "interpolation", "--alpha", 0.3, "--k", 10, "--runs",
          tmp_path / "dense", tmp_path / "sparse", "--output", tmp_path / "mix")  # fmt: skip
    rrf, mix = run_of(tmp_path / "rrf"), run_of(tmp_path / "mix")
    for qid in TOPICS:
        ranks = {}
        for run in (dense, sparse):
            for rank, (docid, _) in enumerate(run[qid], 1):
                ranks[docid] = ranks.get(docid, 0) + 1 / (60 + rank)
        assert dict(rrf[qid]) == pytest.approx(
            {docid: ranks[docid] for docid, _ in rrf[qid]}, abs=1e-5
        )
        mixed = {d: 0.3 * dict(dense[qid]).get(d, 0) + 0.7 * dict(sparse[qid]).get(d, 0)
                 for d in {*dict(dense[qid]), *dict(sparse[qid])}}  # fmt: skip
        assert dict(mix[qid]) == pytest.approx({d: mixed[d] for d, _ in mix[qid]}, abs=1e-4)

    best = {qid: hits[1][0] for qid, hits in rrf.items()}  # relevant: always the second hit
    (tmp_path / "qrels").write_text("".join(f"{qid} 0 {d} 1\n" for qid, d in best.items()))
    said = stock(
        "pyserini.eval.trec_eval", "-m", "recip_rank", tmp_path / "qrels", tmp_path / "rrf"
    )
    assert said.split()[-3:] == ["recip_rank", "all", "0.5000"]
