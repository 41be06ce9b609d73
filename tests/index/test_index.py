from __future__ import annotations

import json

import faiss
import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index import faiss_vectors
from pyserini_xqg.index.__main__ import main
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.fused import Fused
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store


@pytest.fixture
def store(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[queries])
    return Store([tmp_path / "store"])


def vectors(path):
    index = faiss.read_index(str(path / "index"))
    return index.reconstruct_n(0, index.ntotal)


def test_the_papers_formula_from_the_store(store, tmp_path):
    build_index(store, tmp_path / "i", Fusion("paper", 0.01))
    (block,) = store.blocks()
    expected = 0.99 * block.passages + 0.01 * (block.sums["ar"] + block.sums["te"])
    assert vectors(tmp_path / "i") == pytest.approx(expected, abs=1e-5)
    assert (tmp_path / "i/docid").read_text().splitlines()[:3] == [
        "-1018987027025691298", "007", "12#3",
    ]  # fmt: skip
    manifest = read_manifest(tmp_path / "i")
    assert (manifest["method"], manifest["alpha"], manifest["l2_norm"]) == ("paper", 0.01, False)
    assert manifest["languages"] == store.queries
    assert manifest["store"] == store.digest


def test_languages_and_weights(store, tmp_path):
    build_index(store, tmp_path / "a", Fusion("mean", 0.5), languages=["te"])
    build_index(store, tmp_path / "b", Fusion("mean", 0.5, {"ar": 0.0}))
    assert vectors(tmp_path / "a") == pytest.approx(vectors(tmp_path / "b"), abs=1e-6)
    assert list(read_manifest(tmp_path / "a")["languages"]) == ["te"]


def test_centres_are_the_means_of_all_queries(store, tmp_path):
    build_index(store, tmp_path / "i", Fusion("mean", 0.5, centre=True))
    (block,) = store.blocks()
    centres = read_manifest(tmp_path / "i")["centres"]
    for language in ("ar", "te"):
        mean = block.sums[language].sum(axis=0) / block.counts[language].sum()
        assert centres[language] == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("kind", ["hnsw", "SQ8", "SQfp16", "IVF2,Flat", "IVF2,PQ16x4"])
def test_other_types_find_the_same(store, tmp_path, kind, capsys):
    build_index(store, tmp_path / "flat", Fusion("mean", 0.3))
    build_index(store, tmp_path / "i", Fusion("mean", 0.3), index_type=kind)
    recall = read_manifest(tmp_path / "i")["recall"]
    assert f"recall@10 against flat: {next(iter(recall['recall'].values())):.3f}" in (
        capsys.readouterr().err
    )
    assert max(recall["recall"].values()) > 0.9
    queries = vectors(tmp_path / "flat")[:5]
    found = [faiss.read_index(str(tmp_path / name / "index")) for name in ("flat", "i")]
    if kind.startswith("IVF"):
        found[1].nprobe = 2
    (scores, rows), (others, other_rows) = (index.search(queries, 3) for index in found)
    assert np.array_equal(rows[:, 0], other_rows[:, 0])
    assert others == pytest.approx(scores, rel=0.05)


def test_the_training_sample_is_spread_and_small(store, monkeypatch):
    monkeypatch.setattr(faiss_vectors, "_TRAINING_ROWS", 10)
    sample = faiss_vectors.training_sample(Fused(store, Fusion("mean", 0.3), ["ar", "te"]))
    (block,) = store.blocks()
    assert np.array_equal(sample, Fusion("mean", 0.3).apply(block)[::3])
    blocks = []

    def kept(self, what):
        blocks.extend(np.full((8, 2), row, dtype=np.float32) for row in range(2))
        yield from (([], block) for block in blocks)

    parts = []
    monkeypatch.setattr(Fused, "blocks", kept)
    monkeypatch.setattr(np, "concatenate", parts.extend)
    faiss_vectors.training_sample(Fused(store, Fusion(), []))
    assert not any(np.shares_memory(part, block) for part in parts for block in blocks)


