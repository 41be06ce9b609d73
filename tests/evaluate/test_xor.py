from __future__ import annotations

import contextlib
import gzip
import json
import random
import re
from codecs import BOM_UTF8

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.xor.command import score_xor
from pyserini_xqg.evaluate.xor.predictions import (
    Prediction,
    Question,
    official_tokenizer,
    read_gold,
    read_predictions,
    simple_tokenizer,
)

TEXTS = [
    'The "Blue" river, 3.5 km long, rises in Ukraine\'s hills.',
    "Nothing of interest here .",
    "It was built in 1914 , they say .",
    "The Danube flows on.",
]


def by_hand(rows, gold, tokenize, budget):
    """The definition again, in the words of the official script's input and output."""
    by_language = {}
    answers = {row["id"]: row["answers"] for row in gold}
    for row in rows:
        spans = [answer for answer in answers[row["id"]] if answer not in {"yes", "no"}]
        if not spans:
            continue
        tokens = []
        for context in row["ctxs"]:
            tokens.extend(tokenize(context))
        context = " ".join(tokens[:budget])
        by_language.setdefault(row["lang"], []).append(any(span in context for span in spans))
    percentages = [100 * sum(hits) / len(hits) for hits in by_language.values()]
    return sum(percentages) / len(percentages)


@pytest.fixture
def made():
    rng = random.Random(5)
    answers = ["Blue", '"Blue"', "3.5 km", "Ukraine's", "1914", "danube", "Danube", "yes", "no"]
    gold, rows = [], []
    for number in range(120):
        language = rng.choice(["te", "ar", "fi"])
        qid = f"{language}-{number}"
        gold.append({"id": qid, "lang": language, "answers": rng.choices(answers, k=2)})
        if number % 10:  # every tenth question is not answered
            texts = rng.choices(TEXTS, k=rng.randint(1, 6))
            rows.append({"id": qid, "lang": language, "ctxs": texts})
    return gold, rows


TOKENIZERS = [simple_tokenizer(), str.split]
with contextlib.suppress(XqgError):  # where its data are not installed, the definition is the same
    TOKENIZERS.append(official_tokenizer())


@pytest.mark.parametrize("tokenize", TOKENIZERS)
@pytest.mark.parametrize("budget", [1, 7, 13, 100])
def test_parity_with_the_definition(made, tmp_path, tokenize, budget):
    gold, rows = made
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold))
    (tmp_path / "p.json").write_text(json.dumps(rows))
    scores = score_xor(
        read_predictions(tmp_path / "p.json"),
        read_gold(tmp_path / "gold.jsonl"),
        tokenize,
        [budget],
    )
    assert scores.mean[budget] == pytest.approx(by_hand(rows, gold, tokenize, budget), abs=1e-12)
    with_spans = [row for row in gold if set(row["answers"]) - {"yes", "no"}]
    assert sum(scores.counted.values()) + len(scores.unanswered) == len(with_spans)


def test_quirks_by_hand():
    questions = [
        Question("quote", "te", ['"Blue"']),
        Question("case", "te", ["danube"]),
        Question("cut", "ar", ["two three"]),
        Question("dropped", "ar", []),
        Question("missing", "ar", ["x"]),
    ]
    predictions = [
        Prediction("quote", "te", ['the "Blue" one']),
        Prediction("case", "te", ["Danube"]),
        Prediction("cut", "ar", ["one two", "three four"]),
        Prediction("dropped", "ar", ["yes"]),
    ]
    scores = score_xor(predictions, questions, simple_tokenizer(), [2, 3])
    # a quoted answer is taken apart by the tokenizer and never found; case counts
    assert scores.by_language == {2: {"ar": 0.0, "te": 0.0}, 3: {"ar": 100.0, "te": 0.0}}
    assert scores.mean == {2: 0.0, 3: 50.0}
    assert scores.counted == {"ar": 1, "te": 2}
    assert scores.unanswered == ["missing"]
    assert scores.short == {2: 1, 3: 1}


