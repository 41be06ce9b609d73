from __future__ import annotations

import numpy as np
import pytest
from made_stores import random_shards

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.store.rows import docids_of, lines_at, read_docids, take_rows
from pyserini_xqg.store.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return random_shards(tmp_path_factory.mktemp("rows"), [BLOCK + 5, 7, 3])


def test_rows_in_any_order(store):
    whole = list(store.blocks())
    passages = np.concatenate([block.passages for block in whole])
    last = store.passages - 1
    rows = np.array([last, 3, 4, BLOCK + 5, 5, BLOCK + 4, 0, BLOCK + 12, 3])
    taken = take_rows(store, rows)
    assert np.array_equal(taken.passages, passages[rows])
    for code in ("ar", "te"):
        sums = np.concatenate([block.sums[code] for block in whole])
        counts = np.concatenate([block.counts[code] for block in whole])
        assert np.array_equal(taken.sums[code], sums[rows])
        assert np.array_equal(taken.counts[code], counts[rows])
        assert taken.counts[code].dtype == np.int32
    assert list(take_rows(store, rows, ["te"]).sums) == ["te"]
    assert take_rows(store, rows, []).counts == {}


def test_docids(store):
    assert list(read_docids(store)) == [f"p{row}" for row in range(store.passages)]
    assert docids_of(store, {0, BLOCK + 5}) == {0: "p0", BLOCK + 5: f"p{BLOCK + 5}"}


@pytest.mark.parametrize("chunk", [1, 7, 1 << 18])
def test_docids_however_they_are_read(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("pyserini_xqg.store.rows._CHUNK", chunk)
    docids = ["লন্ডন", "a", "é#1", "x" * 50, "z"]
    (tmp_path / "docid").write_bytes("".join(f"{docid}\n" for docid in docids).encode())
    for rows in ([], [0], [4], [1, 2], [0, 3, 4], [0, 1, 2, 3, 4]):
        found = lines_at(tmp_path / "docid", np.array(rows, np.int64))
        assert list(found) == [docids[row] for row in rows]
    with pytest.raises(XqgError, match="docid: shorter than the manifest says"):
        list(lines_at(tmp_path / "docid", np.array([4, 5])))


def test_gaps_between_rows(tmp_path):
    (store,) = random_shards(tmp_path, [400]).paths
    store = Store([store])
    passages = np.concatenate([block.passages for block in store.blocks()])
    rows = np.array([0, 17, 18, 36, 55, 300, 399])  # 16 rows between are read, 17 passed over
    assert np.array_equal(take_rows(store, rows).passages, passages[rows])


def test_what_is_refused(store, tmp_path):
    with pytest.raises(XqgError, match="no queries in fi"):
        take_rows(store, np.array([0]), ["fi"])
    short = Store(random_shards(tmp_path, [9]).paths)
    with open(tmp_path / "s0/queries.te.sum.npy", "r+b") as file:
        file.truncate(200)
    with pytest.raises(XqgError, match=r"queries\.te\.sum\.npy: shorter than the manifest says"):
        take_rows(short, np.array([8]))
