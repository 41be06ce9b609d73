from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import (
    GeneratedQueries,
    Passage,
    PassageFormat,
    parse_passage,
    parse_queries,
    queries_of,
)

TEXT = PassageFormat()
TITLED = PassageFormat(("title", "text"))


def line(**row):
    return json.dumps(row).encode()


@pytest.mark.parametrize(
    ("row", "form", "expected"),
    [
        ({"docid": "007", "text": "b"}, TEXT, Passage("007", "", "b")),
        ({"_id": "12#3", "title": "a", "text": ""}, TEXT, Passage("12#3", "a", "")),
        ({"id": -1018987027025691298, "contents": " b "}, TEXT,
         Passage("-1018987027025691298", "", "b")),
        ({"id": "x", "contents": "a\nb"}, TITLED, Passage("x", "a", "b")),
        ({"id": "x", "contents": "a\nb\n"}, TITLED, Passage("x", "a", "b")),
        ({"id": "x", "contents": "a\n"}, TITLED, Passage("x", "a", "")),
        ({"id": "x", "contents": "a\tb"}, PassageFormat(("title", "text"), delimiter="\t"),
         Passage("x", "a", "b")),
        ({"key": "x", "text": None}, PassageFormat(docid_field="key"), Passage("x", "", "")),
        ({"docid": "x", "id": "y", "text": "b"}, TEXT, Passage("x", "", "b")),
    ],
)  # fmt: skip
def test_passages(row, form, expected):
    assert parse_passage(line(**row), "c.jsonl:1", form) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "c.jsonl:9: not JSON"),
        (b"[1]", "c.jsonl:9: expected a JSON object, found a list"),
        (b"[" * 100_000, "c.jsonl:9: not JSON"),
        (b'{"docid": "\xff"}', r"c.jsonl:9: not UTF-8 \(byte 12 of the line\)"),
        (
            line(text="b"),
            "c.jsonl:9: no docid; expected a string in docid, id or _id, found text",
        ),
        (
            line(docid=True, text="b"),
            "c.jsonl:9: 'docid' is True; expected a string, or an integer",
        ),
        (line(docid=1.0, text="b"), "c.jsonl:9: 'docid' is 1.0; expected a string, or an integer"),
        (line(docid=None, id="a", text="b"), "c.jsonl:9: 'docid' is None; expected a string"),
        (line(id=["a"], text="b"), r"c.jsonl:9: 'id' is \['a'\]; expected a string"),
        (line(docid="a b", text="b"), "c.jsonl:9: docid 'a b' is empty or holds white space"),
        (line(docid="a\n", text="b"), "holds white space"),
        (line(docid="a\u2028", text="b"), "holds white space"),
        (line(docid="a\0", text="b"), r"docid 'a\\x00' is empty or holds white space or NUL"),
        (line(docid="", text="b"), "is empty"),
        (line(docid="a"), "no field 'text' or 'contents'; found docid"),
        (line(docid="a", text=["b"]), r"expected 'text' to be a string, found \['b'\]"),
        (b'{"docid": "a", "text": "\\ud800"}', "half of a surrogate pair"),
        (b'{"docid": ' + b"1" * 5000 + b"}", "c.jsonl:9: not JSON .*4300 digits"),
        (b'{"docid": "a", "text": "b", "text": "c"}', "not JSON .the key 'text' stands twice"),
    ],
)
def test_broken_passages(content, message):
    with pytest.raises(XqgError, match=message):
        parse_passage(content, "c.jsonl:9", TEXT)


def test_contents_must_hold_the_fields():
    with pytest.raises(XqgError, match=r"holds 3 fields separated by '\\n', expected 2 \(title te"):
        parse_passage(line(id="a", contents="a\nb\nc"), "c.jsonl:1", TITLED)
    with pytest.raises(XqgError, match=r"holds 1 fields separated by '\\n', expected 2"):
        parse_passage(line(id="a", contents="a"), "c.jsonl:1", TITLED)


