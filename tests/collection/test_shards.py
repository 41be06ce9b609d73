from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import shard_range


def test_shards_are_cut_as_pyserini_does():
    assert [shard_range(10, i, 3) for i in range(3)] == [(0, 3), (3, 6), (6, 10)]
    for shard, number in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(XqgError, match="ids go from 0 to shard-num - 1"):
            shard_range(10, shard, number)


def test_a_shard_without_passages_is_refused():
    assert shard_range(2, 2, 3) == (0, 2)  # all are in the last one
    with pytest.raises(XqgError, match="shard 1 of 3 is empty: the corpus has only 2 passages"):
        shard_range(2, 1, 3)
