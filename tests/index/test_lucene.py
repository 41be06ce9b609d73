from __future__ import annotations

import json

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index import lucene
from pyserini_xqg.index.__main__ import main
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.lucene import stretch, topic_strings
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.search.searcher import open_searcher
from pyserini_xqg.store.store import Store

FUSION = Fusion("mean", 0.5)
ROWS = 1200
TOPICS = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
QIDS = [str(number) for number in range(20)]


@pytest.fixture(scope="module")
def made(encoder, tmp_path_factory, write_large):
    """A store, and of it a flat FAISS index and Lucene's two kinds."""
    folder = tmp_path_factory.mktemp("made")
    corpus, queries = write_large(folder, ROWS)
    encode_corpus(corpus, folder / "store", encoder, queries=[queries])
    store = Store([folder / "store"])
    for kind in ("faiss", "lucene-flat", "lucene-hnsw"):
        build_index(store, folder / kind, FUSION, to=kind)
    return folder


def same(found, expected):
    """The same scores, and the same docids but where neighbours' scores are equal."""
    for qid in expected:
        scores = [hit.score for hit in expected[qid]]
        assert [hit.score for hit in found[qid]] == pytest.approx(scores, abs=1e-4)
        by_docid = {hit.docid: hit.score for hit in expected[qid]}
        for hit, score in zip(found[qid], scores, strict=True):
            assert by_docid.get(hit.docid, scores[-1]) == pytest.approx(score, abs=1e-4)


def test_the_stretched_vectors_by_hand():
    vectors = np.array([[3, 4], [0, 2], [0, 0]], dtype=np.float32)
    expected = [[0.6, 0.8, 0], [0, 0.4, (1 - 0.16) ** 0.5], [0, 0, 1]]
    assert stretch(vectors, 5.0) == pytest.approx(np.array(expected), abs=1e-7)
    rng = np.random.default_rng(0)
    many, topics = (rng.normal(size=(n, 7)).astype(np.float32) for n in (50, 4))
    longest = float(np.linalg.norm(many, axis=1).max())
    units = np.array([json.loads(text) for text in topic_strings(topics, stretched=True)])
    long = stretch(many, longest)
    assert np.linalg.norm(long, axis=1) == pytest.approx(np.ones(50), abs=1e-6)
    scale = np.linalg.norm(topics, axis=1, keepdims=True) * longest
    assert units @ long.T * scale == pytest.approx(topics @ many.T, abs=1e-5)


def test_topics_without_a_direction():
    assert topic_strings(np.zeros((1, 2), dtype=np.float32), stretched=True) == ["[0,0,0]"]
    assert topic_strings(np.array([[3, 4]], dtype=np.float32), stretched=False) == ["[0.6,0.8]"]


@pytest.mark.parametrize("kind", ["lucene-flat", "lucene-hnsw"])
def test_the_hits_are_those_of_faiss(made, kind):
    lengths = np.linalg.norm(next(Store([made / "store"]).blocks()).passages, axis=1)
    manifest = read_manifest(made / kind)
    assert manifest["stretched"]
    assert manifest["largest_length"] != pytest.approx(float(lengths.min()), rel=1e-3)
    ours = open_searcher(made / kind, device="cpu", effort=Effort(300 if "hnsw" in kind else None))
    flat = open_searcher(made / "faiss", device="cpu")
    same(ours.batch_search(TOPICS, QIDS, k=10), flat.batch_search(TOPICS, QIDS, k=10))
    hits = ours.search("w1 w2", k=3)
    assert [hit.docid for hit in hits] == [hit.docid for hit in flat.search("w1 w2", k=3)]
    assert ours.search(np.zeros(16), k=2)[0].score == 0


def test_all_passages_negative_products_included(made):
    ours, flat = (open_searcher(made / kind, device="cpu") for kind in ("lucene-flat", "faiss"))
    found = ours.batch_search(TOPICS, QIDS, k=5000)
    assert {len(hits) for hits in found.values()} == {ROWS}  # Anserini's own stops at 1,000
    assert min(hit.score for hit in found["0"]) < -1
    same(found, flat.batch_search(TOPICS, QIDS, k=ROWS))


def test_the_graphs_settings_and_recall(made, tmp_path, capsys):
    command = ["--embeddings", str(made / "store"), "--output", str(tmp_path / "i")]
    options = ["--to", "lucene-hnsw", "--method", "mean", "--alpha", "0.5", "--M", "4"]
    main([*command, *options, "--efC", "8"])
    assert "recall@10 against flat: " in capsys.readouterr().err
    poor, better = read_manifest(tmp_path / "i"), read_manifest(made / "lucene-hnsw")
    assert (poor["M"], poor["efC"], better["M"], better["efC"]) == (4, 8, 16, 100)
    assert poor["recall"]["of"] == "passages"
    assert (
        0.2 < poor["recall"]["recall"]["efSearch 16"] <= better["recall"]["recall"]["efSearch 16"]
    )
    with pytest.raises(XqgError, match="--ef-search is for an HNSW index"):
        open_searcher(made / "lucene-flat", effort=Effort(ef_search=9))
    with pytest.raises(XqgError, match="--nprobe is for an index of inverted lists"):
        open_searcher(made / "lucene-hnsw", effort=Effort(nprobe=9))