def test_what_is_refused():
    question = [Question("1", "te", ["a"])]
    with pytest.raises(XqgError, match="'2' is not in the gold file"):
        score_xor([Prediction("2", "te", [])], question, str.split)
    with pytest.raises(XqgError, match="'1' is predicted twice"):
        score_xor([Prediction("1", "te", [])] * 2, question, str.split)
    with pytest.raises(XqgError, match="no question .* is answered"):
        score_xor([], question, str.split)


@pytest.fixture
def files(write_jsonl, tmp_path):
    corpus = write_jsonl("c.jsonl", [
        {"docid": "007", "title": "Answer", "text": "one two three"},
        {"docid": "b", "text": "four five"},
    ])  # fmt: skip
    gold = write_jsonl("g.jsonl", [
        {"id": "te-1", "lang": "te", "answers": ["three"]},
        {"id": "ar-1", "lang": " ar", "answers": ["Answer"]},
    ])  # fmt: skip
    run = tmp_path / "run"
    run.write_text("te-1 Q0 b 2 1.0 t\nte-1 Q0 007 1 2.0 t\nar-1 Q0 007 1 2.0 t\n")
    return run, corpus, gold


def command(files, *more, budget="3"):
    run, corpus, gold = map(str, files)
    return ["xor", "--run", run, "--corpus", corpus, "--gold", gold, "--budget", budget,
            "--tokenizer", "simple", *more]  # fmt: skip


def test_the_command(files, tmp_path, capsys):
    main(command(files, "--save-predictions", str(tmp_path / "p.json")))
    said = capsys.readouterr().out
    assert re.search(
        r"^ +ar +te +mean\n"
        r"R@3t \(not official\) +0\.00 +100\.00 +50\.00\n"  # a title is not part of the text
        r"n +1 +1 +2$", said, re.MULTILINE,
    )  # fmt: skip
    assert "coverage 100.0 % (0 unanswered)" in said
    assert "NOT OFFICIAL" in said
    assert json.loads((tmp_path / "p.json").read_text())[0] == {
        "id": "te-1", "lang": "te", "ctxs": ["one two three", "four five"],
    }  # fmt: skip
    main(["xor", "--predictions", str(tmp_path / "p.json"), "--gold", str(files[2]),
          "--budget", "3", "--tokenizer", "simple"])  # fmt: skip
    assert capsys.readouterr().out == said


def test_budgets_in_names(files, capsys):
    main(command(files, "--allow-short", "--budget", "999", "1000", "1500", "2000"))
    names = re.findall(r"^(R@\S+) \(not official\)", capsys.readouterr().out, re.MULTILINE)
    assert names == ["R@999t", "R@1kt", "R@1.5kt", "R@2kt"]


def test_short_and_missing(files, capsys):
    with pytest.raises(XqgError, match=r"short of tokens: 1 under 4; search deeper"):
        main(command(files, budget="4"))
    main(command(files, "--allow-short", budget="4"))
    assert "short of tokens: 1 under 4" in capsys.readouterr().err
    files[0].write_text("te-1 Q0 007 1 2.0 t\n")
    with pytest.raises(XqgError, match=r"1 question\(s\) are not answered, e.g. 'ar-1'"):
        main(command(files))
    main(command(files, "--allow-missing"))
    assert "coverage 50.0 % (1 unanswered)" in capsys.readouterr().out


def test_one_token_may_be_all_that_is_read(files, capsys):
    main(command(files, budget="1"))
    assert "R@1t (not official)" in capsys.readouterr().out
    with pytest.raises(XqgError, match="--budget 0: expected at least 1 token"):
        main(command(files, budget="0"))


def test_texts_are_asked_for(files, capsys):
    with pytest.raises(SystemExit):
        main(["xor", "--gold", str(files[2])])
    assert "one of the arguments --run --predictions is required" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["xor", "--predictions", "p.json"])
    assert "the following arguments are required: --gold" in capsys.readouterr().err


def test_the_official_budgets_are_the_defaults(files, capsys):
    words = [word for word in command(files, "--allow-short") if word not in ("--budget", "3")]
    main(words)
    names = re.findall(r"^(R@\S+) \(not official\)", capsys.readouterr().out, re.MULTILINE)
    assert names == ["R@2kt", "R@5kt"]


