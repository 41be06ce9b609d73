from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.merge import merge_stores
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.store import Store
from pyserini_xqg.store.writer import StoreWriter
from pyserini_xqg.verify.__main__ import main, verify
from pyserini_xqg.verify.check import Norms, Settings

FUSION = Fusion("mean", 0.3, {"ar": 2.0}, centre=True)


@pytest.fixture(scope="module")
def made(encoder, tmp_path_factory, write_large):
    """A store in two shards and whole, and an index of every kind."""
    folder = tmp_path_factory.mktemp("made")
    corpus, queries = write_large(folder, 1200)
    inputs = {"queries": [queries], "keep_queries": True}
    encode_corpus(corpus, folder / "s", encoder, **inputs)
    for shard in range(2):
        encode_corpus(corpus, folder / f"s{shard}", encoder, shard_id=shard, shard_num=2, **inputs)
    for kind in ("flat", "hnsw", "SQ8", "IVF2,Flat"):
        build_index(Store([folder / "s"]), folder / kind, FUSION, index_type=kind)
    for kind in ("lucene-flat", "lucene-hnsw", "jsonl", "parquet"):
        build_index(Store([folder / "s"]), folder / kind, FUSION, to=kind)
    build_routed(Store([folder / "s"]), folder / "routed", Fusion("paper", 0.1))
    build_bm25(corpus, folder / "bm25", queries=[queries])
    return folder


@pytest.fixture
def copy(made, tmp_path):
    def copy(name):
        shutil.copytree(made / name, tmp_path / name)
        return tmp_path / name

    return copy


def look(path, **settings):
    """The checks that are not `ok`, by name, and the names of all.

    Without the self-check, which says what a random encoder does.
    """
    settings.setdefault("probe", False)
    checks = [
        each for each in verify(Path(path), Settings(**settings)) if each.name != "self-check"
    ]
    odd = {check.name: (check.verdict, check.detail) for check in checks if check.verdict != "ok"}
    odd.pop("encoder", None) if not settings["probe"] else None
    return odd, [check.name for check in checks]


STORE = ["manifest", "files", "counts", "checksums", "sums", "finite", "zero", "norms", "docids",
         "encoder"]  # fmt: skip
FLAT = ["manifest", "counts", "checksums", "finite", "zero", "norms", "store", "docids", "encoder"]


def test_what_is_whole(made, capsys):
    paths = [str(made / name) for name in ("s", "s0", "flat", "routed", "bm25")]
    main([*paths, "--store", str(made / "s"), "--device", "cpu"])
    lines = capsys.readouterr().out.splitlines()
    checked = [line for line in lines if ": self-check: " in line]
    assert len(checked) == 3  # not of Arabic: a sum of one query cannot lose it
    lines = [line for line in lines if line not in checked]
    assert all(line.startswith("ok ") for line in lines)
    names = [line.split(": ")[1] for line in lines]
    routed = ["manifest", "routes", *FLAT[:-1] * 3, "encoder"]
    assert names == [*STORE * 2, *FLAT, *routed, "manifest", "lucene"]
    assert f"ok       {made}/s: counts: 1200 docids and vectors, 2400 queries" in lines
    assert f"ok       {made}/flat: checksums: 2 blocks of docids and vectors" in lines


def test_types_that_keep_the_vectors_otherwise(made):
    store = Store([made / "s"])
    assert look(made / "hnsw", store=store)[0] == {
        "checksums": ("skipped", "type hnsw has none; --store compares the vectors")
    }
    assert look(made / "SQ8", store=store)[0].keys() == {"checksums", "store"}
    assert look(made / "IVF2,Flat", store=store)[0].keys() == {"checksums", "store", "vectors"}


@pytest.mark.parametrize("kind", ["lucene-flat", "lucene-hnsw", "jsonl", "parquet"])
def test_lucene_and_exports(made, copy, kind):
    store = Store([made / "s"])
    odd, names = look(made / kind, store=store)
    checks = ["lucene"] if kind.startswith("lucene") else ["counts", "finite", "zero", "norms"]
    assert (odd, names) == ({}, ["manifest", *checks, "store", "docids", "encoder"])
    path = copy(kind)
    docids = path / "docid"
    docids.write_text(docids.read_text().replace("d7\n", "d8\n", 1))
    wrong = look(path)[0]
    assert "duplicates: 'd8' in lines 8 and 9" in wrong["docids"][1]
    if not kind.startswith("lucene"):
        assert wrong["counts"] == ("ERROR", "other docids than in the file docid, from 'd0' on")
        (file,) = (path / "vectors").iterdir()
        content = bytearray(file.read_bytes())
        content[40_000] ^= 4
        file.write_bytes(content)
        assert look(path, store=store)[0].keys() >= {"store"}


