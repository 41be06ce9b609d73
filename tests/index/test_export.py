from __future__ import annotations

import json

import faiss
import numpy as np
import pyarrow.parquet
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.java import prepare
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index import export
from pyserini_xqg.index.__main__ import main
from pyserini_xqg.index.anserini import count_documents
from pyserini_xqg.index.build import build_index
from pyserini_xqg.index.export import read_parts
from pyserini_xqg.index.lucene import _index as anserini
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store

FUSION = Fusion("mean", 0.5)
ROWS = 2500


@pytest.fixture(scope="module")
def made(encoder, tmp_path_factory, write_large):
    """A store, and of it a flat index and both exports."""
    folder = tmp_path_factory.mktemp("made")
    corpus, queries = write_large(folder, ROWS)
    encode_corpus(corpus, folder / "store", encoder, queries=[queries])
    store = Store([folder / "store"])
    build_index(store, folder / "flat", FUSION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "PART", 2)
        for form in ("jsonl", "parquet"):
            build_index(store, folder / form, FUSION, to=form)
    return folder


def stored(made):
    index = faiss.read_index(str(made / "flat/index"))
    return (made / "flat/docid").read_text().splitlines(), index.reconstruct_n(0, ROWS)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_every_bit_comes_back(made, form):
    docids, vectors = stored(made)
    sizes = [1, 1500, ROWS - 1501]
    read = list(read_parts(made / form / "vectors", form, sizes))
    assert [len(names) for names, _ in read] == sizes
    assert [docid for names, _ in read for docid in names] == docids
    assert np.array_equal(np.concatenate([part for _, part in read]), vectors)
    assert [path.name for path in sorted((made / form / "vectors").iterdir())] == [
        f"part-00000.{form}", f"part-00001.{form}",
    ]  # fmt: skip
    assert sorted(path.name for path in (made / form).iterdir()) == ["docid", "vectors", "xqg.json"]
    manifest = json.loads((made / form / "xqg.json").read_text())
    assert (manifest["kind"], manifest["passages"], manifest["alpha"]) == (form, ROWS, 0.5)
    for wrong in (ROWS - 1, ROWS + 1):
        with pytest.raises(XqgError, match=r"(more|fewer) vectors than the manifest says"):
            list(read_parts(made / form / "vectors", form, [wrong]))


def test_parquet_is_what_databases_take(made):
    """Read with nothing of ours: columns, types, metadata, and the top 10 of FAISS."""
    table = pyarrow.parquet.read_table(made / "parquet/vectors")
    assert str(table.schema.field("docid").type) == "string"
    assert str(table.schema.field("vector").type) == "fixed_size_list<element: float>[16]"
    about = json.loads(table.schema.metadata[b"xqg"])
    assert about["encoder"]["pooling"] == "cls"
    assert (about["method"], about["dimension"]) == ("mean", 16)
    column = table["vector"].combine_chunks()
    again = faiss.IndexFlatIP(16)
    again.add(column.flatten().to_numpy().reshape(-1, 16))
    assert table["docid"].to_pylist() == stored(made)[0]
    index = faiss.read_index(str(made / "flat/index"))
    topics = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    for ours, theirs in zip(index.search(topics, 10), again.search(topics, 10), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_anserini_takes_every_row(made, form, tmp_path):
    prepare()
    anserini("IndexFlatDenseVectors", made / form / "vectors", tmp_path / "lucene", form, 1, {})
    assert count_documents(tmp_path / "lucene") == ROWS


def test_the_lines_are_pyserinis(made):
    row = json.loads((made / "jsonl/vectors/part-00000.jsonl").read_text().splitlines()[3])
    assert (row["id"], row["docid"], len(row["vector"])) == ("d3", "d3", 16)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_killed_export_goes_on(made, form, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "PART", 1)
    store, real, begun = Store([made / "store"]), export.FORMS[form], []

    def breaking(path, about):
        begun.append(path.name)
        if len(begun) == 3:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return real(path, about)

    monkeypatch.setitem(export.FORMS, form, breaking)
    with pytest.raises(KeyboardInterrupt):
        build_index(store, tmp_path / "x", FUSION, to=form)
    assert not (tmp_path / "x").exists()
    build_index(store, tmp_path / "x", FUSION, to=form)
    assert [name[:10] for name in begun] == [f"part-0000{i}" for i in (0, 1, 2, 2)]
    read = list(read_parts(tmp_path / "x/vectors", form, [ROWS]))
    assert np.array_equal(read[0][1], stored(made)[1])
    assert len(list((tmp_path / "x/vectors").iterdir())) == 3
    assert (tmp_path / "x/docid").read_text() == (made / "flat/docid").read_text()


def test_damage_is_found(made, tmp_path):
    for form, at in (("parquet", 20_000), ("jsonl", 20)):
        content = bytearray((made / form / f"vectors/part-00000.{form}").read_bytes())
        content[at] ^= 1
        (tmp_path / f"part-00000.{form}").write_bytes(content)
        with pytest.raises(XqgError, match=rf"part-00000\.{form}(:1)?: damaged \(.*; export again"):
            list(read_parts(tmp_path, form, [2048]))


def test_from_the_command_line_with_routes(made, tmp_path):
    main(["--embeddings", str(made / "store"), "--output", str(tmp_path / "r"), "--to", "parquet",
          "--method", "mean", "--alpha", "0.5", "--routed"])  # fmt: skip
    for route in ("ar", "te", "all"):
        (_, vectors), *_ = read_parts(tmp_path / "r" / route / "vectors", "parquet", [ROWS])
        assert np.array_equal(vectors, stored(made)[1]) == (route == "all")