def test_an_interrupted_index_goes_on(store, tmp_path, monkeypatch):
    build_index(store, tmp_path / "whole", Fusion("paper", 0.1))
    real = Store.blocks

    def breaking(*args, **kwargs):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(Store, "blocks", breaking)
    with pytest.raises(KeyboardInterrupt):
        build_index(store, tmp_path / "i", Fusion("paper", 0.1))
    assert not (tmp_path / "i").exists()
    monkeypatch.setattr(Store, "blocks", real)
    build_index(store, tmp_path / "i", Fusion("paper", 0.1))
    for name in ("index", "docid", "xqg.json"):
        assert (tmp_path / "i" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_routed_is_one_index_a_language(store, tmp_path, capsys):
    build_routed(store, tmp_path / "r", Fusion("mean", 0.5, {"ar": 2.0}))
    said = capsys.readouterr().err
    assert all(f"indexing ({route}): 30 passages" in said for route in ("ar", "te", "all"))
    build_index(store, tmp_path / "te", Fusion("mean", 0.5), languages=["te"])
    build_index(store, tmp_path / "all", Fusion("mean", 0.5, {"ar": 2.0}))
    for route in ("te", "all"):
        assert np.array_equal(vectors(tmp_path / "r" / route), vectors(tmp_path / route))
    manifest = read_manifest(tmp_path / "r")
    assert manifest["routes"] == {"ar": "ar", "te": "te"}
    assert manifest["fallback"] == "all"


def test_an_alpha_for_each_route(store, tmp_path):
    words = ["--embeddings", str(tmp_path / "store"), "--method", "mean", "--routed"]
    main([*words, "--output", str(tmp_path / "r"), "--alpha", "0.5", "te=0.25", "all=0"])
    (block,) = store.blocks()
    assert vectors(tmp_path / "r/all") == pytest.approx(block.passages, abs=1e-6)
    for route, alpha in (("ar", 0.5), ("te", 0.25), ("all", 0.0)):
        assert read_manifest(tmp_path / "r" / route)["alpha"] == alpha
    build_index(store, tmp_path / "te", Fusion("mean", 0.25), languages=["te"])
    assert (vectors(tmp_path / "r/te") == vectors(tmp_path / "te")).all()
    for alpha, message in (
        (["te=0.5"], "--alpha: none for ar all; name every route"),
        (["0.5", "fi=0.5"], "--alpha fi: no such route; there are ar te all"),
        (["0.5", "0.6"], "--alpha 0.5 0.6: expected one number, or language=number"),
        (["0.5", "te=0.1", "TE=0.2"], "--alpha: two numbers for te; give one"),
        (["half"], "--alpha half: expected one number, or language=number"),
        (["te=half"], "--alpha te=half: expected language=number"),
        (["0.5", "te=1.5"], r"--alpha 1.5 is outside \[0, 1\]"),
    ):
        with pytest.raises(XqgError, match=message):
            main([*words, "--output", str(tmp_path / "x"), "--alpha", *alpha])
    with pytest.raises(XqgError, match="--alpha by language goes with --routed"):
        main([*words[:-1], "--output", str(tmp_path / "y"), "--alpha", "0.5", "te=0.25"])


def test_passages_only(corpus_and_queries, encoder, tmp_path):
    encode_corpus(corpus_and_queries[0], tmp_path / "store", encoder)
    store = Store([tmp_path / "store"])
    build_index(store, tmp_path / "i", Fusion())
    assert np.array_equal(vectors(tmp_path / "i"), next(store.blocks()).passages)
    with pytest.raises(XqgError, match="there are no generated queries to fuse"):
        build_index(store, tmp_path / "j", Fusion("mean", 0.5))
    with pytest.raises(XqgError, match="--routed needs generated queries"):
        build_routed(store, tmp_path / "j", Fusion())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "paper"], "give --method .* and --alpha, or let"),
        (["--weights", "te=2"], "--weights and --centre go with an --alpha"),
        (["--qrels", "q"], "--qrels judges --topics"),
        (["--topics", "t", "--qrels", "q", "--method", "mean", "--alpha", "1"], "chooses alpha"),
        (["--method", "sum", "--alpha", "1"], "--method 'sum' is none of"),
        (["--method", "mean", "--alpha", "2"], r"--alpha 2.0 is outside"),
        (["--method", "mean", "--alpha", "1", "--languages", "fi"], "no queries in fi"),
        (["--method", "mean", "--alpha", "1", "--weights", "te"], "expected language=number"),
        (["--method", "mean", "--alpha", "1", "--weights", "te=x"], "expected language=number"),
        (["--method", "mean", "--alpha", "1", "--weights", "fi=1"], "no generated queries in 'fi'"),
        (["--method", "mean", "--alpha", "1", "--type", "HNWS"], "--type 'HNWS' is none of"),
        (["--to", "bm25"], "--to bm25 reads text, not vectors"),
        (["--corpus", "c"], "go with --to bm25"),
    ],
)
def test_what_is_refused(store, tmp_path, options, message):
    command = ["--embeddings", str(tmp_path / "store"), "--output", str(tmp_path / "i"), *options]
    with pytest.raises(XqgError, match=message):
        main(command)
    assert not (tmp_path / "i").exists()


def test_centring_needs_float32(corpus_and_queries, encoder, tmp_path):
    corpus, queries = corpus_and_queries
    encode_corpus(corpus, tmp_path / "s", encoder, queries=[queries], dtype="float16")
    with pytest.raises(XqgError, match="--centre needs a float32 store"):
        build_index(Store([tmp_path / "s"]), tmp_path / "i", Fusion("mean", 0.5, centre=True))


def test_what_is_no_index(tmp_path):
    with pytest.raises(XqgError, match="is no xQG index .* make one with"):
        read_manifest(tmp_path)
    (tmp_path / "xqg.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(XqgError, match="format 99 of xQG index, expected 1"):
        read_manifest(tmp_path)
