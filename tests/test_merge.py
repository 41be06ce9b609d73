from __future__ import annotations

import json

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.merge import main, merge_indexes, merge_stores
from pyserini_xqg.store.block import recut
from pyserini_xqg.store.store import Store
from pyserini_xqg.store.writer import StoreWriter


def content(path):
    return {entry.name: entry.read_bytes() for entry in sorted(path.iterdir())}


@pytest.fixture(scope="module")
def shards(encoder, tmp_path_factory, write_large):
    """A corpus of two blocks and a bit, whole and in three shards, with every query's vector."""
    folder = tmp_path_factory.mktemp("shards")
    corpus, queries = write_large(folder, 2 * BLOCK + 101)
    inputs = {"queries": [queries], "keep_queries": True}
    encode_corpus(corpus, folder / "whole", encoder, **inputs)
    for shard in range(3):
        encode_corpus(corpus, folder / f"s{shard}", encoder, shard_id=shard, shard_num=3, **inputs)
    return folder


def three(folder):
    return [folder / f"s{shard}" for shard in range(3)]


def test_merged_shards_are_the_unsharded_store(shards, tmp_path):
    merge_stores(three(shards), tmp_path / "merged")
    merged, whole = content(tmp_path / "merged"), content(shards / "whole")
    assert merged.keys() == whole.keys()
    for name in whole:
        if name.endswith(".npy") and not name.endswith((".count.npy", ".row.npy")):
            vectors = np.load(tmp_path / "merged" / name)
            expected = np.load(shards / "whole" / name)
            norms = np.linalg.norm(expected, axis=1, keepdims=True)
            assert vectors.shape == expected.shape
            assert (np.abs(vectors - expected) <= 1e-5 * norms).all()
        elif name not in ("manifest.json", "blocks.jsonl"):
            assert merged[name] == whole[name]
    manifests = [json.loads(files["manifest.json"]) for files in (merged, whole)]
    assert all(manifest.pop("digest") for manifest in manifests)
    assert manifests[0] == manifests[1]
    sizes, expected = (
        [json.loads(line)["sizes"] for line in files["blocks.jsonl"].splitlines()]
        for files in (merged, whole)
    )
    assert sizes == expected


def test_blocks_are_cut_anew(shards):
    store = Store(three(shards))
    assert [len(block.docids) for block in store.blocks()] == [716, 716, 717]
    blocks = list(recut(store.blocks(keep=True)))
    assert [len(block.docids) for block in blocks] == [BLOCK, BLOCK, 101]
    for block in blocks:
        for language in ("ar", "te"):
            starts = np.cumsum(block.counts[language]) - block.counts[language]
            filled = block.counts[language] > 0
            sums = np.add.reduceat(block.queries[language], starts[filled], axis=0)
            assert sums == pytest.approx(block.sums[language][filled], abs=1e-6)
    assert list(recut(iter(()))) == []


def test_an_interrupted_merge_goes_on(shards, tmp_path, monkeypatch):
    merge_stores(three(shards), tmp_path / "whole")
    real, commits = StoreWriter.append, []

    def breaking(self, block):
        if len(commits) in (1, 3):
            commits.append("broken")
            raise KeyboardInterrupt
        commits.append(block.docids[0])
        real(self, block)

    monkeypatch.setattr(StoreWriter, "append", breaking)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            merge_stores(three(shards), tmp_path / "m")
        assert not (tmp_path / "m").exists()
    merge_stores(three(shards), tmp_path / "m")
    assert commits == ["d0", "broken", "d1024", "broken", "d2048"]
    assert content(tmp_path / "m") == content(tmp_path / "whole")