def test_a_lucene_index_of_other_vectors(made, tmp_path):
    store = Store([made / "s"])
    build_index(store, tmp_path / "i", Fusion("mean", 0.9), to="lucene-flat")
    manifest = tmp_path / "i/xqg.json"
    manifest.write_text((made / "lucene-flat/xqg.json").read_text())
    assert "flat search is exact: build the index again" in look(tmp_path / "i", store=store)[0][
        "store"
    ][1]  # fmt: skip
    ((name, (verdict, line)),) = look(made / "lucene-flat", store=Store([made / "s0"]))[0].items()
    assert (name, verdict) == ("store", "ERROR")
    assert "the store has 600 passages of dimension 16; give the one that" in line


def test_a_byte_of_a_store(copy):
    path = copy("s")
    with open(path / "queries.te.sum.npy", "r+b") as file:
        file.seek(128 + 1100 * 16 * 4 + 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    odd, names = look(path)
    assert odd == {
        "checksums": (
            "ERROR",
            "the bytes changed in block 2 of queries.te.sum.npy; encode again, or fetch a whole "
            "copy",
        )
    }
    assert names == STORE


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("passages.npy", lambda x: x[:-1], {"counts", "checksums", "sums"}),
        ("passages.npy", lambda x: x + b"\0", {"counts"}),
        ("passages.npy", lambda x: x[:30] + b"x" + x[31:], {"counts", "sums"}),
        ("docid", lambda x: x + b"d1200\n", {"counts"}),
        ("docid", lambda x: x[:-1], {"counts", "checksums"}),
        ("docid", lambda x: x.replace(b"d1199\n", b"d\xff199\n"), {"checksums", "sums"}),
        ("docid", lambda x: x.replace(b"d1199\n", b"d1\x20\x2099\n"[:5] + b"\n"),
         {"checksums", "docids"}),
        ("blocks.jsonl", lambda x: x[:-1], {"checksums"}),
        ("manifest.json", lambda x: x[:-9], {"manifest"}),
        ("manifest.json", lambda x: x.replace(b'"passages": 1200', b'"passages": 1199'),
         {"counts"}),
        ("manifest.json", lambda x: x.replace(b'"te": 1200', b'"te": 1201'), {"counts"}),
        ("manifest.json", lambda x: x.replace(b'"digest"', b'"dig"'), {"manifest"}),
        ("manifest.json", lambda x: x.replace(b'"rate": 1.0', b'"rate": 0.5'), {"sums"}),
        ("sample.te.row.npy", lambda x: x[:128] + b"\7" + x[129:], {"checksums", "sums"}),
        ("sample.te.npy", lambda x: x[:-1], {"counts", "checksums", "sums"}),
    ],
)  # fmt: skip
def test_damage_of_a_store(copy, name, change, expected):
    path = copy("s")
    before = (path / name).read_bytes()
    (path / name).write_bytes(change(before))
    assert (path / name).read_bytes() != before
    odd, _ = look(path)
    assert {what for what, (verdict, _) in odd.items() if verdict == "ERROR"} == expected


def test_a_missing_file(copy):
    path = copy("s")
    (path / "queries.te.npy").unlink()
    (path / "more").touch()
    odd, _ = look(path)
    assert odd["files"] == ("ERROR", "missing: queries.te.npy")
    assert odd["counts"][1].endswith("queries.te.npy is missing")
    (path / "queries.te.npy").touch()
    assert look(path)[0]["files"] == ("warning", "not of the store: more")


def write(path, vectors, docids=None, sums=None):
    n, d = vectors.shape
    sums = np.zeros((n, d), np.float32) if sums is None else sums
    docids = docids or [f"d{i}" for i in range(n)]
    with OutputFolder(path, "manifest.json") as folder:
        writer = StoreWriter(folder, {}, rows=n, dimension=d, languages=["te"])
        writer._cast = lambda rows: rows.astype("<f4").tobytes()  # what the writer would refuse
        writer.append(Block(docids, vectors, {"te": sums}, {"te": np.zeros(n, np.int32)}))
        encoder = EncoderSpec("m", pooling="cls").to_dict()
        writer.finish({"encoder": encoder, "shard": [0, 1], "inputs": {}, "probes": []})


