from __future__ import annotations

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.encode.blocks import encode_blocks, encode_generated


class Counting:
    """An encoder whose vectors are known by hand: length of the text, and 1."""

    dimension = 2

    def __init__(self):
        self.seen = []

    def encode_generated_queries(self, texts):
        self.seen += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(-1, 2)


def test_sums_and_counts_by_hand():
    queries = [{"te": ["aa", "b"]}, {}, {"ar": ["cccc"], "te": ["aa", "aa"]}, {"te": []}]
    encoder = Counting()
    sums, counts, vectors = encode_generated(queries, ["ar", "te"], encoder)
    assert sums["te"].tolist() == [[3, 2], [0, 0], [4, 2], [0, 0]]
    assert counts["te"].tolist() == [2, 0, 2, 0]
    assert vectors["te"].tolist() == [[2, 1], [1, 1], [2, 1], [2, 1]]
    assert sums["ar"].tolist() == [[0, 0], [0, 0], [4, 1], [0, 0]]
    assert sorted(encoder.seen) == ["aa", "b", "cccc"]  # each text once
    assert all(array.dtype == np.float32 for array in sums.values())


def test_no_queries_at_all():
    sums, counts, vectors = encode_generated([{}, {}], ["te"], Counting())
    assert sums["te"].tolist() == [[0, 0], [0, 0]]
    assert counts["te"].tolist() == [0, 0]
    assert vectors["te"].shape == (0, 2)


def test_languages_not_asked_for_are_left_out():
    encoder = Counting()
    sums, _, _ = encode_generated([{"te": ["a"], "fi": ["b"]}], ["te"], encoder)
    assert list(sums) == ["te"]
    assert encoder.seen == ["a"]


@pytest.mark.parametrize("n", [1, 5])
def test_a_real_encoder_gives_the_plain_sum(encoder, n):
    queries = [{"te": [f"w{i} w{j}" for j in range(i)]} for i in range(n)]
    sums, _, _ = encode_generated(queries, ["te"], encoder)
    for i in range(n):
        alone = [encoder.encode_queries([text])[0].astype(np.float64) for text in queries[i]["te"]]
        assert sums["te"][i] == pytest.approx(sum(alone, np.zeros(16)), abs=1e-5)


def test_one_vector_for_all_is_refused_unless_the_texts_are_one(encoder, write_jsonl, tmp_path):
    def encode(*texts):
        rows = [{"docid": str(i), "text": text} for i, text in enumerate(texts)]
        join = Join(write_jsonl("c.jsonl", rows), [], tmp_path)
        return [block.docids for block in encode_blocks(join, encoder, ["text"], 0, len(texts))]

    assert encode("w1 w2", "w1 w2") == [["0", "1"]]
    with pytest.raises(XqgError, match="all 2 passages from '0' on have the same vector"):
        encode("unknown", "words")


def test_a_sum_that_is_no_number_is_refused(encoder, write_jsonl, tmp_path, monkeypatch):
    corpus = write_jsonl("c.jsonl", [{"docid": "a", "text": "w1"}, {"docid": "b", "text": "w2"}])
    rows = [{"docid": "b", "generated_queries": {"ar": ["w3"], "te": ["w4"]}}]
    join = Join(corpus, [write_jsonl("q.jsonl", rows)], tmp_path)
    monkeypatch.setattr(
        encoder, "encode_generated_queries",
        lambda texts: np.array([[np.nan if text == "w4" else 1] * 16 for text in texts]),
    )  # fmt: skip
    with pytest.raises(XqgError, match="'b'"):
        list(encode_blocks(join, encoder, ["text"], 0, 2))
