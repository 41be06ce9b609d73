"""Against Pyserini's own tables, with its cache filled by hand, and the real ir_datasets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.judged import read_collection, read_qrels
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import CorpusRow, stream_corpus
from pyserini_xqg.collection.sources import is_named
from pyserini_xqg.collection.topics import Topic, read_topics, topic_rows


@pytest.fixture
def irds(tmp_path):
    """A data set of three files in the registry of ir_datasets."""
    ir_datasets = pytest.importorskip("ir_datasets", reason="not installed (extra irds)")
    (tmp_path / "docs").write_text("d1\tone\nd2\ttwo\n")
    (tmp_path / "queries").write_text("007\thello\n8\tthere\n")
    (tmp_path / "qrels").write_text("007 0 d1 1\n8 0 d2 0\n8 0 d1 2\n")
    name = f"xqg-{tmp_path.name}"
    ir_datasets.registry.register(
        name,
        ir_datasets.create_dataset(
            docs_tsv=str(tmp_path / "docs"),
            queries_tsv=str(tmp_path / "queries"),
            qrels_trec=str(tmp_path / "qrels"),
        ),
    )
    return f"irds:{name}"


def test_a_data_set_of_ir_datasets(irds, tmp_path):
    assert read_topics(irds, "te") == [Topic("007", "hello", "te"), Topic("8", "there", "te")]
    assert json.loads(next(topic_rows(irds)).line) == {"qid": "007", "title": "hello"}
    assert read_qrels(irds) == {"007": {"d1": 1}, "8": {"d2": 0, "d1": 2}}
    assert list(read_collection(irds, irds).topics) == ["007", "8"]
    passages = [Passage("d1", "", "one"), Passage("d2", "", "two")]
    assert list(stream_corpus(irds)) == [CorpusRow(passage, "") for passage in passages]
    queries, work = tmp_path / "q.tsv", tmp_path / "work"
    work.mkdir()
    queries.write_text("d2\tq\n")
    join = Join(irds, [queries], work, language="te")
    assert list(join.read_passages(0, 2)) == passages
    assert join.queries_of(["d2"]) == [{"te": ["q"]}]
    join.close()
    queries.write_text("d3\tq\n")
    with pytest.raises(XqgError, match="docid 'd3' is not in the corpus"):
        Join(irds, [queries], work, language="te")
    (tmp_path / "docs").write_text("d1\tone\nd1\ttwo\n")
    with pytest.raises(XqgError, match=f"^{irds}:2: duplicate docid 'd1', first seen at {irds}:1;"):
        Join(irds, [], work)


def test_what_ir_datasets_does_not_have(irds):
    with pytest.raises(XqgError, match="irds:no/such: ir_datasets knows no data set 'no/such'"):
        read_topics("irds:no/such")
    import ir_datasets

    name = irds.removeprefix("irds:") + "-empty"
    ir_datasets.registry.register(name, ir_datasets.create_dataset())
    with pytest.raises(XqgError, match="this data set has no qrels; it has nothing"):
        read_qrels(f"irds:{name}")


def test_ir_datasets_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(XqgError, match=r"irds:a needs .*pip install 'pyserini_xqg.irds"):
        read_topics("irds:a")


NAME = "miracl-v1.0-bn-dev"
SCRIPT = f"""
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import read_qrels
from pyserini_xqg.collection.topics import read_topics
print([topic[:3] for topic in read_topics({NAME!r})], read_topics({NAME!r}, "te")[0].language)
print(read_qrels({NAME!r}))
for name in ("miracl-v1.0-fi-dev", "no-such-name"):
    for read in (read_topics, read_qrels):
        try:
            read(name)
        except XqgError as error:
            print(error)
"""


def test_pyserinis_names(tmp_path):
    # Anserini looks there before it fetches anything.
    cache = tmp_path / ".cache" / "pyserini" / "topics-and-qrels"
    cache.mkdir(parents=True)
    (cache / f"topics.{NAME}.tsv").write_text("12\tকত?\n37\tকে?\n")
    (cache / f"qrels.{NAME}.tsv").write_text("12 0 d1 1\n37 0 d2 0\n")
    environment = {**os.environ, "JAVA_TOOL_OPTIONS": f"-Duser.home={tmp_path}", "no_proxy": "*"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=True
    )
    lines = [line for line in done.stdout.splitlines() if not re.search("^Downloading|INFO", line)]
    assert lines[:2] == [
        "[('12', 'কত?', 'bn'), ('37', 'কে?', 'bn')] te",
        "{'12': {'d1': 1}, '37': {'d2': 0}}",
    ]
    for line in lines[2:4]:  # offline; where there is a network, the real ones would be there
        assert line.startswith("miracl-v1.0-fi-dev: cannot be fetched or read (")
    assert lines[4:] == ["no such file or folder: no-such-name", "no such file: no-such-name"]


@pytest.mark.parametrize(
    "source", ["a/b", "t.jsonl", "t.tsv.gz", "t.TSV", "no such", "", "~/t", "qrels.txt", "a.run"]
)
def test_what_cannot_be_a_name(source):
    assert not is_named(source)  # so that a mistyped path does not start Java


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).write_text("1\ta\n")
    assert not is_named(NAME)
    assert read_topics(NAME) == [Topic("1", "a", "")]