def test_merged_indexes_are_the_shards_indexed_together(shards, tmp_path, monkeypatch):
    from pyserini_xqg.index.flat import FlatIndexWriter

    fusion = Fusion("mean", 0.3, {"ar": 2.0}, l2_norm=True)
    build_index(Store(three(shards)), tmp_path / "together", fusion)
    for shard in range(3):
        build_index(Store([shards / f"s{shard}"]), tmp_path / f"i{shard}", fusion)
    real, calls = FlatIndexWriter.append, []

    def breaking(self, *args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self, *args)

    monkeypatch.setattr(FlatIndexWriter, "append", breaking)
    command = ["--indexes", *(str(tmp_path / f"i{shard}") for shard in range(3)), "--output",
               str(tmp_path / "merged")]  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        main(command)
    main(command)
    merged, together = content(tmp_path / "merged"), content(tmp_path / "together")
    one, other = (json.loads(of.pop("xqg.json")) for of in (merged, together))
    assert merged == together
    del other["self_check"]  # what each shard's found is not true of all
    assert one == other


def test_shards_straight_to_an_index(shards, encoder, tmp_path):
    inputs = {"queries": [shards / "queries.jsonl"], "to_faiss": Fusion("paper", 0.1)}
    corpus = shards / "corpus.jsonl"
    for shard in range(2):
        encode_corpus(
            corpus, tmp_path / f"i{shard}", encoder, shard_id=shard, shard_num=2, **inputs
        )
    encode_corpus(corpus, tmp_path / "whole", encoder, **inputs)
    encode_corpus(corpus, tmp_path / "s", encoder, queries=inputs["queries"])
    merge_indexes([tmp_path / "i0", tmp_path / "i1"], tmp_path / "merged")
    manifests = [json.loads((tmp_path / x / "xqg.json").read_text()) for x in ("merged", "whole")]
    for manifest in manifests:
        del manifest["blocks"], manifest["digest"]
    assert manifests[0] == manifests[1]
    assert manifests[1]["languages"] == Store([tmp_path / "s"]).queries
    assert content(tmp_path / "merged")["docid"] == content(tmp_path / "whole")["docid"]


def test_an_index_from_before_a_setting_existed(shards, tmp_path):
    for shard in range(2):
        build_index(Store([shards / f"s{shard}"]), tmp_path / f"i{shard}", Fusion("paper", 0.1))
    manifest = json.loads((tmp_path / "i0/xqg.json").read_text())
    assert manifest["encoder"].pop("backend") == "torch"
    (tmp_path / "i0/xqg.json").write_text(json.dumps(manifest))
    merge_indexes([tmp_path / "i0", tmp_path / "i1"], tmp_path / "m")
    assert json.loads((tmp_path / "m/xqg.json").read_text())["encoder"]["backend"] == "torch"


def test_stores_of_different_corpora(shards, encoder, tmp_path, write_jsonl):
    corpus = write_jsonl("more.jsonl", [{"docid": "new", "text": ""}, {"docid": "n", "text": "w"}])
    encode_corpus(corpus, tmp_path / "a", encoder)
    other = write_jsonl("other.jsonl", [{"docid": "o", "text": ""}, {"docid": "p", "text": "w1"}])
    encode_corpus(other, tmp_path / "b", encoder)
    merge_stores([tmp_path / "a", tmp_path / "b"], tmp_path / "m")
    manifest = Store([tmp_path / "m"]).manifest
    assert sorted(manifest["inputs"]) == ["corpus of 0", "corpus of 1"]
    assert (manifest["passages"], manifest["empty_texts"]) == (4, 2)
    assert (tmp_path / "m/docid").read_text() == "new\nn\no\np\n"


