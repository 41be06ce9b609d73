from __future__ import annotations

import gzip
import json
import random

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import (
    clusters_of,
    halves,
    read_clusters,
    read_collection,
    read_qrels,
)

LANGUAGES = {"te-007": "te", "te-008": "te", "ru-007": "ru", "ja-1": "ja", "x": ""}


@pytest.fixture
def topics(tmp_path):
    path = tmp_path / "topics.jsonl"
    rows = [{"qid": qid, "title": f"{qid}?", "lang": lang} for qid, lang in LANGUAGES.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def write(tmp_path):
    def write(text, name="qrels.txt"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_read_qrels(write):
    path = write("007 0 a 2\n\n007 Q0 b -1\n7\t0\t12#3\t0\n")
    assert read_qrels(path) == {"007": {"a": 2, "b": -1}, "7": {"12#3": 0}}
    assert read_qrels(str(path)) == read_qrels(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 0 b 1\na 0 c\n", ":2: 3 columns, where the rows before have 4"),
        (
            "a 0 b 1 2\n",
            r":1: 5 column.s.; expected 4: topic id, 0, docid, rel",
        ),
        ("a 0 b 0.5\n", r":1: column 4 .relevance. is '0.5'; expected a whole number"),
        ("a 0 b 2147483648\n", r":1: column 4 .relevance. is '2147483648'; expected a .* below"),
        ("a 0 b -9e99\n", r":1: column 4 .relevance. is '-9e99'; expected a .* below 2,147"),
        ("a 0 b inf\n", r":1: column 4 .relevance. is 'inf'; expected a finite number"),
        ("a b yes\n", r":1: column 3 .relevance. is 'yes'; expected a finite number"),
        ("qid iter docid rel\nqid iter docid rel\n", ":2: column 4 .relevance. is 'rel'"),
        ("a 0 b 1\na 0 b 0\n", ":2: 'b' is judged twice for topic 'a'"),
    ],
)
def test_broken_qrels(write, text, message):
    with pytest.raises(XqgError, match=f"qrels.txt{message}"):
        read_qrels(write(text))


def test_qrels_in_another_encoding(tmp_path):
    (tmp_path / "qrels").write_bytes(b"a 0 \xff 1\n")
    with pytest.raises(XqgError, match="qrels:1: not UTF-8; convert"):
        read_qrels(tmp_path / "qrels")


def test_the_judged_topics(topics, write):
    qrels = write("ja-1 0 a 1\nru-007 0 b 1\nru-007 0 c 0\nte-007 0 b 2\n")
    collection = read_collection(topics, qrels)
    assert list(collection.topics) == ["te-007", "ru-007", "ja-1"]  # in the order of the topics
    assert collection.topics["ja-1"].text == "ja-1?"
    assert collection.qrels["ru-007"] == {"b": 1, "c": 0}
    assert collection.clusters == {"ja-1": "a", "ru-007": "b", "te-007": "b"}


def test_groups_of_topics(topics, write):
    qrels = write("".join(f"{qid} 0 a 1\n" for qid in LANGUAGES))
    collection = read_collection(topics, qrels)
    assert list(collection.by().items()) == [
        ("ja", ["ja-1"]),
        ("ru", ["ru-007"]),
        ("te", ["te-007", "te-008"]),
        ("unknown", ["x"]),
    ]
    assert list(collection.by("script")) == ["Cyrl", "Hira+Kana+Hani", "Telu", "unknown"]
    assert read_collection(topics, qrels, language="fi").by() == {"fi": list(LANGUAGES)}


def test_only(topics, write):
    collection = read_collection(topics, write("ja-1 0 a 1\nru-007 0 b 1\nte-007 0 b 1\n"))
    some = collection.only(["te-007", "ja-1", "elsewhere"])
    assert list(some.topics) == ["te-007", "ja-1"]
    assert set(some.qrels) == set(some.clusters) == {"te-007", "ja-1"}


def test_topics_without_a_relevant_passage_are_left_out(topics, write):
    qrels = write("ja-1 0 a 1\nte-007 0 a 0\nx 0 b 0\n")
    with pytest.warns(UserWarning, match="2 topic.s. without a relevant passage are left out"):
        collection = read_collection(topics, qrels)
    assert list(collection.topics) == ["ja-1"]
    with pytest.raises(XqgError, match="no topic has a relevant passage"):
        read_collection(topics, write("ja-1 0 a 0\n"))


def test_qrels_may_judge_more_topics_than_are_asked(topics, write):
    qrels = write("ja-1 0 a 1\nte-7 0 a 1\n7 0 a 1\nx 0 a 0\n")
    with pytest.warns(UserWarning, match="left out") as said:
        collection = read_collection(topics, qrels)
    assert list(collection.topics) == list(collection.qrels) == ["ja-1"]
    assert collection.clusters == {"ja-1": "a"}
    first, second = (str(warning.message) for warning in said)
    assert "2 judged topic(s) are not in" in first
    assert first.endswith("topics.jsonl, e.g. '7'; scored over the 1 that are")
    assert "1 topic(s) without a relevant passage are left out" in second


def test_qrels_of_other_topics_altogether(topics, write):
    with pytest.raises(
        XqgError,
        match=r"none of its 2 judged topics is in .*; it judges '7', the topics .* 'ja-1'",
    ):
        read_collection(topics, write("te-7 0 a 1\n7 0 a 1\n"))


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\n007\ta\t1\n7\tb\t0\n",
        "query-id\tcorpus-id\tscore\n007\ta\t1.0\n7\tb\t0.0\n",
        "\ufeffquery-id\tcorpus-id\tscore\r\n007\ta\t1\r\n7\tb\t0\r\n",
        "007 a 1\n7 b 0\n",
        "\ufeff007 0 a 1.0\n7 0 b 0\n",
        "QID Iter DocID Relevance\n007 0 a 1\n7 0 b 0\n",
    ],
)
def test_qrels_as_the_field_writes_them(write, text):
    assert read_qrels(write(text)) == {"007": {"a": 1}, "7": {"b": 0}}
    (write("", "packed")).write_bytes(gzip.compress(text.encode()))
    assert read_qrels(write("", "x").with_name("packed")) == {"007": {"a": 1}, "7": {"b": 0}}


