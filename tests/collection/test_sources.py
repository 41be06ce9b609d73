from __future__ import annotations

import gzip
import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.judged import read_collection, read_qrels
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import stream_corpus
from pyserini_xqg.collection.topics import Topic, read_topics


@pytest.fixture
def beir(tmp_path):
    """A folder as BEIR's zip archives hold it."""
    folder = tmp_path / "scifact"
    (folder / "qrels").mkdir(parents=True)
    corpus = {"_id": "d1", "title": "T", "text": "one", "metadata": {"url": ""}}
    queries = [{"_id": qid, "text": f"{qid}?", "metadata": {}} for qid in ("1", "3")]
    (folder / "corpus.jsonl").write_text(json.dumps(corpus) + "\n")
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    for split, qid in (("test", "3"), ("train", "1")):
        rows = f"query-id\tcorpus-id\tscore\n{qid}\td1\t1\n"
        (folder / "qrels" / f"{split}.tsv").write_text(rows)
    return folder


def test_beirs_folder(beir, tmp_path):
    assert [row.passage for row in stream_corpus(beir)] == [Passage("d1", "T", "one")]
    join = Join(beir, [], tmp_path)
    assert join.passages == 1
    join.close()
    assert read_topics(beir) == [Topic("1", "1?", ""), Topic("3", "3?", "")]
    assert read_qrels(beir) == {"3": {"d1": 1}}
    assert read_qrels(beir / "qrels" / "train.tsv") == {"1": {"d1": 1}}
    collection = read_collection(beir, beir, language="en")
    assert list(collection.topics) == ["3"]


def test_beirs_folder_packed(beir):
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = beir / name
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    (beir / "qrels" / "train.tsv").unlink()
    assert len(list(stream_corpus(beir))) == 1
    assert len(read_topics(beir)) == 2
    assert read_qrels(beir) == {"3": {"d1": 1}}


def test_qrels_without_a_test_split(beir):
    (beir / "qrels" / "test.tsv").rename(beir / "qrels" / "dev.tsv")
    with pytest.raises(XqgError, match=r"qrels: several qrels \(dev, train\); give one of"):
        read_qrels(beir)
    with pytest.raises(XqgError, match="not a file: .*qrels"):
        read_qrels(beir / "qrels")


def test_any_other_folder_is_read_whole(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(json.dumps({"id": name, "text": name}) + "\n")
    assert len(list(stream_corpus(tmp_path))) == len(read_topics(tmp_path)) == 2
