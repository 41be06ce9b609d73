from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.topics import Expansion, Topic, read_topics
from pyserini_xqg.demo import XQG_MINI
from pyserini_xqg.reproduce.translated import expanded, main, translated

TOPICS = [
    Topic("te-7", "ఎక్కడ", "te"),
    Topic("en-7", "where", "en"),
    Topic("zh-TW-7", "哪", "zh-TW"),
]


def test_the_counterparts_by_number():
    assert translated(TOPICS, "en") == [
        Topic("te-7", "where", "en"),
        Topic("en-7", "where", "en"),  # its own translation
        Topic("zh-TW-7", "where", "en"),
    ]
    with pytest.raises(XqgError, match="topic 'fi-8': there is no topic 'en-8' in 'en' beside it"):
        translated([*TOPICS, Topic("fi-8", "missä", "fi")], "en")


def test_counterparts_as_expansions():
    asked = [("fi-1", "missä"), ("en-1", "where"), ("en-2", "who"), ("fi-2", "kuka")]
    topics = [Topic(qid, text, qid[:2]) for qid, text in asked]

    def texts(after):
        found = expanded(topics, "en", after=after)
        assert [topic._replace(expansions=()) for topic in found] == topics
        return [topic.expansions for topic in found]

    where, who = Expansion("translation", "en", "where"), Expansion("translation", "en", "who")
    assert texts(0) == [(where,), (where,), (who,), (who,)]
    assert texts(1) == [(who,), (who,), (where,), (where,)]


def test_expansions_in_a_file(tmp_path):
    topics = str(XQG_MINI / "topics.test.jsonl")
    words = ["--topics", topics, "--output", str(tmp_path / "t.jsonl"), "--after", "1"]
    with pytest.raises(XqgError, match="--after goes with --beside"):
        main(words)
    main([*words, "--beside"])
    found = read_topics(tmp_path / "t.jsonl")
    assert found == expanded(read_topics(topics), "en", after=1)


def test_the_shipped_topics(tmp_path):
    main(["--topics", str(XQG_MINI / "topics.test.jsonl"), "--output", str(tmp_path / "t.jsonl")])
    found = {topic.qid: topic for topic in read_topics(tmp_path / "t.jsonl")}
    originals = {topic.qid: topic for topic in read_topics(XQG_MINI / "topics.test.jsonl")}
    assert len(found) == 720
    assert found["te-016"] == Topic("te-016", originals["en-016"].text, "en")
    assert not (tmp_path / "t.jsonl.partial").exists()
    judged = {}
    for line in (XQG_MINI / "qrels.test.txt").read_text().splitlines():
        qid, _, docid, _ = line.split()
        judged[qid] = docid
    # The same question: the one passage that answers it is the same.
    assert all(judged[qid] == judged[f"en-{qid.split('-')[1]}"] for qid in found)
    assert json.loads((tmp_path / "t.jsonl").read_text().splitlines()[0]).keys() == {
        "qid", "title", "lang",
    }  # fmt: skip
