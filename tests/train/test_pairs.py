from __future__ import annotations

import gzip
import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.train.pairs import Pair, read_pairs

XOR_TYDI = ["ar", "bn", "fi", "ja", "ko", "ru", "te"]
LONDON = {"docid": "1", "title": "London", "text": "A city."}
PARIS = {"docid": "2", "title": "", "text": "Another."}


def tevatron(query, *positives, **more):
    return {"query_id": "q", "query": query, "answers": ["x"],
            "positive_passages": list(positives), "negative_passages": [PARIS], **more}  # fmt: skip


def squad(*questions, **article):
    paragraph = {"context": "A city.", "qas": list(questions)}
    return {"version": "1.1", "data": [{"title": "New_York", "paragraphs": [paragraph], **article}]}


def read_text(path, text, *languages):
    path.write_text(text)
    return read_pairs([path], languages)


def test_tevatron_rows_give_a_pair_for_each_positive_passage(write_jsonl, tmp_path):
    path = write_jsonl(
        "train.jsonl",
        [tevatron(" ఎవరు  నది? ", LONDON, PARIS), tevatron("mikä", LONDON, lang=" sv")],
    )
    assert read_pairs([path], XOR_TYDI) == [
        Pair("te", "ఎవరు నది?", "London", "A city."),
        Pair("te", "ఎవరు నది?", "", "Another."),
        Pair("sv", "mikä", "London", "A city."),
    ]


def test_the_script_tells_the_language_among_those_given(write_jsonl, tmp_path):
    queries = ["من هو", "কে", "kuka oli Bach", "誰ですか", "누구", "кто такой Bach", "ఎవరు BBC"]
    path = write_jsonl("train.jsonl", [tevatron(query, LONDON) for query in queries])
    assert [pair.language for pair in read_pairs([path], XOR_TYDI)] == XOR_TYDI
    # One code holds for all, whatever they are written in.
    assert {pair.language for pair in read_pairs([path], ["te-Latn"])} == {"te-Latn"}
    only = write_jsonl("only.jsonl", [tevatron("누구", LONDON), tevatron("ఎవరు", LONDON)])
    assert [pair.language for pair in read_pairs([only])] == ["ko", "te"]


def test_a_query_that_could_be_in_several_languages_is_an_error(write_jsonl, tmp_path):
    path = write_jsonl("train.jsonl", [tevatron("ఎవరు", LONDON), tevatron("кто", LONDON)])
    with pytest.raises(XqgError) as error:
        read_pairs([path])
    assert str(error.value).startswith(
        f"{path}:2: 'кто' does not say its language, and by its script could be bg, ru, sr, uk, uz;"
    )
    with pytest.raises(XqgError, match=r"could be fi, en; give --language"):
        read_pairs([write_jsonl("fi.jsonl", [tevatron("kuka", LONDON)])], ["fi", "en"])


def test_rows_without_a_pair_are_left_out_and_counted(write_jsonl, tmp_path):
    rows = [tevatron("кто", LONDON), tevatron("潜水病toha", LONDON), tevatron("что"),
            tevatron("潜水病toha", LONDON)]  # fmt: skip
    path = write_jsonl("train.jsonl", rows)
    with pytest.warns(UserWarning, match="left out") as warned:
        pairs = read_pairs([path], XOR_TYDI)
    assert [pair.query for pair in pairs] == ["кто"]
    assert [str(warning.message) for warning in warned] == [
        f"{path}:2: a query whose script does not tell its language; left out 2 such row(s)",
        f"{path}:3: no positive passage; left out 1 such row(s)",
    ]


@pytest.mark.parametrize("name", ["squad.json", "squad.jsonl", "squad.json.gz"])
@pytest.mark.parametrize("indent", [None, 1])
def test_squad_documents(tmp_path, name, indent):
    text = json.dumps(squad({"question": "kuka?"}, {"question": "mikä?", "lang": "fi"}),
                      indent=indent)  # fmt: skip
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    assert read_pairs([path], ["sv"]) == [
        Pair("sv", "kuka?", "New York", "A city."),
        Pair("fi", "mikä?", "New York", "A city."),
    ]


def test_a_squad_question_without_answer_is_left_out(tmp_path):
    document = squad({"question": "a?", "is_impossible": True}, {"question": "b?"})
    with pytest.warns(UserWarning, match=r"data\[0\]\.paragraphs\[0\]\.qas\[0\]: .* left out 1"):
        pairs = read_text(tmp_path / "s.json", json.dumps(document), "en")
    assert [pair.query for pair in pairs] == ["b?"]


def test_tsv_and_generated_queries_and_several_files(write_jsonl, tmp_path):
    tsv = tmp_path / "a.tsv"
    tsv.write_text('te\tఎవరు\tLondon\t"A" city.\n\nbn\tকে\t\tAnother.\n')
    rows = [{**LONDON, "generated_queries": {"fi": ["kuka", " "], "te": []}}]
    generated = write_jsonl("b.jsonl", rows)
    with pytest.warns(UserWarning, match="an empty generated query; left out 1"):
        pairs = read_pairs([tsv, generated])
    assert pairs == [
        Pair("te", "ఎవరు", "London", '"A" city.'),
        Pair("bn", "কে", "", "Another."),
        Pair("fi", "kuka", "London", "A city."),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.tsv", "te\tq\tt\tx\nte\tq\tx\n", "a.tsv:2: 3 tab-separated columns; expected 4"),
        ("a.tsv", "te\t \tt\tx\n", "a.tsv:1: the query is empty"),
        ("a.tsv", "te\tq\tt\t \n", "a.tsv:1: the passage is empty"),
        ("a.tsv", "t e\tq\tt\tx\n", "a.tsv:1: 't e' is not a language code"),
        ("a.jsonl", '{"query": "q"}\n',
         "a.jsonl:1: expected one of the fields positive_passages, generated_queries, data, found "
         "query"),
        ("a.jsonl", '{"positive_passages": [], "query": 3}\n',
         "a.jsonl:1: expected a string 'query', found 3"),
        ("a.jsonl", '{"positive_passages": "x", "query": "q"}\n',
         "a.jsonl:1: positive_passages: expected a list of objects, found 'x'"),
        ("a.jsonl", '{"positive_passages": [{}], "query": "q"}\n',
         "a.jsonl:1: positive_passages[0]: expected an object with 'text', found {}"),
        ("a.jsonl", '{"docid": "1", "generated_queries": {}}\n',
         "a.jsonl:1: generated queries without their passage"),
        ("a.jsonl", '{"docid": "1"\n', "a.jsonl:1: not JSON"),
        ("a.jsonl", "\n", "a.jsonl: empty"),
        ("a.json", '{\n"data": 3}', "a.json: expected JSON rows, or a SQuAD-style object"),
        ("a.json", '{\n"data": [', "a.json: not JSON"),
        ("a.json", '{"data": [{"title": "t"}]}',
         "a.json: data[0]: expected an object with a list 'paragraphs'"),
        ("a.json", '{"data": [{"paragraphs": [{"context": "c", "qas": [3]}]}]}',
         "a.json: data[0].paragraphs[0].qas[0]: expected an object, found 3"),
        ("a.json", '{"data": [{"paragraphs": [{"qas": []}]}]}',
         "a.json: data[0].paragraphs[0]: expected a string 'context', found None"),
        ("a.json", '{"data": []}', "no training pairs in "),
    ],
)  # fmt: skip
def test_broken_rows_are_named(tmp_path, name, text, message):
    with pytest.raises(XqgError) as error:
        read_text(tmp_path / name, text, "en")
    assert message in str(error.value)
