"""Data sets' files as retrieval collections, on made files of their forms."""

from __future__ import annotations

import json
import os

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.reproduce import afriqa, mlqa, xquad


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def source(tmp_path):
    """Three articles of two passages with three questions each, in every language."""
    folder = tmp_path / "xquad-files"
    folder.mkdir()
    for code in ("en", *xquad.LANGUAGES):
        data = [
            {"title": f"T{a}", "paragraphs": [
                {"context": f"{code} text {a} {p}", "qas": [
                    {"id": f"q{a}{p}{q}", "question": f"{code}  {a}\n{p} {q}?"} for q in range(3)
                ]} for p in range(2)
            ]} for a in range(3)
        ]  # fmt: skip
        text = json.dumps({"data": data, "version": "1.1"})
        (folder / f"xquad.{code}.json").write_text(text, encoding="utf-8")
    return folder


def test_xquad(source, tmp_path):
    xquad.main(["--input", str(source), "--output", str(tmp_path / "out")])
    corpus = rows(tmp_path / "out/corpus.jsonl")
    assert [row["docid"] for row in corpus] == ["0#0", "0#1", "1#0", "1#1", "2#0", "2#1"]
    assert corpus[3] == {"docid": "1#1", "title": "T1", "text": "en text 1 1"}
    queries = rows(tmp_path / "out/queries.jsonl")
    assert queries[3]["docid"] == "1#1"
    assert queries[3]["generated_queries"]["th"] == ["th 1 1 0?", "th 1 1 2?"]
    assert list(queries[3]["generated_queries"]) == list(xquad.LANGUAGES)
    # the second question of each passage is a topic; the middle article is the test half
    test = rows(tmp_path / "out/topics.test.jsonl")
    assert len(test) == 2 * 11
    assert test[0] == {"qid": "ar-q101", "title": "ar 1 0 1?", "lang": "ar"}
    assert rows(tmp_path / "out/translated.test.jsonl")[0] == {
        "qid": "ar-q101", "title": "en 1 0 1?", "lang": "en",
    }  # fmt: skip
    qrels = (tmp_path / "out/qrels.test.txt").read_text().splitlines()
    assert qrels[0] == "ar-q101 0 1#0 1"
    assert len(rows(tmp_path / "out/topics.dev.jsonl")) == 4 * 11
    assert len(rows(tmp_path / "out/topics.jsonl")) == 6 * 11
    assert (tmp_path / "out/articles.tsv").read_text().splitlines()[3] == "1#1\tT1"
    assert not (tmp_path / "out/topics.test.with-queries.jsonl").exists()


def test_xquad_with_fewer_queries(source, tmp_path):
    def queries(name, *words):
        xquad.main(["--input", str(source), "--output", str(tmp_path / name), *words])
        of = {
            row["docid"]: row["generated_queries"]
            for row in rows(tmp_path / name / "queries.jsonl")
        }
        return {docid for docid, each in of.items() if each}, of

    half, _ = queries("half", "--coverage", "0.5")
    assert len(half) == 3
    assert half != queries("other", "--coverage", "0.5", "--seed", "2")[0]
    parts = []
    for part in ("with-queries", "without-queries"):
        lines = (tmp_path / f"half/qrels.test.{part}.txt").read_text().splitlines()
        parts.append({line.split()[2] for line in lines})
    assert parts == [half & {"1#0", "1#1"}, {"1#0", "1#1"} - half]
    some, of = queries("some", "--without", "th", "zh")
    assert len(some) == 6
    assert set(of["0#0"]) == {*xquad.LANGUAGES} - {"th", "zh"}
    assert queries("dev", "--queries-of", "dev")[0] == {"0#0", "0#1", "2#0", "2#1"}


def test_xquad_with_passages_in_another_language(source, tmp_path):
    out = tmp_path / "out"
    xquad.main(["--input", str(source), "--output", str(out), "--passages", "hi"])
    assert rows(out / "corpus.jsonl")[3]["text"] == "hi text 1 1"
    asking = ["en", *(code for code in xquad.LANGUAGES if code != "hi")]
    assert list(rows(out / "queries.jsonl")[0]["generated_queries"]) == asking
    topics = rows(out / "topics.test.jsonl")
    assert len(topics) == 2 * 11
    assert topics[0] == {"qid": "en-q101", "title": "en 1 0 1?", "lang": "en"}
    translated = rows(out / "translated.test.jsonl")
    assert translated[0] == {"qid": "en-q101", "title": "hi 1 0 1?", "lang": "hi"}


