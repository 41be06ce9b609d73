from __future__ import annotations

import threading

import numpy as np
import pytest

from pyserini_xqg.encoder.tokens import Tokens, one_ahead

TOKENS = Tokens.of([[5, 6, 7], [8], [], [9, 10]])


def test_ids_and_lengths():
    assert TOKENS.ids.tolist() == [5, 6, 7, 8, 9, 10]
    assert TOKENS.lengths.tolist() == [3, 1, 0, 2]
    assert TOKENS.ids.dtype == TOKENS.lengths.dtype == np.int64
    assert Tokens.of([]).ids.tolist() == Tokens.of([[], []]).ids.tolist() == []


@pytest.mark.parametrize(
    ("left", "ids", "mask"),
    [
        (False, [[9, 10, 1], [5, 6, 7], [1, 1, 1]], [[1, 1, 0], [1, 1, 1], [0, 0, 0]]),
        (True, [[1, 9, 10], [5, 6, 7], [1, 1, 1]], [[0, 1, 1], [1, 1, 1], [0, 0, 0]]),
    ],
)
def test_batches(left, ids, mask):
    found = TOKENS.padded(np.array([3, 0, 2]), 1, left=left)
    assert [array.tolist() for array in found] == [ids, mask]
    assert [array.dtype for array in found] == [np.int64, np.int64]


def test_one_ahead():
    made = []
    found = one_ahead(lambda item: made.append(item) or 10 * item, iter(range(4)))
    assert list(found) == [0, 10, 20, 30]
    assert made == [0, 1, 2, 3]
    assert list(one_ahead(str, [])) == []


def test_one_ahead_is_one_ahead_and_no_more():
    began = [threading.Event() for _ in range(3)]
    found = one_ahead(lambda number: began[number].set() or number, range(3))
    assert next(found) == 0
    assert began[1].wait(timeout=10)
    assert not began[2].is_set()
    assert list(found) == [1, 2]


def test_what_fails_ahead_fails_in_its_turn():
    found = one_ahead(lambda number: 1 / number, [1, 0])
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
