from __future__ import annotations

import gzip
import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import (
    Hit,
    file_names,
    read_passages,
    read_run,
    read_runs,
    stream_corpus,
    write_run,
)


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.run"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_run_in_the_order_of_its_ranks(write):
    path = write("007 Q0 b 2 1.5 t\n\n007 Q0 -12 1 2e1 t\n7\tQ0\t12#3\t1\t-3\tt\n007 Q0 c 3 9 t\n")
    assert read_run(path) == {
        "007": [Hit("-12", 20.0), Hit("b", 1.5), Hit("c", 9.0)],
        "7": [Hit("12#3", -3.0)],
    }
    assert read_run(write("")) == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "a Q0 b 1 0.5",
            r"5 column.s.; expected 6: topic id, .* or 3: topic id, docid, sc",
        ),
        ("a b high", "3 columns, where the rows before have 6"),
        ("a Q0 b 1 0.5 t t", r"7 column.s.; expected 6"),
        ("a Q0 b first 0.5 t", r"column 4 .rank. is 'first'; expected a"),
        ("a Q0 b 1.5 0.5 t", r"column 4 .rank. is '1.5'; expected a whole number"),
        ("a Q0 b 1 high t", r"column 5 .score. is 'high'; expected a finite number"),
        ("a Q0 b 1 1_0 t", "column 5 .score. is '1_0'; expected a finite number"),
        ("a Q0 b 1 \u0661 t", "column 5 .score. is '\u0661'; expected a finite number"),
        ("a Q0 b 1 nan t", "column 5 .score. is 'nan'"),
        ("a Q0 b 1 -inf t", "column 5 .score. is '-inf'"),
        ("a Q0 c 2 0.1 t", "'c' is returned twice for topic 'a'"),
    ],
)
def test_broken_runs(write, line, message):
    with pytest.raises(XqgError, match=rf"a.run:[23]: .*{message}"):
        read_run(write(f"a Q0 c 9 0.9 t\n{line}\n"))


def test_nul_in_a_run_is_damage(write):
    rows = "".join(f"a Q0 d{i} {i} {-i} t\n" for i in range(1, 100))
    with pytest.raises(XqgError, match="a.run:100: holds a NUL byte; the file is damaged"):
        read_run(write(f"{rows}a Q0 d0\0 100 -100 t\n"))


def test_three_columns(write):
    path = write("007 b 1.5\n7 a 3\n007 a 1.5\n007 c -2e0\n")
    assert read_run(path) == {
        "007": [Hit("b", 1.5), Hit("a", 1.5), Hit("c", -2.0)],
        "7": [Hit("a", 3.0)],
    }


def test_a_run_in_another_encoding(tmp_path):
    (tmp_path / "run").write_bytes(b"a Q0 \xff 1 1.0 t\n")
    with pytest.raises(XqgError, match="run:1: not UTF-8; convert"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffa Q0 b 1 0.9 t\na Q0 c 2 0.5 t\n",
        "a Q0 b 1.0 0.9 t\n\ufeffa Q0 c 2.0 5e-1 t\n",  # two files put together
        "qid Q0 docid rank score tag\na Q0 b 1 0.9 t\na Q0 c 2 0.5 t\n",
        "query_id\tdoc_id\tscore\r\na\tb\t0.9\r\na\tc\t0.5\r\n",
    ],
)
def test_runs_as_the_field_writes_them(write, text):
    hits = {"a": [Hit("b", 0.9), Hit("c", 0.5)]}
    path = write(text)
    assert read_run(path) == hits
    path.write_bytes(gzip.compress(text.encode()))
    assert read_run(path) == hits


def test_three_columns_that_are_ranks(write):
    with pytest.raises(XqgError, match="a.run:2: the score rises; three columns are topic id"):
        read_run(write("a d 1\na e 2\n"))


def test_a_missing_run():
    with pytest.raises(XqgError, match="no such file: nowhere"):
        read_run("nowhere")


def test_a_run_written_is_the_run_read(tmp_path):
    run = {"007": [Hit("b", 2.0), Hit("a", 0.1234567)], "none": []}
    write_run(tmp_path / "x.run", run, "tag")
    lines = (tmp_path / "x.run").read_text().splitlines()
    assert lines == ["007 Q0 b 1 2.000000 tag", "007 Q0 a 2 0.123457 tag"]
    assert read_run(tmp_path / "x.run") == {"007": [Hit("b", 2.0), Hit("a", 0.123457)]}
    assert [path.name for path in tmp_path.iterdir()] == ["x.run"]


def test_names(write):
    one, two = write("a Q0 b 1 1 t\n"), write("a Q0 c 1 1 t\n", "other/a.run")
    assert list(read_runs([one])) == ["a"]
    assert {name: run["a"][0].docid for name, run in read_runs([one, two]).items()} == {
        str(one): "b",
        str(two): "c",
    }
    assert file_names(["x/a.csv", "x/b.run"], ".csv") == ["a", "b.run"]
    with pytest.raises(XqgError, match="a.run is given twice"):
        read_runs([one, one])


ROWS = [
    {"docid": "007", "title": "One", "text": "First.", "lang": " fi "},
    {"_id": 7, "contents": "Second.", "language": "ru"},
    {"id": "12#3", "text": 'with a "lang" in it'},
]


def test_passages_from_all_forms_of_a_corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:2]))
    with gzip.open(folder / "2.jsonl.gz", "wt") as file:
        file.write(json.dumps(ROWS[2]) + "\n")
    (folder / "3.tsv").write_text('id\ttext\ttitle\n8\t"a ""b"""\tThird\nid\tx\ty\n')
    (folder / "4.tsv").write_text("id2\tx\ty\n")
    found = [(*row.passage, row.language) for row in stream_corpus(folder)]
    assert found == [
        ("007", "One", "First.", "fi"),
        ("7", "", "Second.", "ru"),
        ("12#3", "", 'with a "lang" in it', ""),
        ("8", "Third", 'a "b"', ""),
        ("id", "y", "x", ""),  # only a first line is a header
        ("id2", "y", "x", ""),
    ]
    passages = read_passages(folder, {"8", "007"})
    assert {docid: passage.title for docid, passage in passages.items()} == {
        "007": "One",
        "8": "Third",
    }
    with pytest.raises(XqgError, match=r"2 docid.s. are not in .*corpus, e.g. '1'"):
        read_passages(folder, {"8", "9", "1"})


def test_a_broken_row_of_the_corpus(write):
    path = write('{"docid": "1", "text": "a"}\n{"docid": "2"}\n', "corpus.jsonl")
    with pytest.raises(XqgError, match="corpus.jsonl:2: no field"):
        read_passages(path, {"1"})


def test_a_run_in_folders_that_are_not_there_yet(tmp_path):
    path = tmp_path / "of" / "mine" / "a.run"
    write_run(path, {"1": [Hit("d", 1.0)]}, "t")
    assert read_run(path) == {"1": [Hit("d", 1.0)]}
