"""XorQA-IN's files as a retrieval collection, on made files of their form."""

from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.reproduce import xorqa_in


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def example(context, question, answer="A"):
    return {
        "title": f"title:T {context}_parentSection:S._sectionName:S_sectionIndex:0",
        "context": context, "question": question, "answers": [{"text": answer}],
    }  # fmt: skip


@pytest.fixture
def xorqa(tmp_path):
    """Two questions a part; the second test question is on a passage of the dev files."""
    folder = tmp_path / "xorqa_in"
    folder.mkdir()
    for code in ("en", *xorqa_in.LANGUAGES):
        for part, contexts in (("train", "ab"), ("dev", "cd"), ("test", "ed")):
            examples = [example(f"text  {name}", f"{code} {part} {name}?") for name in contexts]
            if code == "te" and part == "test":
                examples[0]["question"] = " "
            text = json.dumps({"canary": "none", "examples": examples})
            (folder / f"xorqa_{code}_{part}.json").write_text(text)
    return folder


def test_xorqa_in(xorqa, tmp_path, capsys):
    out = tmp_path / "out"
    xorqa_in.main(["--input", str(xorqa), "--output", str(out)])
    assert (
        "5 passages, 2 with queries; topics: 56 dev, 55 test, 27 of these on passages without "
        "queries; 1 examples without a question left out" in capsys.readouterr().out
    )
    corpus = rows(out / "corpus.jsonl")
    assert [row["text"][-1] for row in corpus] == list("abcde")
    assert corpus[0] == {"docid": "xorqa-0", "title": "T text  a", "text": "text a"}
    queries = {row["docid"]: row["generated_queries"] for row in rows(out / "queries.jsonl")}
    assert queries["xorqa-3"]["sat"] == ["sat dev d?"]
    assert queries["xorqa-0"] == queries["xorqa-4"] == {}
    assert list(queries["xorqa-2"]) == list(xorqa_in.LANGUAGES)  # and not in English
    assert rows(out / "topics.test.jsonl")[0] == {
        "qid": "as-test-0", "title": "as test e?", "lang": "as",
    }  # fmt: skip
    assert rows(out / "translated.test.jsonl")[0]["title"] == "en test e?"
    assert (out / "qrels.test.txt").read_text().splitlines()[:2] == [
        "as-test-0 0 xorqa-4 1",
        "as-test-1 0 xorqa-3 1",
    ]


def test_a_query_that_a_topic_repeats_is_no_query(xorqa, tmp_path):
    path = xorqa / "xorqa_te_dev.json"
    path.write_text(path.read_text().replace("te dev d?", "te test d?"))
    xorqa_in.main(["--input", str(xorqa), "--output", str(tmp_path / "out")])
    queries = rows(tmp_path / "out/queries.jsonl")[3]["generated_queries"]
    assert queries["te"] == []
    assert queries["ta"] == ["ta dev d?"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no such file: .*xorqa_ta_test\.json; expected the folder xorqa_in"),
        ("[]", r"xorqa_ta_test\.json: not a file of IndicGenBench's \(TypeError"),
        ('{"examples": [{"context": "c"}]}', r"not a file of IndicGenBench's \(KeyError\('title"),
        (
            json.dumps({"examples": [{**example("c", "q"), "answers": []}]}),
            r"xorqa_ta_test\.json: example 1: not as XorQA-IN's are \(IndexError",
        ),
    ],
)
def test_what_is_not_xorqa_in(xorqa, tmp_path, content, message):
    path = xorqa / "xorqa_ta_test.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(XqgError, match=message):
        xorqa_in.main(["--input", str(xorqa), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