def indic_file(folder, name, examples):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({"canary": "none", "examples": examples}))


def test_xquad_in_more_languages_and_among_others(source, tmp_path):
    folder, others, out = tmp_path / "xquad_in", tmp_path / "others.jsonl", tmp_path / "out"
    ids = [f"q{a}{p}{q}" for a in range(3) for p in range(2) for q in range(3)]
    for code in xquad.INDIC:
        examples = [{"id": each, "question": f"{code} {each}?"} for each in reversed(ids)]
        indic_file(folder, f"xquad_{code}_test.json", examples)
    others.write_text('{"docid": "x", "title": "X", "text": "another"}\n')
    words = ["--input", str(source), "--output", str(out), "--indic", str(folder)]
    xquad.main([*words, "--distractors", str(others)])
    queries = rows(out / "queries.jsonl")[3]["generated_queries"]
    assert list(queries) == [*xquad.LANGUAGES, *xquad.INDIC]
    assert queries["ur"] == ["ur q110?", "ur q112?"]
    test = rows(out / "topics.test.jsonl")
    assert len(test) == 2 * 22
    assert test[21] == {"qid": "ur-q101", "title": "ur q101?", "lang": "ur"}
    assert [row["docid"] for row in rows(out / "all.jsonl")][-2:] == ["2#1", "x"]
    assert len(rows(out / "corpus.jsonl")) == 6
    indic_file(folder, "xquad_ta_test.json", [{"id": "q000", "question": "?"}])
    with pytest.raises(XqgError, match=r"xquad_ta_test\.json: no question q001"):
        xquad.main([*words[:2], "--output", str(tmp_path / "again"), *words[4:]])


def test_what_is_not_xquad(source, tmp_path):
    def refused(match):
        with pytest.raises(XqgError, match=match):
            xquad.main(["--input", str(source), "--output", str(tmp_path / "out")])
        assert not (tmp_path / "out").exists()

    with pytest.raises(XqgError, match="--coverage 2.0: expected a share"):
        xquad.main(["--input", str(source), "--output", str(tmp_path / "x"), "--coverage", "2"])
    path = source / "xquad.th.json"
    whole = path.read_text()
    path.write_text(whole.replace("q111", "q999"))
    refused(r"xquad\.th\.json: other questions than xquad\.en\.json")
    path.write_text(json.dumps({"data": [{"title": "x"}]}))
    refused(r"xquad\.th\.json: not a file of XQuAD's \(KeyError")
    data = json.loads(whole)
    data["data"][0]["paragraphs"][0]["qas"][1]["question"] = " "
    path.write_text(json.dumps(data))
    refused("xquad.th.json: question q001: expected the text of a question, found ' '")
    path.write_text("[")
    refused(r"xquad\.th\.json: not in SQuAD's form")
    path.unlink()
    refused(r"no such file: .*xquad\.th\.json; expected the folder of XQuAD's downloads")
    path.write_text(whole)
    (tmp_path / "out").mkdir()
    with pytest.raises(XqgError, match="out exists"):
        xquad.main(["--input", str(source), "--output", str(tmp_path / "out")])


def afriqa_row(number, context, question, **more):
    return {
        "id": str(number), "context": context, "title": f"T {context}", "question_lang": question,
        "question_translated": f"{question} in English", **more,
    }  # fmt: skip


@pytest.fixture
def gold(tmp_path):
    folder = tmp_path / "afriqa-files"
    folder.mkdir()
    files = {
        "hau.en.train": [afriqa_row(0, "a b", "h1"), afriqa_row(1, "a  b", "h1"),
                         afriqa_row(2, "c", "h2"), afriqa_row(3, None, "h3")],
        "hau.en.test": [afriqa_row(0, "c", "h2"), afriqa_row(1, "d", "h4"),
                        afriqa_row(2, "d", None)],
        "swa.en.dev": [afriqa_row(0, "a b", "s1", question_translated=None)],
        "xxx.en.dev": [afriqa_row(0, "other", "x")],
        "fon.fr.test": [afriqa_row(0, "e", "f1", question_translated="f1 en français")],
    }  # fmt: skip
    for name, content in files.items():
        text = "".join(json.dumps(row) + "\n" for row in content)
        (folder / f"gold_span_passages.afriqa.{name}.json").write_text(text)
    return folder