def test_odd_vectors(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    vectors[3, 2], vectors[4, 0] = np.nan, np.inf
    vectors[5:12] = 0
    vectors[20] *= 1000
    vectors[21] /= 1e6
    sums = np.zeros((1000, 8), np.float32)
    sums[30, 1], sums[31, 1] = 1, np.nan
    write(tmp_path / "s", vectors, [f"d{i}" for i in range(999)] + ["d998"], sums)
    odd, names = look(tmp_path / "s")
    assert names == STORE
    assert odd["finite"] == ("ERROR", "2 of 1000 vectors: d3, d4")
    assert odd["zero"] == ("warning", "7 of 1000 vectors: d5, d6, d7 and 4 more")
    verdict, detail = odd["norms"]
    assert verdict == "warning"
    assert detail.startswith("2 vectors are shorter than ")
    assert [word.split(" (")[0] for word in detail.split("): ")[1].split(", ")] == ["d21", "d20"]
    assert odd["sums"] == (
        "ERROR", "NaN or infinity in te of d31; not zero without queries: te of d30, te of d31",
    )  # fmt: skip
    assert odd["docids"] == ("ERROR", "duplicates: 'd998' in lines 999 and 1000")
    assert odd.keys() == {"finite", "zero", "norms", "sums", "docids"}


def test_norms_of_usual_vectors_are_not_odd():
    rng = np.random.default_rng(1)
    for vectors in (
        rng.normal(size=(5000, 64)),  # lengths spread by 9 %
        rng.normal(size=(5000, 8)),  # by 26 %
        np.eye(5)[rng.integers(0, 5, 5000)].astype(np.float16),  # all of length 1
        np.zeros((3, 2)),
    ):
        norms = Norms()
        for start in range(0, len(vectors), 1000):
            part = vectors[start : start + 1000].astype(np.float32)
            norms.add([str(start + i) for i in range(len(part))], part)
        assert norms.finite()[0] == norms.outliers()[0] == "ok"
    norms = Norms()
    norms.add(["a"] * 50 + ["b"], np.array([[1.0]] * 50 + [[1.3]], np.float32))
    assert norms.outliers()[1].endswith(": b (1.3)")


def test_the_encoder(made, copy, model_dir, tmp_path):
    assert "gives the vectors of 3 probes again" in str(
        list(verify(made / "flat", Settings(device="cpu")))[-1]
    )
    other = tmp_path / "model"
    shutil.copytree(model_dir, other)
    from transformers import BertModel

    model = BertModel.from_pretrained(other)
    model.embeddings.word_embeddings.weight.data[:] *= -1
    model.save_pretrained(other)
    for name in ("s", "flat", "routed"):
        odd, _ = look(made / name, encoder=str(other), device="cpu", probe=True)
        assert odd.keys() == {"encoder"}
        assert odd["encoder"][0] == "ERROR"
        assert "What differs is the weights" in odd["encoder"][1]
    odd, _ = look(made / "s", encoder="/no/such/model", probe=True)
    assert odd["encoder"][1].startswith("no such model folder")


def test_an_index_against_its_store(made, copy, tmp_path):
    store = Store([made / "s"])
    path = copy("flat")
    with open(path / "index", "r+b") as file:  # one component of d7, by 1e-3
        file.seek(45 + 7 * 16 * 4)
        value = np.frombuffer(file.read(4), "<f4")
        file.seek(-4, 1)
        file.write((value + np.float32(1e-3)).tobytes())
    odd, names = look(path, store=store)
    assert names == FLAT
    assert odd.keys() == {"checksums", "store"}
    assert odd["store"][1].startswith("1 of 1200 vectors differ from the store's, by up to ")
    assert ": d7; build" in odd["store"][1]
    docids = path / "docid"
    docids.write_text(docids.read_text().replace("d1\nd2\n", "d2\nd1\n"))
    assert look(path, store=store)[0]["store"][1] == "docid 'd2' where the store has 'd1'"

    path = copy("hnsw")
    index = faiss.read_index(str(path / "index"))
    faiss.rev_swig_ptr(faiss.downcast_index(index.storage).get_xb(), 16)[0] += 0.01
    faiss.write_index(index, str(path / "index"))
    assert ": d0; build" in look(path, store=store)[0]["store"][1]


def test_an_index_against_another_store(made, tmp_path):
    shards = [made / "s0", made / "s1"]
    odd, _ = look(made / "flat", store=Store(shards))
    assert odd["store"][0] == "warning"
    merge_stores(shards, tmp_path / "m")
    build_index(Store(shards), tmp_path / "i", FUSION)
    assert "store" not in look(tmp_path / "i", store=Store(shards))[0]
    assert look(tmp_path / "i", store=Store([tmp_path / "m"]))[0]["store"][0] == "warning"
    odd, _ = look(made / "flat", store=Store([made / "s0"]))
    assert odd["store"][1].startswith("the store has 600 passages")
    odd, _ = look(made / "routed", store=Store(shards[::-1]))
    assert odd["store"] == ("ERROR", "docid 'd0' where the store has 'd600'")


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("index", lambda x: x[:-1], {"counts"}),
        ("docid", lambda x: x[: x.index(b"d9\n")], {"counts"}),
        ("docid", lambda x: x + b"d1200\n", {"counts"}),
        ("docid", lambda x: x.replace(b"\nd1199\n", b"\nd1198\n"), {"docids"}),
        ("xqg.json", lambda x: x.replace(b'"passages": 1200', b'"passages": 1201'), {"counts"}),
        ("xqg.json", lambda x: x.replace(b'"kind": "faiss"', b'"kind": "other"'), {"manifest"}),
        ("xqg.json", lambda x: x[:-4], {"manifest"}),
    ],
)
def test_damage_of_an_index(copy, kind, name, change, expected):
    path = copy(kind)
    before = (path / name).read_bytes()
    (path / name).write_bytes(change(before))
    assert (path / name).read_bytes() != before
    odd, _ = look(path)
    wrong = {what for what, (verdict, _) in odd.items() if verdict == "ERROR"}
    if kind == "flat" and "manifest" not in expected:
        expected = expected | {"checksums"}
    assert wrong == expected


