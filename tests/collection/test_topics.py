from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.topics import (
    Expansion,
    Topic,
    parse_topic,
    read_topics,
)


def line(**row):
    return json.dumps(row).encode()


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"qid": "te-007", "title": "a", "lang": "te"}, Topic("te-007", "a", "te")),
        ({"id": "007", "question": "a\tb\n c", "lang": " ar"}, Topic("007", "a b c", "ar")),
        ({"id": -5, "question": "a"}, Topic("-5", "a", "")),
        ({"_id": "a", "text": "b", "metadata": {}}, Topic("a", "b", "")),
        ({"query_id": "a", "query": "b", "positive_passages": []}, Topic("a", "b", "")),
        ({"query_id": "a", "query": "b", "language": "bn"}, Topic("a", "b", "bn")),
    ],
)
def test_topics(row, expected):
    assert parse_topic(line(**row), "t.jsonl:1") == expected


def test_a_language_from_the_command_wins():
    assert parse_topic(line(qid="1", title="a", lang="te"), "t:1", "bn").language == "bn"


def test_tsv_topics(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text('\ufeff007\tఎంత\tx\n8\t"a" b\n')
    assert read_topics(path, "te") == [Topic("007", "ఎంత x", "te"), Topic("8", '"a" b', "te")]
    path.write_text("qid\tquery\n007\tఎంత\n")
    assert read_topics(path) == [Topic("007", "ఎంత", "")]
    path.write_text("007 a\n")
    with pytest.raises(XqgError, match=r"t.tsv:1: 1 tab-separated .*; expected 2: topic id"):
        read_topics(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"title": "a"}, "no topic id; expected a string in qid, id, _id or query_id, found title"),
        (
            {"qid": "1", "txt": "a"},
            "no question; expected a string in .* or text, found qid, txt",
        ),
        ({"qid": "1", "title": None}, "no question; expected a string in title"),
        ({"qid": 1.0, "title": "a"}, "t.jsonl:1: 'qid' is 1.0; expected a string, or an integer"),
        ({"qid": "1 2", "title": "a"}, "topic id '1 2' is empty or holds white space"),
        ({"qid": "1\0", "title": "a"}, "is empty or holds white space or NUL"),
    ],
)
def test_broken_topics(row, message):
    with pytest.raises(XqgError, match=message):
        parse_topic(line(**row), "t.jsonl:1")


def test_topics_of_every_form(write_jsonl, tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("007\tఎంత\n")
    (topic,) = read_topics(path, "te")
    assert tuple(topic) == ("007", "ఎంత", "te", ())
    with pytest.raises(XqgError, match=r"t\.jsonl:2: duplicate topic id '1'"):
        read_topics(write_jsonl("t.jsonl", [{"qid": "1", "title": "a"}] * 2))
    with pytest.raises(XqgError, match="no topics in it"):
        read_topics(write_jsonl("e.jsonl", []))


def topic_with(value):
    row = {"qid": "1", "title": "Missä?", "lang": "fi", "expansions": value}
    return parse_topic(json.dumps(row).encode(), "t.jsonl:3")


def test_a_row():
    topic = topic_with([
        {"kind": "passage", "lang": "BN-latn", "text": "a\tb\n c"},
        {"kind": "paraphrase", "text": "Mikä?"},
    ])  # fmt: skip
    assert topic.expansions == (
        Expansion("passage", "bn-Latn", "a b c"),
        Expansion("paraphrase", "", "Mikä?"),
    )
    assert topic_with([]).expansions == ()


@pytest.mark.parametrize(
    "value",
    ["a", None, ["a"], [{"kind": "pasage", "text": "a"}], [{"kind": "passage", "text": 1}],
     [{"kind": "passage"}], [{"kind": "passage", "lang": None, "text": "a"}]],
)  # fmt: skip
def test_what_is_no_list_of_expansions(value):
    with pytest.raises(XqgError, match=r"t\.jsonl:3: expected 'expansions' to be .*passage, para"):
        topic_with(value)


def test_a_language_that_is_none():
    with pytest.raises(XqgError, match=r"t\.jsonl:3: 'x!' is not a language code"):
        topic_with([{"kind": "passage", "lang": "x!", "text": "a"}])


def test_topics_without_text_are_counted(write_jsonl):
    rows = [{"qid": "1", "title": ""}, {"qid": "2", "title": "\u3000"}, {"qid": "3", "title": "a"}]
    with pytest.warns(UserWarning, match=r"2 topic\(s\) without text, e.g. '1'"):
        assert [topic.qid for topic in read_topics(write_jsonl("t.jsonl", rows))] == ["1", "2", "3"]
