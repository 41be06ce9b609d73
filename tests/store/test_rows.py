from __future__ import annotations

import numpy as np
import pytest
from made_stores import random_shards

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.store.rows import docids_of, read_docids, take_rows
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


def test_what_is_refused(store, tmp_path):
    with pytest.raises(XqgError, match="no queries in fi"):
        take_rows(store, np.array([0]), ["fi"])
    short = Store(random_shards(tmp_path, [9]).paths)
    with open(tmp_path / "s0/queries.te.sum.npy", "r+b") as file:
        file.truncate(200)
    with pytest.raises(XqgError, match=r"queries\.te\.sum\.npy: shorter than the manifest says"):
        take_rows(short, np.array([8]))
