"""The rules that the shipped collection keeps."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict

import pytest

from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import parse_queries
from pyserini_xqg.collection.topics import read_topics
from pyserini_xqg.demo import LANGUAGES, XQG_MINI

HALVES = ("dev", "test")
SCRIPTS = {
    "ar": "ARABIC", "bn": "BENGALI", "fi": "LATIN", "ja": "CJK|HIRAGANA|KATAKANA",
    "ko": "HANGUL", "ru": "CYRILLIC", "te": "TELUGU", "en": "LATIN",
}  # fmt: skip


def rows(name):
    return [json.loads(line) for line in (XQG_MINI / name).read_text("utf-8").splitlines()]


CORPUS = {row["docid"]: row for row in rows("corpus.jsonl")}
QUERIES = {row["docid"]: row for row in rows("queries.jsonl")}
TOPICS = {half: rows(f"topics.{half}.jsonl") for half in HALVES}
GOLD = {row["id"]: row for half in HALVES for row in rows(f"gold.{half}.jsonl")}
QRELS = {
    half: [line.split() for line in (XQG_MINI / f"qrels.{half}.txt").read_text().splitlines()]
    for half in HALVES
}
PASSAGE_OF = {qid: docid for half in HALVES for qid, _, docid, _ in QRELS[half]}
EVERY_TOPIC = [topic for half in HALVES for topic in TOPICS[half]]


def folded(text):
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def grams(text):
    text = folded(text)
    return {text[i : i + 3] for i in range(len(text) - 2)}


def spans(answer, text):
    return [(found.start(), found.end()) for found in re.finditer(re.escape(answer), text)]


def test_counts():
    assert len(CORPUS) == len(QUERIES) == 180
    entities = defaultdict(list)
    for row in CORPUS.values():
        entities[row["group"], row["title"]].append(row["docid"])
    assert len(entities) == 60
    assert {len(docids) for docids in entities.values()} == {3}
    assert set(Counter(group for group, _ in entities).values()) == {5}
    for half in HALVES:
        assert len(TOPICS[half]) == len(QRELS[half]) == 90 * 8
        assert Counter(t["lang"] for t in TOPICS[half]) == dict.fromkeys([*LANGUAGES, "en"], 90)
    for row in QUERIES.values():
        assert {code: len(texts) for code, texts in row["generated_queries"].items()} == (
            dict.fromkeys(LANGUAGES, 3)
        )


def test_records_0_9_and_last():
    topics = TOPICS["dev"]
    assert [(t["qid"], t["lang"]) for t in (topics[0], topics[9], topics[-1])] == [
        ("ar-001", "ar"), ("ar-010", "ar"), ("en-165", "en"),
    ]  # fmt: skip
    docids = list(CORPUS)
    assert [docids[i] for i in (0, 9, -1)] == ["danube-1", "vistula-1", "venus-3"]
    assert list(QUERIES) == docids


def test_halves_share_no_group():
    groups = {half: {CORPUS[docid]["group"] for _, _, docid, _ in QRELS[half]} for half in HALVES}
    assert len(groups["dev"]) == len(groups["test"]) == 6
    assert not groups["dev"] & groups["test"]


def test_the_files_are_in_the_formats_of_the_package(tmp_path):
    join = Join(XQG_MINI / "corpus.jsonl", [XQG_MINI / "queries.jsonl"], tmp_path)
    assert (join.passages, join.languages, join.counts.total()) == (180, list(LANGUAGES), 3780)
    assert (join.empty_texts, join.empty_queries, join.unknown) == (0, 0, 0)
    for half in HALVES:
        topics = read_topics(XQG_MINI / f"topics.{half}.jsonl")
        in_tsv = read_topics(XQG_MINI / f"topics.{half}.tsv")
        assert [t[:2] for t in in_tsv] == [t[:2] for t in topics]
        assert [t.qid for t in topics] == [qid for qid, *_ in QRELS[half]]
        assert {t.qid: t.text for t in topics} == {
            row["id"]: row["question"] for row in rows(f"gold.{half}.jsonl")
        }


@pytest.mark.parametrize("docid", CORPUS)
def test_a_passage_and_its_queries(docid):
    passage, text = CORPUS[docid], CORPUS[docid]["text"]
    assert 50 <= len(text.split()) <= 100
    assert text == " ".join(text.split())
    row = QUERIES[docid]
    topics = [qid for qid, of in PASSAGE_OF.items() if of == docid]
    (answer,) = {answer for qid in topics for answer in GOLD[qid]["answers"]}  # one fact for all
    ((start, end),) = spans(answer, text)
    for other in CORPUS.values():
        if other["title"] == passage["title"] and other is not passage:
            assert answer not in other["text"]
    for language in LANGUAGES:
        for query, found in zip(
            row["generated_queries"][language], row["answers"][language], strict=True
        ):
            assert query == " ".join(query.split())
            # it asks about another fact than the test question
            places = spans(found, text)
            assert places
            assert any(b <= start or a >= end for a, b in places)
    parse_queries(json.dumps(row).encode(), docid)


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
def test_every_question_is_in_the_script_of_its_language(language):
    texts = [t["title"] for t in EVERY_TOPIC if t["lang"] == language]
    texts += [q for row in QUERIES.values() for q in row["generated_queries"].get(language, [])]
    for text in texts:
        letters = [character for character in text if character.isalpha()]
        own = [c for c in letters if re.match(SCRIPTS[language], unicodedata.name(c, ""))]
        assert len(own) >= 0.7 * len(letters), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_test_questions_are_no_copies_of_the_queries(language):
    asked = [t for t in EVERY_TOPIC if t["lang"] == language]
    queries = [q for row in QUERIES.values() for q in row["generated_queries"][language]]
    grams_of_queries = [grams(query) for query in queries]
    for topic in asked:
        own = grams(topic["title"])
        # Jaccard's index
        closest = max(len(own & query) / len(own | query) for query in grams_of_queries)
        assert closest <= 0.5, topic["qid"]
    assert len(set(map(folded, queries))) == len(queries)
    masked = {folded(t["title"]).replace(folded(t["mention"]), "X") for t in asked}
    assert len(masked) == len(asked)  # no template with a name put in


@pytest.mark.parametrize("language", LANGUAGES)
def test_half_of_the_test_questions_name_the_entity_otherwise(language):
    otherwise = 0
    for topic in EVERY_TOPIC:
        if topic["lang"] == language:
            assert topic["mention"] in topic["title"]
            queries = QUERIES[PASSAGE_OF[topic["qid"]]]["generated_queries"][language]
            otherwise += all(folded(topic["mention"]) not in folded(query) for query in queries)
    assert otherwise >= 90  # of 180


def test_the_card_says_what_it_is():
    card = " ".join((XQG_MINI / "README.md").read_text(encoding="utf-8").split())
    for words in ("synthetic", "language model", "not been checked by native speakers", "must not"):
        assert words in card
