from __future__ import annotations

import faiss
import numpy as np
import pytest

from pyserini_xqg.index.exact import ExactIndex


def index_of(vectors):
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return ExactIndex(index)


def by_hand(vectors, topics, k):
    """Every product in float64, rounded once; equal ones in the order of the rows."""
    scores = (topics.astype(np.float64) @ vectors.T.astype(np.float64)).astype(np.float32)
    rows = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, rows, axis=1), rows


@pytest.fixture
def vectors():
    vectors = np.random.default_rng(0).normal(size=(3000, 24)).astype(np.float32)
    vectors[400:1900] = vectors[7]  # more of one score than is first asked for
    return vectors


@pytest.mark.parametrize("k", [1, 10, 300])
def test_the_ranking_is_that_of_exact_products(vectors, k):
    topics = np.random.default_rng(1).normal(size=(30, 24)).astype(np.float32)
    topics[3] = vectors[7]
    scores, rows = index_of(vectors).search(topics, k)
    expected_scores, expected_rows = by_hand(vectors, topics, k)
    assert np.array_equal(rows, expected_rows)
    assert np.array_equal(scores, expected_scores)
    assert rows[3, : min(k, 3)].tolist() == [7, 400, 401][:k]


def test_the_answer_does_not_depend_on_the_company(vectors):
    topics = np.random.default_rng(1).normal(size=(30, 24)).astype(np.float32)
    whole = index_of(vectors)
    together, _ = whole.search(topics, 20)
    for number in (0, 17):
        alone, _ = whole.search(topics[number : number + 1], 20)
        assert np.array_equal(alone[0], together[number])
    parts = [index_of(part).search(topics, 20)[0] for part in (vectors[:777], vectors[777:])]
    assert np.array_equal(-np.sort(-np.concatenate(parts, axis=1), axis=1)[:, :20], together)


def test_more_than_there_are():
    scores, rows = index_of(np.eye(3, dtype=np.float32)).search(np.eye(3, dtype=np.float32)[:1], 5)
    assert rows.tolist() == [[0, 1, 2, -1, -1]]
    assert scores.tolist() == [[1, 0, 0, -np.inf, -np.inf]]
    assert index_of(np.empty((0, 3), dtype=np.float32)).search(scores[:, :3], 1)[1] == -1


def test_all_else_is_the_indexs_own(vectors):
    index = index_of(vectors)
    assert (index.d, index.ntotal) == (24, 3000)
    assert np.array_equal(index.reconstruct_n(5, 2), vectors[5:7])
    assert not hasattr(index, "hnsw")


class Proposing:
    """An index of one component, 4, whose own scores are off by so many last places of 8."""

    def __init__(self, errors):
        self.ntotal, self.asked = len(errors), []
        self.scores = np.float32(8) - np.array(errors, dtype=np.float32) * np.float32(2**-21)

    def search(self, vectors, k):
        self.asked.append(k)
        order = np.argsort(-self.scores, kind="stable")[:k]
        return self.scores[None, order], order[None]

    def reconstruct_batch(self, rows):
        return np.full((len(rows), 1), 4, dtype=np.float32)


@pytest.mark.parametrize(
    ("errors", "asked"),
    [
        # Three roundings at most: the last one proposed, off by three, may tie with one that is
        # not proposed; off by four it is below all that could.
        ([0] * 79 + [3, 3], [80, 81]),
        ([0] * 79 + [4, 4], [80]),
        ([0] * 80 + [4], [80, 81]),
    ],
)
def test_it_is_asked_again_where_rounding_could_hide_a_row(errors, asked):
    index = Proposing(errors)
    scores, rows = ExactIndex(index).search(np.full((1, 1), 2, dtype=np.float32), 13)
    assert index.asked == asked  # a quarter and 64 more than are wanted
    assert rows.tolist() == [[*range(13)]]
    assert scores.tolist() == [[8.0] * 13]
