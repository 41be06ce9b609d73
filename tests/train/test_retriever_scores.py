from __future__ import annotations

import numpy as np

from pyserini_xqg.collection.records import Passage
from pyserini_xqg.train.examples import Example
from pyserini_xqg.train.retriever import DevScores, ranks_of


def test_ranks_are_those_of_the_best_positive_and_ties_count_against_it():
    queries = np.eye(3, dtype=np.float32)
    scores = np.array([[3, 2, 1, 0], [1, 1, 1, 1], [5, 0, 4, 4]], dtype=np.float32)
    ranks = ranks_of(queries, scores.T, [[1], [2], [1, 3]])
    assert ranks.tolist() == [2, 4, 3]


def test_more_queries_than_a_block():
    vectors = np.random.default_rng(0).normal(size=(2500, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert ranks_of(vectors, vectors, [[row] for row in range(2500)]).tolist() == [1] * 2500
    assert ranks_of(vectors, -vectors, [[row] for row in range(2500)]).tolist() == [2500] * 2500


class Model:
    """Vectors by a table, which also records what was asked for."""

    def __init__(self):
        self.table = {
            "q": [1, 0], "r": [0, 1], "T x": [2, 1], "y": [1, 0.5], "z": [1, 3], "n": [0, 2],
        }  # fmt: skip
        self.asked = []

    def encode_query(self, texts, batch_size, show_progress_bar):
        self.asked.append(("query", *texts))
        return np.array([self.table[text] for text in texts], dtype=np.float32)

    def encode_document(self, texts, batch_size, show_progress_bar):
        self.asked.append(("document", *texts))
        return np.array([self.table[text] for text in texts], dtype=np.float32)


def test_each_query_is_ranked_among_all_passages():
    x, y, z, n = (Passage("", "T" * (t == "x"), t) for t in "xyzn")
    scores = DevScores([Example("", "q", (y,), (n,)), Example("", "r", (x, z), (y,))], 4)
    model = Model()
    # For q: x 2, y and z 1, n 0: rank 3 for y with its tie. For r: z 3 is the first.
    assert scores(model) == {"mrr": (1 / 3 + 1) / 2, "success@1": 0.5, "success@10": 1.0}
    assert model.asked == [("document", "y", "T x", "z", "n"), ("query", "q", "r")]