def test_clusters_are_chains_of_shared_passages():
    qrels = {
        "a": {"1": 1, "2": 1},
        "b": {"2": 1, "3": 1},
        "c": {"3": 2, "9": 0},
        "d": {"9": 1},
        "4": {"4": 1, "1": 0},
    }
    assert clusters_of(qrels) == {"a": "1", "b": "1", "c": "1", "d": "9", "4": "4"}
    assert clusters_of({}) == {}


def test_clusters_from_a_file(topics, write):
    qrels = write("ja-1 0 a 1\nru-007 0 b 1\n")
    clusters = write("ru-007 rivers\nja-1\trivers\nelsewhere towns\n", "clusters")
    collection = read_collection(topics, qrels, clusters)
    assert collection.clusters == {"ja-1": "rivers", "ru-007": "rivers"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1\nb\n", ":2: 1 column.s.; expected 2: topic id and cluster"),
        ("a 1 2\n", ":1: 3 column.s.; expected 2: topic id and cluster"),
        ("a 1\na 2\n", ":2: topic 'a' is given twice"),
        ("b 1\n", "clusters: no cluster for 1 topic.s., e.g. 'a'"),
    ],
)
def test_broken_clusters(write, text, message):
    with pytest.raises(XqgError, match=message):
        read_clusters(write(text, "clusters"), ["a"])


def test_missing_files(topics, tmp_path):
    with pytest.raises(XqgError, match="no such file: .*nowhere"):
        read_collection(topics, tmp_path / "nowhere")
    with pytest.raises(XqgError, match="no such file: .*nowhere"):
        read_clusters(tmp_path / "nowhere", [])


def test_halves_split_no_cluster(topics, write):
    rows = [f"{qid} 0 {docid} 1\n" for qid, docid in zip(LANGUAGES, "aabcd", strict=True)]
    collection = read_collection(topics, write("".join(rows)))
    seen = set()
    for seed in range(20):
        dev, test = halves(collection, seed)
        assert not set(dev.clusters.values()) & set(test.clusters.values())
        assert set(dev.topics) | set(test.topics) == set(collection.topics)
        assert len(set(dev.clusters.values())) == 2
        assert halves(collection, seed) == (dev, test)
        seen.add(frozenset(dev.topics))
    assert len(seen) == 6  # every choice of two from four clusters
    random.seed(0)
    state = random.getstate()
    halves(collection)
    assert random.getstate() == state  # the caller's random numbers are his
    with pytest.raises(XqgError, match="one cluster cannot be split"):
        halves(collection.only(["te-007", "te-008"]))