def test_routes(copy):
    path = copy("routed")
    (path / "fi").mkdir()
    assert look(path)[0]["routes"] == ("warning", "no route leads to fi")
    (path / "fi").rmdir()
    docids = (path / "te/docid").read_text()
    (path / "te/docid").write_text(docids.replace("d5\n", "dx\n"))
    odd, _ = look(path)
    assert odd["routes"] == ("ERROR", "the routes hold different docids")
    assert odd["checksums"][0] == "ERROR"
    shutil.rmtree(path / "te")
    assert look(path)[0]["routes"] == ("ERROR", "missing: te")


def test_bm25(copy):
    path = copy("bm25")
    manifest = path / "xqg.json"
    manifest.write_text(manifest.read_text().replace('"passages": 1200', '"passages": 7'))
    assert look(path)[0]["lucene"] == ("ERROR", "1200 documents, the manifest says 7")
    (data,) = path.glob("*.fdt")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    verdict, detail = look(path)[0]["lucene"]
    assert verdict == "ERROR"
    assert "checksum" in detail


def test_unfinished(tmp_path):
    for name in ("x", "r"):
        with OutputFolder(tmp_path / name, "xqg.json") as folder:
            folder.start({}, {"index": b""})
            folder.append(1, {"index": b"1"})
            folder.append(1, {"index": b"2"})
    with open(tmp_path / "x.partial/blocks.jsonl", "ab") as log:
        log.write(b'{"rows"')
    for path in (tmp_path / "x", tmp_path / "x.partial"):
        odd, _ = look(path)
        assert odd["unfinished"][0] == "ERROR"
        assert odd["unfinished"][1].startswith("2 committed block(s); run the command")
    shutil.move(tmp_path / "x.partial", tmp_path / "r.partial/te.partial")
    assert look(tmp_path / "r")[0]["unfinished"][1].startswith("4 committed")


def test_an_unfinished_replacement_beside_it(copy):
    path = copy("s")
    path.with_name("s.partial").mkdir()
    odd, names = look(path)
    assert names == [*STORE, "unfinished"]
    assert odd["unfinished"] == ("warning", f"{path}.partial is there too, from --overwrite")


def test_exit_status(made, copy, tmp_path):
    def run(*words):
        command = [sys.executable, "-m", "pyserini_xqg.verify", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True)

    good = run(made / "s", "--no-encoder")
    assert (good.returncode, good.stderr) == (0, "")
    path = copy("s")
    (path / "docid").unlink()
    bad = run(path, "--no-encoder")
    assert (bad.returncode, bad.stderr) == (1, "")
    assert f"ERROR    {path}: files: missing: docid\n" in bad.stdout
    nothing = run(tmp_path / "nothing")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr == f"error: no such folder: {tmp_path}/nothing\n"


def test_usage(made, tmp_path):
    with pytest.raises(XqgError, match="is neither an embedding store .* nor an index"):
        main([str(tmp_path)])
    with pytest.raises(XqgError, match="leave the options of the encoder out"):
        main([str(made / "s"), "--no-encoder", "--encoder", "m"])
    with pytest.raises(XqgError, match="is no embedding store"):
        main([str(made / "flat"), "--store", str(made / "flat")])
