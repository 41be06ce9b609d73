from __future__ import annotations

import gzip
import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.train.examples import Example, passage_text, read_examples

PARIS = {"docid": "7", "title": "Paris", "text": "A city."}
ROME = {"docid": 8, "title": "", "text": " Another city. "}


def test_tevatrons_rows_keep_all_passages(write_jsonl, tmp_path):
    path = write_jsonl(
        "train.jsonl",
        [
            {
                "query_id": "1",
                "query": " మీరు  ఎక్కడ? ",
                "lang": " te",  # as XOR-TyDi has it
                "answers": ["x"],
                "positive_passages": [PARIS],
                "negative_passages": [ROME],
            },
            {"query": "Who?", "positive_passages": [PARIS, ROME]},
        ],
    )
    paris, rome = Passage("7", "Paris", "A city."), Passage("8", "", "Another city.")
    assert read_examples([path]) == [
        Example("te", "మీరు ఎక్కడ?", (paris,), (rome,)),
        Example("", "Who?", (paris, rome), ()),
    ]
    assert [passage_text(p) for p in (paris, rome)] == ["Paris A city.", "Another city."]


def test_generated_queries_and_tables_are_examples_too(write_jsonl, tmp_path):
    row = {"docid": "d", "title": "T", "text": "x", "generated_queries": {"fi": ["a", "b"]}}
    generated = write_jsonl("g.jsonl", [row])
    with gzip.open(tmp_path / "t.tsv.gz", "wt") as file:
        file.write("q\tx\n\nfi\tq r\tx\nfi\tq\tT\tx\n")
    assert read_examples([generated, tmp_path / "t.tsv.gz"]) == [
        Example("fi", "a", (Passage("d", "T", "x"),)),
        Example("fi", "b", (Passage("d", "T", "x"),)),
        Example("", "q", (Passage("", "", "x"),)),
        Example("fi", "q r", (Passage("", "", "x"),)),
        Example("fi", "q", (Passage("", "T", "x"),)),
    ]


def test_rows_that_teach_nothing_are_left_out_with_a_warning(write_jsonl, tmp_path):
    path = write_jsonl(
        "train.jsonl",
        [
            {"query": "q", "positive_passages": []},
            {"query": "q", "positive_passages": [{"text": " "}]},
            {"query": " ", "positive_passages": [PARIS]},
            {"query": "q", "positive_passages": [PARIS], "negative_passages": [PARIS, ROME]},
        ],
    )
    with pytest.warns(UserWarning, match="left out") as caught:
        examples = read_examples([path])
    assert [str(warning.message) for warning in caught] == [
        f"{path}:1: left out a query without a positive passage (2 such row(s))",
        f"{path}:3: left out a row without a query (1 such row(s))",
        f"{path}:4: left out negatives that are empty, or a positive of the same query "
        "(1 such row(s))",
    ]
    assert [example.negatives for example in examples] == [(Passage("8", "", "Another city."),)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "q"}, "expected one of the fields positive_passages, generated_queries, "),
        ({"query": 3, "positive_passages": []}, "expected a string 'query', found 3"),
        (
            {"query": "q", "lang": 3, "positive_passages": []},
            "expected 'lang' to be a string, found 3",
        ),
        (
            {"query": "q", "lang": "english!", "positive_passages": [PARIS]},
            "'english!' is not a language code",
        ),
        (
            {"query": "q", "positive_passages": {"text": "x"}},
            "positive_passages: expected a list of objects, found {'text': 'x'}",
        ),
        (
            {"query": "q", "positive_passages": [PARIS], "negative_passages": ["x"]},
            "negative_passages[0]: expected an object with 'text', found 'x'",
        ),
        ({"docid": "d", "generated_queries": {}}, "generated queries without their passage"),
    ],
)
def test_a_broken_row_is_named(row, message, write_jsonl, tmp_path):
    path = write_jsonl("train.jsonl", [row])
    with pytest.raises(XqgError) as error:
        read_examples([path])
    assert str(error.value).startswith(f"{path}:1: ")
    assert message in str(error.value)


@pytest.mark.parametrize("content", ["", "\n"])
def test_a_file_without_examples_is_an_error(content, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(content)
    with pytest.raises(XqgError, match=f"no query with a passage in {path}"):
        read_examples([path])


def test_tables_have_two_to_four_columns(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("q\n")
    with pytest.raises(XqgError, match=r"train.tsv:1: 1 tab-separated column\(s\); expected query"):
        read_examples([path])
    path.write_bytes("q\tcafé\n".encode("latin-1"))
    with pytest.raises(XqgError, match="train.tsv:1: not UTF-8"):
        read_examples([path])


def test_an_example_is_json(tmp_path):
    example = Example("fi", "q", (Passage("d", "T", "x"),))
    assert json.loads(json.dumps(example)) == ["fi", "q", [["d", "T", "x"]], []]