def test_a_run_and_a_corpus_that_do_not_fit(files):
    files[0].write_text("te-1 Q0 nowhere 1 2.0 t\n")
    with pytest.raises(XqgError, match=r"1 docid\(s\) are not in .*c\.jsonl, e.g. 'nowhere'"):
        main(command(files))
    files[0].write_text("te-1 Q0 007 1 2.0\n")
    with pytest.raises(XqgError, match="run:1: 5 column.s.; expected 6"):
        main(command(files))


def test_a_run_as_tevatron_writes_it(files, capsys):
    main(command(files))
    said = capsys.readouterr().out
    files[0].write_text("te-1\t007\t2.5\nte-1\tb\t2.5\nar-1\t007\t2.0\n")
    main(command(files))
    assert capsys.readouterr().out == said
    files[0].write_text("te-1\t007\t1\nte-1\tb\t2\nar-1\t007\t1\n")
    with pytest.raises(XqgError, match="run:2: the score rises; .* ranks must be made a TREC run"):
        main(command(files))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"p.json: expected a JSON list of id, lang and ctxs; not JSON"),
        ('{"id": "a"}', "p.json: expected a JSON list of id, lang and ctxs, found a dict"),
        ("[5]", "p.json: row 1: expected an object with id, lang and ctxs, found 5"),
        ('[{"id": 5, "lang": "te", "ctxs": []}]', "row 1: expected 'id' to be a string, found 5"),
        ('[{"id": "a", "ctxs": []}]', "p.json: row 1: expected 'lang' to be a string, found None"),
        (
            '[{"id": "a", "lang": "te", "ctxs": "t"}]',
            "row 1: expected 'ctxs' to be a list, found 't'",
        ),
        (
            '[{"id": "b", "lang": "", "ctxs": []}, {"id": "a", "lang": "te", "ctxs": ["t", null]}]',
            r"p.json: row 2 \(question 'a'\): expected 'ctxs' to be strings, found None at place 2",
        ),
        ('[{"id": "a", "lang": "te", "ctxs": [5]}]', "to be strings, found 5 at place 1"),
        ('[{"id": "a", "lang": "te", "ctxs": [{"text": "t"}]}]', "found {'text': 't'} at place 1"),
    ],
)
def test_broken_predictions(tmp_path, content, message):
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(XqgError, match=message):
        read_predictions(path)


@pytest.mark.parametrize("answer", [None, 5, ["a"], True])
def test_answers_that_are_no_strings(write_jsonl, answer):
    rows = [
        {"id": "a", "lang": "te", "answers": ["x"]},
        {"id": "b", "lang": "te", "answers": ["x", answer]},
    ]
    with pytest.raises(XqgError, match=r"g.jsonl:2: expected 'answers' to be strings, found "):
        read_gold(write_jsonl("g.jsonl", rows))
    rows[1] = {"id": "b", "lang": answer or 5, "answers": ["x"]}
    with pytest.raises(XqgError, match=r"g.jsonl:2: expected 'lang' to be a string"):
        read_gold(write_jsonl("g.jsonl", rows))


def test_packed_predictions_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "p.json"
    row = {"id": "a", "lang": " te", "ctxs": ["t"]}
    path.write_bytes(gzip.compress(BOM_UTF8 + json.dumps([row]).encode()))
    assert read_predictions(path) == [Prediction("a", "te", ["t"])]


def test_languages_that_differ_go_by_the_prediction_as_in_the_official_script():
    gold = [Question("a", "te", ["x"]), Question("b", "te", ["x"]), Question("c", "", ["x"])]
    rows = [
        Prediction("a", "te", ["x"]),
        Prediction("b", "fi", ["y"]),
        Prediction("c", "te", ["x"]),
    ]
    with pytest.warns(UserWarning, match=r"1 question.s. have another language .*fi.*te"):
        scores = score_xor(rows, gold, str.split, [5])
    assert scores.by_language == {5: {"fi": 0.0, "te": 100.0}}
    as_rows = [{"id": p.qid, "lang": p.language, "ctxs": p.texts} for p in rows]
    as_gold = [{"id": q.qid, "answers": q.answers} for q in gold]
    assert scores.mean[5] == by_hand(as_rows, as_gold, str.split, 5) == 50
    assert scores.counted == {"fi": 1, "te": 2}