def test_shards_that_do_not_belong_together(shards, encoder, tmp_path):
    with pytest.raises(XqgError, match="are shards 0 2 of 3; give all of them, from 0 to 2, in"):
        merge_stores([shards / "s0", shards / "s2"], tmp_path / "m")
    corpus = shards / "corpus.jsonl"
    inputs = {"queries": [shards / "queries.jsonl"], "keep_queries": True}
    encode_corpus(corpus, tmp_path / "half", encoder, shard_id=1, shard_num=3, dtype="float16",
                  **inputs)  # fmt: skip
    with pytest.raises(XqgError, match=r"s0: dtype is 'float16', expected 'float32'; make them"):
        merge_stores([shards / "s0", tmp_path / "half", shards / "s2"], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_docid_twice(encoder, tmp_path, write_jsonl):
    for name in ("a", "b"):
        corpus = write_jsonl(f"{name}.jsonl", [{"docid": x, "text": f"w{i}"}
                                             for i, x in enumerate((name, "same"))])  # fmt: skip
        encode_corpus(corpus, tmp_path / name, encoder)
        build_index(Store([tmp_path / name]), tmp_path / f"i-{name}", Fusion())
    for merge, start in ((merge_stores, ""), (merge_indexes, "i-")):
        a, b = tmp_path / f"{start}a", tmp_path / f"{start}b"
        with pytest.raises(XqgError, match=rf"{b}/docid:2: duplicate docid 'same', .* {a}/docid:2"):
            merge([a, b], tmp_path / "m")
        assert not (tmp_path / "m").exists()
        assert not list((tmp_path / "m.partial").glob("work/docids*"))
        with pytest.raises(XqgError, match="hold the same passages|duplicate docid"):
            merge([a, a], tmp_path / "m")


@pytest.mark.parametrize(
    ("fusion", "kind", "message"),
    [
        (Fusion("mean", 0.4), "flat", "alpha is 0.4, expected 0.3; make them"),
        (Fusion("mean", 0.3, l2_norm=True), "flat", "l2_norm is True, expected False"),
        (Fusion("mean", 0.3), "hnsw", r"of type hnsw: its structure .* cannot be appended to"),
    ],
)
def test_indexes_that_differ(shards, tmp_path, fusion, kind, message):
    build_index(Store([shards / "s0"]), tmp_path / "a", Fusion("mean", 0.3))
    build_index(Store([shards / "s1"]), tmp_path / "b", fusion, index_type=kind)
    with pytest.raises(XqgError, match=message):
        merge_indexes([tmp_path / "a", tmp_path / "b"], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_indexes_that_are_not_flat_faiss(shards, tmp_path, write_jsonl):
    build_routed(Store([shards / "s0"]), tmp_path / "r", Fusion("mean", 0.3))
    with pytest.raises(XqgError, match="is routed: merge each of its routes"):
        merge_indexes([tmp_path / "r"], tmp_path / "m")
    build_bm25(write_jsonl("c.jsonl", [{"docid": "a", "text": "b"}]), tmp_path / "bm25")
    with pytest.raises(XqgError, match="is a bm25 index, which has no vectors to append"):
        merge_indexes([tmp_path / "bm25"], tmp_path / "m")


def test_a_damaged_index_is_not_merged(shards, tmp_path):
    build_index(Store([shards / "s0"]), tmp_path / "i", Fusion("mean", 0.3))
    build_index(Store([shards / "s1"]), tmp_path / "j", Fusion("mean", 0.3))
    whole = (tmp_path / "j/index").read_bytes()
    for broken in (whole[:-8], b"IxF2" + whole[4:], whole + b"\0"):
        (tmp_path / "j/index").write_bytes(broken)
        with pytest.raises(XqgError, match="j/index: damaged: no flat index of 716 vectors"):
            merge_indexes([tmp_path / "i", tmp_path / "j"], tmp_path / "m", overwrite=True)
    (tmp_path / "j/index").write_bytes(whole)
    docids = (tmp_path / "j/docid").read_text()
    for broken, message in ((docids[:-1], "fewer docids"), (docids + "x\n", "more than 716")):
        (tmp_path / "j/docid").write_text(broken)
        with pytest.raises(XqgError, match=message):
            merge_indexes([tmp_path / "i", tmp_path / "j"], tmp_path / "m", overwrite=True)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("words", [[], ["--embeddings", "a", "--indexes", "b"]])
def test_one_kind_of_input(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, "--output", "o"])
    assert stop.value.code == 2