@pytest.mark.parametrize(
    "row",
    [
        {"id": "5", "predicted_queries": ["a", "b"]},
        {"_id": "5", "generated_queries": ["a", "b"]},
        {"docid": "5", "generated_queries": ["a", "b"], "lang": "te"},
        {"docid": "5", "predicted_queries": ["a", "b"], "lang": " te"},
        {"docid": "5", "generated_queries": {"te": ["a", "b"]}, "predicted_queries": ["c"]},
    ],
)
def test_queries_of_one_language(row):
    expected = GeneratedQueries("5", {"te": ["a", "b"]})
    assert queries_of(row, "q.jsonl:1", language="te") == expected
    if "lang" in row or isinstance(row.get("generated_queries"), dict):
        assert queries_of(row, "q.jsonl:1", language="fi") == expected
    else:
        with pytest.raises(XqgError, match=r"q.jsonl:1: '\w+' does not say its language; "):
            queries_of(row, "q.jsonl:1")


def test_queries_of_the_public_data_set():
    row = {"docid": "5", "title": "t", "text": "p", "generated_queries": {"AR": ["a"], "te": []}}
    assert parse_queries(line(**row), "q.jsonl:1") == GeneratedQueries("5", {"ar": ["a"], "te": []})


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (None, "expected 'generated_queries' to be an object of lists by language, found None"),
        (["a"], r"'generated_queries' does not say its language; give it with --language"),
        ("a", r"expected 'generated_queries' to be an object"),
        ({"ar": "a"}, r"expected generated_queries\['ar'\] to be a list of strings, found 'a'"),
        ({"ar": [1]}, r"list of strings, found \[1\]"),
        ({" ar": ["a"]}, "q.jsonl:4: ' ar' is not a language code"),
    ],
)
def test_broken_queries(queries, message):
    with pytest.raises(XqgError, match=message):
        parse_queries(line(docid="a", generated_queries=queries), "q.jsonl:4")


def test_an_object_under_another_name_is_no_query_by_language():
    with pytest.raises(XqgError, match="q.jsonl:4: expected 'generated_queries' to be an object"):
        parse_queries(line(docid="a", predicted_queries={"te": ["q"]}), "q.jsonl:4")


@pytest.mark.parametrize("score", [10**400, float("nan"), True, "1"])
def test_scores_are_numbers_that_a_float_can_hold(score):
    row = {"docid": "a", "generated_queries": {"te": ["q"]}, "scores": {"te": [score]}}
    with pytest.raises(XqgError, match=r"q.jsonl:4: scores\['te'\]: expected 1 numbers, one for"):
        parse_queries(line(**row), "q.jsonl:4")


def test_a_language_without_scores_has_none_for_each_query():
    row = {"docid": "a", "generated_queries": {"te": ["q", "r"], "ar": ["s"]},
           "scores": {"ar": [0.5]}}  # fmt: skip
    assert parse_queries(line(**row), "q.jsonl:4").scores == {"te": [None, None], "ar": [0.5]}
    row["scores"]["te"] = [1.0]
    with pytest.raises(XqgError, match=r"scores\['te'\]: expected 2 numbers.* found \[1.0\]$"):
        parse_queries(line(**row), "q.jsonl:4")


def test_what_was_found_is_cut_where_it_is_long():
    with pytest.raises(XqgError, match=r"found \['x{55}\.\.\.$"):
        parse_passage(line(docid="a", text=[80 * "x"]), "c.jsonl:9", TEXT)
    with pytest.raises(XqgError, match=r"found \['x{56}'\]$"):
        parse_passage(line(docid="a", text=[56 * "x"]), "c.jsonl:9", TEXT)


def test_the_byte_that_is_not_utf8_is_counted_from_one():
    with pytest.raises(XqgError, match=r"not UTF-8 \(byte 12 of the line\)"):
        parse_passage(b'{"docid": "\xff"}', "c.jsonl:9", TEXT)


@pytest.mark.parametrize("scores", [[0.5], {"fi": [0.5]}, "x"])
def test_scores_have_the_languages_of_the_queries(scores):
    row = {"docid": "a", "generated_queries": {"te": ["q"]}, "scores": scores}
    with pytest.raises(XqgError, match="q.jsonl:4: expected 'scores' to be an object of lists by"):
        parse_queries(line(**row), "q.jsonl:4")