def test_unit_vectors_are_for_stock_pyserini_as_they_are(made, tmp_path):
    from pyserini.search.lucene import LuceneFlatDenseSearcher

    store = Store([made / "store"])
    for kind in ("faiss", "lucene-flat"):
        build_index(store, tmp_path / kind, Fusion("mean", 0.5, l2_norm=True), to=kind)
    assert not read_manifest(tmp_path / "lucene-flat")["stretched"]
    stock = LuceneFlatDenseSearcher(str(tmp_path / "lucene-flat"))
    units = TOPICS / np.linalg.norm(TOPICS, axis=1, keepdims=True)
    found = {
        qid: stock.search(json.dumps(unit.tolist()), 10)
        for qid, unit in zip(QIDS, units, strict=True)
    }
    ours = open_searcher(tmp_path / "lucene-flat", device="cpu").batch_search(units, QIDS, k=10)
    same(ours, open_searcher(tmp_path / "faiss", device="cpu").batch_search(units, QIDS, k=10))
    for qid in QIDS:
        assert [hit.docid for hit in found[qid]] == [hit.docid for hit in ours[qid]]
        assert 2 * found[qid][0].score - 1 == pytest.approx(ours[qid][0].score, abs=1e-6)


def test_topics_are_routed(made, tmp_path):
    store = Store([made / "store"])
    build_routed(store, tmp_path / "r", FUSION, to="lucene-flat")
    build_index(store, tmp_path / "te", FUSION, languages=["te"])
    routed, te, flat = (
        open_searcher(path, device="cpu")
        for path in (tmp_path / "r", tmp_path / "te", made / "faiss")
    )
    found = routed.batch_search(TOPICS[:3], ["a", "b", "c"], k=5, languages=["te", "fi", "te"])
    assert list(found) == ["a", "b", "c"]
    for qid, row, expected in (("a", 0, te), ("b", 1, flat), ("c", 2, te)):
        same({qid: found[qid]}, expected.batch_search(TOPICS[row : row + 1], [qid], k=5))


def test_vectors_as_json_where_java_cannot_read_parquet(made, tmp_path, monkeypatch):
    monkeypatch.setattr(lucene, "_LAST_WITH_PARQUET", 20)
    build_index(Store([made / "store"]), tmp_path / "i", FUSION, to="lucene-flat")
    a, b = (
        open_searcher(path, device="cpu").batch_search(TOPICS, QIDS, k=10)
        for path in (tmp_path / "i", made / "lucene-flat")
    )
    for qid in QIDS:
        assert [(x.docid, x.score) for x in a[qid]] == [(x.docid, x.score) for x in b[qid]]


def test_rows_that_anserini_passes_over(made, tmp_path, monkeypatch):
    monkeypatch.setattr(lucene, "_LAST_WITH_PARQUET", 20)
    real = lucene._index

    def without_docids(name, source, *others):
        for path in source.iterdir():
            path.write_text(path.read_text().replace('"docid"', '"other"'))
        real(name, source, *others)

    monkeypatch.setattr(lucene, "_index", without_docids)
    with pytest.raises(XqgError, match="Lucene took 0 of 1200 passages; nothing was finished"):
        build_index(Store([made / "store"]), tmp_path / "i", FUSION, to="lucene-flat")
    assert not (tmp_path / "i").exists()


def test_a_killed_index_goes_on(made, tmp_path, monkeypatch):
    store, real = Store([made / "store"]), lucene.count_documents

    def breaking(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(lucene, "count_documents", breaking)
    with pytest.raises(KeyboardInterrupt):
        build_index(store, tmp_path / "i", FUSION, to="lucene-hnsw")
    assert not (tmp_path / "i").exists()
    part = tmp_path.joinpath("i.partial", "work", "parquet", "part-00000.parquet")
    before = part.stat().st_mtime_ns
    (tmp_path / "i.partial/_9.si").write_bytes(b"half")
    with pytest.raises(XqgError, match=r"M was 16, is now 8"):
        build_index(store, tmp_path / "i", FUSION, to="lucene-hnsw", m=8)

    def after(path):
        assert part.stat().st_mtime_ns == before
        return real(path)

    monkeypatch.setattr(lucene, "count_documents", after)
    build_index(store, tmp_path / "i", FUSION, to="lucene-hnsw")
    assert not (tmp_path / "i/_9.si").exists()
    assert not (tmp_path / "i/work").exists()
    assert (tmp_path / "i/docid").read_text() == (made / "faiss/docid").read_text()


def test_what_is_not_for_lucene(made, tmp_path):
    command = ["--embeddings", str(made / "store"), "--output", str(tmp_path / "i"),
               "--method", "mean", "--alpha", "0.5"]  # fmt: skip
    for options, message in (
        (["--to", "lucene-flat", "--type", "hnsw"], "--type is of FAISS; leave it out with --to"),
        (["--to", "lucene-flat", "--M", "8"], "--M and --efC go with --to lucene-hnsw"),
        (["--type", "hnsw", "--efC", "8"], "--M and --efC go with --to lucene-hnsw"),
        (["--to", "lucene-flat", "--topics", "t"], "--topics measures the recall of an approx"),
    ):
        with pytest.raises(XqgError, match=message):
            main([*command, *options])
