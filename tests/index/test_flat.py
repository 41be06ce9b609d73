from __future__ import annotations

import json

import faiss
import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.index.flat import FlatIndexWriter, block_rows, open_index, read_flat
from pyserini_xqg.store.block import check_finite, check_vectors


def write(path, vectors, block=1000):
    with OutputFolder(path, "xqg.json") as folder:
        writer = FlatIndexWriter(folder, {}, vectors.shape[1])
        for start in range(0, len(vectors), block):
            part = vectors[start : start + block]
            writer.append([f"d{start + i}" for i in range(len(part))], part)
        writer.finish({})


@pytest.mark.parametrize(("rows", "dimension"), [(0, 5), (1, 1), (2500, 24)])
def test_the_bytes_are_those_of_faiss(tmp_path, rows, dimension):
    vectors = np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)
    write(tmp_path / "out", vectors)
    index = faiss.IndexFlatIP(dimension)
    index.add(vectors)
    faiss.write_index(index, str(tmp_path / "stock"))
    assert (tmp_path / "out/index").read_bytes() == (tmp_path / "stock").read_bytes()
    assert (tmp_path / "out/docid").read_text().splitlines() == [f"d{i}" for i in range(rows)]
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == [
        "docid", "index", "xqg.json",
    ]  # fmt: skip


def test_a_mapped_index_finds_the_same(tmp_path):
    rng = np.random.default_rng(0)
    vectors, queries = (rng.normal(size=(n, 24)).astype(np.float32) for n in (500, 7))
    write(tmp_path / "out", vectors)
    scores, rows = open_index(tmp_path / "out/index").search(queries, 10)
    expected = queries @ vectors.T
    assert np.array_equal(rows, np.argsort(-expected, axis=1)[:, :10])
    assert scores == pytest.approx(-np.sort(-expected, axis=1)[:, :10], rel=1e-5)


def test_a_damaged_index(tmp_path):
    (tmp_path / "index").write_bytes(b"IxFI")
    with pytest.raises(XqgError, match="FAISS cannot read it"):
        open_index(tmp_path / "index")


def test_nan_names_the_passage(tmp_path):
    vectors = np.zeros((3, 2), dtype=np.float32)
    vectors[1, 0] = np.nan
    with pytest.raises(XqgError, match=r"passage 'b' holds NaN or infinity \(1 in this block\)"):
        check_finite(vectors, ["a", "b", "c"])
    with OutputFolder(tmp_path / "out", "m") as folder:
        writer = FlatIndexWriter(folder, {}, 2)
        with pytest.raises(XqgError, match="passage 'b'"):
            writer.append(["a", "b", "c"], vectors)
        with pytest.raises(XqgError, match=r"shape \(3, 2\) for 2 docids; expected \(2, 2\)"):
            writer.append(["a", "b"], np.zeros((3, 2), dtype=np.float32))


def test_one_vector_for_all_is_refused():
    with pytest.raises(XqgError, match="all 3 passages from 'a' on have the same vector"):
        check_vectors(np.ones((3, 2), dtype=np.float32), ["a", "b", "c"])
    check_vectors(np.ones((1, 2), dtype=np.float32), ["a"])


def test_it_is_read_as_it_was_written(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(25, 4)).astype(np.float32)
    write(tmp_path / "out", vectors, block=10)
    written = json.loads((tmp_path / "out/xqg.json").read_text())
    assert written["blocks"] == [[10, 2], [5, 1]]
    manifest = {**written, "passages": 25, "dimension": 4}
    assert block_rows(manifest) == [10, 10, 5]
    read = list(read_flat(tmp_path / "out", manifest, [7, 9, 9], start=1))
    assert [docids[0] for docids, _ in read] == ["d7", "d16"]
    assert np.array_equal(np.concatenate([part for _, part in read]), vectors[7:])
    with pytest.raises(XqgError, match="damaged: no flat index of 24 vectors of dimension 4, as"):
        next(read_flat(tmp_path / "out", {**manifest, "passages": 24}, [24]))
