from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.recall import Queries, Sample, encode_topics, measure, say

VECTORS = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
DOCIDS = [f"d{row}" for row in range(50)]


def fused(vectors=VECTORS):
    def blocks(what):
        for start in range(0, len(vectors), 20):
            yield DOCIDS[start : start + 20], vectors[start : start + 20]

    return SimpleNamespace(passages=len(vectors), blocks=blocks)


class Stepwise:
    """Finds the exact hits but for as many wrong ones at the end as its effort leaves."""

    def __init__(self, wrong, vectors=VECTORS):
        self.wrong, self.vectors, self.effort = wrong, vectors, None

    def tune(self, effort):
        if effort.ef_search is None:
            raise XqgError("no such setting")
        self.effort = effort.ef_search

    def search(self, vectors, k):
        order = np.argsort(-(vectors @ self.vectors.T), axis=1)
        wrong = self.wrong[self.effort]
        rows = np.concatenate([order[:, : k - wrong], order[:, len(order[0]) - wrong :]], axis=1)
        return [[(DOCIDS[row], 0.0) for row in of_one] for of_one in rows]


def test_recall_of_topics_at_each_effort(capsys):
    topics = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    found = measure(fused(), Queries(topics, "topics of t"), Stepwise({16: 3, 64: 0, 256: 0}))
    assert found == {
        "k": 10, "queries": 4, "of": "topics of t", "recall": {"efSearch 16": 0.7, "efSearch 64": 1}
    }  # fmt: skip
    say(found)
    assert capsys.readouterr().err == (
        "recall@10 against flat: 0.700 at efSearch 16, 1.000 at efSearch 64 (4 topics of t)\n"
    )


def test_a_passage_does_not_count_for_itself(capsys):
    sample = Sample(50)
    for docids, vectors in fused().blocks(""):
        sample.add(docids, vectors)
    queries = sample.queries()
    assert queries.own == DOCIDS  # fewer than SAMPLE: all
    assert np.array_equal(queries.vectors, VECTORS)
    perfect = measure(fused(), queries, Stepwise({16: 0, 64: 0, 256: 0}))
    assert perfect["recall"] == {"efSearch 16": 1}
    found = measure(fused(), queries, Stepwise({16: 5, 64: 5, 256: 5}))
    # of 11 hits 5 are wrong, and where a passage finds itself it is taken out, else the last hit
    order = np.argsort(-(VECTORS @ VECTORS.T), axis=1)
    first = [row in order[row][:6] for row in range(50)]
    last = [row in order[row][-5:] for row in range(50)]
    good = [6 - own for own in first]
    assert sum(last) == 0
    assert found["recall"]["efSearch 16"] == pytest.approx(sum(good) / 500)
    say(found)
    assert "50 passages, their own vectors as queries; real topics are harder" in (
        capsys.readouterr().err
    )


def test_equal_scores_are_equally_good():
    vectors = np.repeat(VECTORS[:2], 25, axis=0)  # each query has 25 best ones

    class Last(Stepwise):
        def search(self, vectors, k):
            return [[(DOCIDS[row], 0.0) for row in range(end - k, end)] for end in (25, 50)]

    def recall(topics):
        return measure(fused(vectors), Queries(topics, "topics"), Last({}))["recall"]

    assert recall(VECTORS[:2]) == {"efSearch 16": 1}
    assert set(recall(VECTORS[1::-1]).values()) == {0}


def test_a_sample_is_even_and_small():
    sample = Sample(100_000)
    block = np.zeros((1000, 2), dtype=np.float32)
    for start in range(0, 100_000, 1000):
        sample.add([str(row) for row in range(start, start + 1000)], block)
    own = [int(docid) for docid in sample.queries().own]
    assert len(own) == 100
    assert (own[0], own[-1]) == (0, 99_999)
    assert {round(b - a, -1) for a, b in pairwise(own)} == {1010}


def test_a_single_passage_has_nothing_to_find(capsys):
    queries = Queries(VECTORS[:1], "passages", ["d0"])
    found = measure(fused(VECTORS[:1]), queries, Stepwise({}))
    assert found["recall"] == {}
    say(found)
    assert capsys.readouterr().err == ""


def test_topics_are_encoded_as_queries(encoder, write_jsonl, tmp_path):
    path = write_jsonl("t.jsonl", [{"qid": "1", "title": "w1 w2"}])
    queries = encode_topics(path, encoder.spec)
    assert queries.vectors == pytest.approx(encoder.encode_queries(["w1 w2"]), abs=1e-5)
    assert queries.own is None
