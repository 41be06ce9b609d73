from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.by_query import read_by_query, write_by_query


def test_there_and_back(tmp_path):
    scores = {"RR@10": {"007": 1 / 3, 'te,"1': 0.0}, "R@2kt": {"007": 1.0, 'te,"1': 0.5}}
    write_by_query(tmp_path / "scores.csv", scores)
    assert read_by_query(tmp_path / "scores.csv") == scores


def test_topics_in_any_order(tmp_path):
    write_by_query(tmp_path / "scores.csv", {"a": {"1": 1.0, "2": 2.0}, "b": {"2": 4.0, "1": 3.0}})
    assert (tmp_path / "scores.csv").read_text().split() == ["qid,a,b", "1,1.0,3.0", "2,2.0,4.0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: expected the columns qid and one or more measures, found none"),
        ("qid\n", ":1: expected the columns .* found qid"),
        ("topic,RR\na,1\n", ":1: expected the columns .* found topic, RR"),
        ("qid,RR,RR\na,1,1\n", ":1: 'RR' names two columns"),
        ("qid,RR\na,1\nb\n", r":3: expected a topic id and 1 number\(s\)"),
        ("qid,RR\na,1,2\n", ":2: expected a topic id"),
        ("qid,RR\na,one\n", ":2: expected a topic id"),
        ("qid,RR\na,nan\n", ":2: expected a topic id"),
        ("qid,RR\na,1\na,1\n", ":3: topic 'a' is given twice"),
        ("qid,RR\n", ": no topics in it"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(XqgError, match=message):
        read_by_query(path)


def test_a_missing_file():
    with pytest.raises(XqgError, match="no such file: nowhere"):
        read_by_query("nowhere")
