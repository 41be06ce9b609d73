from __future__ import annotations

import json

import pytest

from pyserini_xqg.demo import XQG_MINI
from pyserini_xqg.errors import XqgError
from pyserini_xqg.reproduce.translated import main, translated
from pyserini_xqg.topics import Topic, read_topics

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