def test_afriqa(gold, tmp_path, capsys):
    out = tmp_path / "out"
    afriqa.main(["--input", str(gold), "--output", str(out)])
    assert (
        "3 passages, 1 with queries; topics: 1 dev, 2 test, 2 of these" in capsys.readouterr().out
    )
    corpus = rows(out / "corpus.jsonl")
    # files are read in the order of their names: hau's test before its train
    assert [row["text"] for row in corpus] == ["c", "d", "a b"]
    queries = {row["docid"]: row["generated_queries"] for row in rows(out / "queries.jsonl")}
    # h2 is a topic on the same passage, so it is not among the queries
    assert queries == {"afriqa-0": {}, "afriqa-1": {}, "afriqa-2": {"ha": ["h1", "h1"]}}
    assert rows(out / "topics.test.jsonl") == [
        {"qid": "ha-test-0", "title": "h2", "lang": "ha"},
        {"qid": "ha-test-1", "title": "h4", "lang": "ha"},
    ]
    assert (out / "qrels.dev.txt").read_text() == "sw-dev-0 0 afriqa-2 1\n"
    assert rows(out / "translated.dev.jsonl")[0]["title"] == "s1"


@pytest.mark.skipif("AFRIQA" not in os.environ, reason="AFRIQA names no folder of AfriQA's files")
def test_the_real_afriqa(tmp_path, capsys):
    afriqa.main(["--input", os.environ["AFRIQA"], "--output", str(tmp_path / "out")])
    assert "5359 passages, 1689 with queries; topics: 1584 dev, 2721 test, 2519 of these on " in (
        capsys.readouterr().out
    )


def test_what_is_not_afriqa(gold, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(XqgError, match="no file named like gold_span_passages.afriqa.hau.en.test"):
        afriqa.main(["--input", str(tmp_path / "empty"), "--output", str(tmp_path / "out")])
    path = gold / "gold_span_passages.afriqa.hau.en.test.json"
    path.write_text('{"id": "1", "context": "c", "title": "t"}\n')
    with pytest.raises(XqgError, match=r"hau\.en\.test\.json:1: .* no question_lang"):
        afriqa.main(["--input", str(gold), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.fixture
def parallel(tmp_path):
    """Two contexts in each of three languages, one for each split; questions in all of them."""
    folder = tmp_path / "MLQA_V1"
    for split in ("dev", "test"):
        (folder / split).mkdir(parents=True)
        for context in ("de", "en", "hi"):
            for asked in ("de", "en", "hi"):
                qas = [{"id": split, "question": f"{asked}: {split}?", "answers": []}]
                paragraphs = [{"context": f"{context} {split}", "qas": qas}]
                text = json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]})
                name = f"{split}-context-{context}-question-{asked}.json"
                (folder / split / name).write_text(text)
    return folder


def test_mlqa(parallel, tmp_path, capsys):
    out = tmp_path / "out"
    mlqa.main(["--input", str(parallel), "--output", str(out), "--contexts", "de", "hi"])
    assert "4 passages in de hi, 2 with queries; 3 topics" in capsys.readouterr().out
    corpus = {row["text"]: row["docid"] for row in rows(out / "corpus.jsonl")}
    assert set(corpus) == {"de dev", "de test", "hi dev", "hi test"}
    queries = {row["docid"]: row["generated_queries"] for row in rows(out / "queries.jsonl")}
    assert queries[corpus["hi dev"]] == {"de": ["de: dev?"], "en": ["en: dev?"], "hi": ["hi: dev?"]}
    assert queries[corpus["hi test"]] == {}
    # a question asks for its passage in whatever language that is
    judged = [line.split() for line in (out / "qrels.test.txt").read_text().splitlines()]
    assert {docid for qid, _, docid, _ in judged if qid == "en-test"} == {
        corpus["de test"], corpus["hi test"],
    }  # fmt: skip
    assert [row["qid"] for row in rows(out / "topics.test.jsonl")] == [
        "de-test", "en-test", "hi-test",
    ]  # fmt: skip
    assert rows(out / "translated.test.jsonl")[0]["title"] == "en: test?"
    with pytest.raises(XqgError, match="no such file.*dev-context-vi-question-vi"):
        mlqa.main(["--input", str(parallel), "--output", str(tmp_path / "x"), "--contexts", "vi"])
