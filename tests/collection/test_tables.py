from __future__ import annotations

import gzip

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import stream_corpus
from pyserini_xqg.collection.tables import CORPUS, QUERIES, TOPICS, read_rows


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.tsv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def rows(path, kind):
    return [row for _, row in read_rows([path], kind)]


def passages(path, tmp_path):
    """As the two ways to a corpus give them, which must agree."""
    streamed = [row.passage for row in stream_corpus(path)]
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    join = Join(path, [], work)
    assert list(join.read_passages(0, join.passages)) == streamed
    assert list(join.read_passages(1, join.passages)) == streamed[1:]
    join.close()
    return streamed


TWO = [Passage("1", "T", "one"), Passage("2", "U", "two")]


@pytest.mark.parametrize(
    "text",
    [
        "1\tone\tT\n2\ttwo\tU\n",
        "id\ttext\ttitle\n1\tone\tT\n2\ttwo\tU\n",
        "\ufeffid\ttext\ttitle\r\n1\tone\tT\r\n2\ttwo\tU\r\n",
        "\n\nid\ttitle\ttext\n1\tT\tone\n2\tU\ttwo\n",
        "title\tdocid\turl\tpassage\nT\t1\thttp\tone\nU\t2\thttp\ttwo\n",
        '"ID"\t"TEXT"\t"TITLE"\n"1"\t"one"\t"T"\n"2"\t"two"\t"U"\n',
    ],
)
def test_corpora_as_the_field_writes_them(write, tmp_path, text):
    assert passages(write(text), tmp_path) == TWO
    assert passages(write(gzip.compress(text.encode()), "b.tsv"), tmp_path) == TWO
    assert passages(write(text, "c.txt"), tmp_path) == TWO


def test_a_corpus_of_two_columns(write, tmp_path):
    expected = [Passage("0", "", "one"), Passage("1", "", "two")]
    assert passages(write("0\tone\n1\ttwo\n"), tmp_path) == expected
    assert passages(write("pid\tpassage\n0\tone\n1\ttwo\n"), tmp_path) == expected


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"Kalevala" is an epic', '"Kalevala" is an epic'),
        ('an epic, "Kalevala"', 'an epic, "Kalevala"'),
        ('"all of it"', '"all of it"'),
        ('"', '"'),
        ('""', '""'),
        ("5'11\" tall", "5'11\" tall"),
        ('"say ""hi"""', 'say "hi"'),  # CSV's, as in DPR's passages
        ('"""Aaron"" was"', '"Aaron" was'),
        ('"one\ttwo"', "one\ttwo"),
        ("\\N \\t", "\\N \\t"),
        ("x" * 200_000, "x" * 200_000),
        ('"' + "x " * 100_000, '"' + "x " * 100_000),
    ],
)
def test_cells_are_read_as_they_are(write, tmp_path, cell, text):
    found = passages(write(f"1\t{cell}\tT\n2\ttwo\tU\n"), tmp_path)
    assert found == [Passage("1", "T", text), TWO[1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n", r"a.tsv:1: 1 tab-separated column\(s\); expected 3: docid, text and title, or 2"),
        ("1\ta\tb\tc\n", r"a.tsv:1: 4 tab-separated column\(s\); expected 3"),
        ("1\ta\tb\n2\ta\n", r"a.tsv:2: 2 tab-separated column\(s\); expected 3, as in the first"),
        ("id\ttext\n1\ta\tb\n", r"a.tsv:2: 3 tab-separated .*; expected 2, as named in line 1"),
        (
            "id\tname\n1\ta\n",
            "a.tsv:1: the first row names the columns id, name, but none",
        ),
        (b"1\t\xff\tb\n", r"a.tsv:1: not UTF-8 \(byte 3 of the line\); convert"),
        ("1 2\ta\tb\n", "a.tsv:1: docid '1 2' is empty or holds white space"),
    ],
)
def test_broken_corpora(write, text, message):
    with pytest.raises(XqgError, match=message):
        list(stream_corpus(write(text)))


def test_topics_and_queries(write):
    for text in ("q1\ta b\tc\n", "qid\tquery\nq1\ta b c\n", "ID\tQuestion\nq1\ta b c\n"):
        assert rows(write(text), TOPICS) == [{"qid": "q1", "title": "a b c"}]
    text = "query_id\tlang\ttext\nq1\tte\ta b c\n"
    assert rows(write(text), TOPICS) == [{"qid": "q1", "title": "a b c", "lang": "te"}]
    for text in ("d1\ta\nd1\tb\n", "docid\tquery\nd1\ta\nd1\tb\n"):
        assert rows(write(text), QUERIES) == [{"docid": "d1", "query": each} for each in "ab"]
    with pytest.raises(XqgError, match="a.tsv:1: 1 tab-separated .*expected 2: topic id"):
        rows(write("q1 a\n"), TOPICS)
    assert rows(write(""), CORPUS) == []


def test_cells():
    assert tsv_cells("\ufeffa\t ఎ \t\r\n".encode(), "t.tsv:1") == ["a", " ఎ ", ""]
    with pytest.raises(XqgError, match=r"t.tsv:2: not UTF-8 \(byte 3 of the line\); convert"):
        tsv_cells(b"a\t\xff", "t.tsv:2")
