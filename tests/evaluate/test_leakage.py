from __future__ import annotations

import gzip
import random
from fractions import Fraction

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.presets import PRESETS
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.leakage.contamination import BENCHMARKS, contamination_section, spec_of
from pyserini_xqg.evaluate.leakage.near_duplicates import (
    Asked,
    NearDuplicates,
    compared,
    grams,
    scan,
    stream_questions,
)
from pyserini_xqg.evaluate.report.publish import gathering

TOPICS = [
    {"qid": "fi-1", "title": "Minkä meren rannalle Volgan vedet päätyvät?", "lang": "fi"},
    {"qid": "fi-2", "title": "Mikä soitin on kantele?", "lang": "fi"},
    {"qid": "te-1", "title": "వోల్గా ఎక్కడ పుడుతుంది?", "lang": "te"},
    {"qid": "te-2", "title": "BBC 1914", "lang": "te"},
]


def tables(*arguments):
    with gathering() as published:
        main(["leakage", *map(str, arguments)])
    [(_, sections)] = published
    return {table.name: table.rows for section in sections for table in section.tables}


@pytest.fixture
def topics(write_jsonl):
    return write_jsonl("topics.jsonl", TOPICS)


@pytest.mark.parametrize("length", [1, 3, 4])
@pytest.mark.parametrize("threshold", [0.3, 0.55, 0.7, 0.8, 1.0])
def test_nothing_is_missed(threshold, length):
    """Against every pair, in whole numbers: 0.55 x 20 is 11, though not for a computer."""
    rng = random.Random(length)
    base = ["".join(rng.choices("abcde", k=rng.randint(0, 24))) for _ in range(40)]

    def changed(text):
        place = rng.randrange(len(text) + 1)
        return text[:place] + rng.choice(["", "x", "yz"]) + text[place + rng.randint(0, 2) :]

    topics = [Topic(str(i), text, "") for i, text in enumerate(base + base[:5])]
    asked = [*base, *(changed(text) for text in base * 6), "", "?!"]
    search = NearDuplicates(topics, threshold, length)
    found = {(text, hit.topic.qid, hit.equal) for text in asked for hit in search.of(text)}
    expected = set()
    for text in asked:
        for topic in topics:
            one, other = grams(text, length), grams(topic.text, length)
            if text == "?!" or not one | other:
                continue
            if Fraction(len(one & other), len(one | other)) >= Fraction(str(threshold)):
                expected.add((text, topic.qid, text == topic.text))
    assert len(expected) > 40
    assert found == expected


def test_a_pair_at_the_threshold():
    # 11 of 20 letters are shared: 0.55 exactly.
    topics = [Topic("t", "abcdefghijklmno", "")]
    (hit,) = NearDuplicates(topics, 0.55, 1).of("abcdefghijkvwxyz"[:11] + "vwxyz")
    assert (hit.jaccard, hit.equal) == (0.55, False)


def test_what_is_compared():
    assert compared(" Ｗhat's the ‘ＢＢＣ’ of 2019?! ") == "whatsthebbcof2019"
    assert compared("STRASSE") == compared("Straße")
    assert compared("వోల్గా") == "వోల్గా"  # vowel signs stay
    assert grams("abcd") == {"abc", "bcd"}
    assert grams("ab") == {"ab"}
    assert grams("") == frozenset()


@pytest.mark.parametrize(
    ("settings", "message"),
    [((0, 3), "--threshold 0"), ((1.1, 3), "--threshold 1.1"), ((0.8, 0), "--ngram 0")],
)
def test_bounds(settings, message):
    with pytest.raises(XqgError, match=message):
        NearDuplicates([], *settings)


def test_the_worst_match_is_kept_for_each_side():
    topics = [Topic("q", "abcdefghij", "fi")]
    asked = [
        Asked("abcdefghi", "fi", "1"),
        Asked("abcdefghij!", "fi", "2"),
        Asked("abcdefghij", "fi", "3"),  # no worse than the one before
        Asked("abcdefgh", "", "4"),
        Asked("bcdefghij", "et", "5"),
        Asked("zzzz", "", "6"),
    ]
    found = scan(topics, iter(asked), 0.7)
    assert (found.read, found.untold) == (6, 2)
    assert found.same["q"].asked.where == "2"
    assert found.other["q"].asked.where == "5"  # 7 of 8 n-grams against 6 of 8
    assert found.worst["q"].asked.where == "2"
    assert scan(topics, asked[3:], 0.7).worst["q"].asked.where == "5"


def test_readers(tmp_path, write_jsonl):
    xor = write_jsonl("xor.jsonl", [{"question": "q1", "lang": " te", "answers": ["x"]}])
    tevatron = write_jsonl(
        "t.jsonl", [{"query": "ఎక్కడ", "positive_passages": []}, {"query": "where"}]
    )
    queries = write_jsonl(
        "g.jsonl",
        [{"docid": "007", "text": "t", "generated_queries": {"fi": ["a", "b"], "te": []}}],
    )
    (tmp_path / "four.tsv").write_text("fi\tq2\ttitle\ttext\n")
    (tmp_path / "three.tsv.gz").write_bytes(gzip.compress(" ru\tкто\twho\n".encode()))
    paths = [xor, tevatron, queries, tmp_path / "four.tsv", tmp_path / "three.tsv.gz"]
    found = list(stream_questions(paths, ["te", "fi", "ar"]))
    assert [asked[:2] for asked in found] == [
        ("q1", "te"), ("ఎక్కడ", "te"), ("where", "fi"), ("a", "fi"), ("b", "fi"), ("q2", "fi"),
        ("кто", "ru"),
    ]  # fmt: skip
    assert found[0].where.endswith("xor.jsonl:1")
    assert found[3].where == "007"
    # Both are in Latin letters: nothing tells.
    assert [asked.language for asked in stream_questions([tevatron], ["fi", "sw"])] == ["", ""]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}', "a.jsonl:2: expected a string in one of question, query"),
        ("a.jsonl", '{"question": 5}', "a.jsonl:2: expected a string"),
        ("a.jsonl", '{"question": "x", "lang": "t_e"}', "a.jsonl:2: 't_e' is not a language code"),
        ("a.tsv", "alone", "a.tsv:2: no tab"),
    ],
)
def test_broken_rows_are_named_when_they_are_reached(tmp_path, name, content, message):
    first = "te\tx" if name.endswith("tsv") else '{"question": "x", "lang": "te"}'
    (tmp_path / name).write_text(f"{first}\n{content}\n")
    stream = stream_questions([tmp_path / name])
    assert next(stream)[:2] == ("x", "te")  # nothing was read ahead
    with pytest.raises(XqgError, match=message):
        next(stream)


def test_counts_examples_and_scores(topics, tmp_path, write_jsonl):
    queries = write_jsonl(
        "q.jsonl",
        [
            {"docid": "d1", "generated_queries": {"fi": ["mikä soitin on kantele"], "te": ["x"]}},
            {"docid": "d2", "generated_queries": {"ar": ["BBC, 1914", "Mikä soitin on kantele?"]}},
        ],
    )
    train = write_jsonl(
        "train.jsonl",
        [
            {"question": "Minkä meren rannalle Volgan vedet päätyivät?", "lang": "fi"},
            {"question": "Mikä soitin on kantele?", "lang": "fi"},
        ],
    )
    (tmp_path / "qrels").write_text("fi-1 0 a 1\nfi-2 0 a 1\nte-1 0 b 1\nte-2 0 b 1\n")
    (tmp_path / "x.run").write_text("fi-1 Q0 a 1 1 t\nte-1 Q0 b 1 1 t\nte-2 Q0 c 1 2 t\n")
    found = tables(
        "--topics", topics, "--queries", queries, "--train", train, "--threshold", "0.8",
        "--qrels", tmp_path / "qrels", "--runs", tmp_path / "x.run", "--measures", "Success@1",
    )  # fmt: skip
    assert found["leakage-counts"] == [
        # generated: equal, own language, other only; training: the same; any
        ["fi", 2, 1, 1, 0, 1, 2, 0, 2],
        ["te", 2, 1, 0, 1, 0, 0, 0, 1],
        ["all", 4, 2, 1, 1, 1, 2, 0, 3],
    ]
    examples = found["leakage-examples"]
    assert [row[:2] for row in examples] == [
        ["generated", "te-2"], ["generated", "fi-2"], ["training", "fi-2"], ["training", "fi-1"],
    ]  # fmt: skip
    assert examples[0][2:6] == ["BBC 1914", "BBC, 1914", "ar", "d2"]
    assert 0.8 <= examples[3][6] < 1
    score = found["leakage-scores"]
    assert [row[:3] for row in score] == [
        ["x", "Success@1", "fi"], ["x", "Success@1", "te"], ["x", "Success@1", "all"],
        ["x", "Success@1", "mean of languages"],
    ]  # fmt: skip
    # all topics; without fi-2, te-2; without fi-1, fi-2; without these three
    assert score[0][3:] == [2, 50, 1, 100, 0, None, 0, None]
    assert score[1][3:] == [2, 50, 1, 100, 2, 50, 1, 100]
    assert score[2][3:] == [4, 50, 2, 100, 2, 50, 1, 100]
    assert score[3][3:] == [4, 50, 2, 100, 2, None, 1, None]  # no Finnish topic is left


def test_the_mean_of_languages_weighs_them_alike(topics, tmp_path, write_jsonl):
    queries = write_jsonl("q.jsonl", [{"docid": "d", "generated_queries": {"te": ["BBC 1914"]}}])
    (tmp_path / "qrels").write_text("fi-1 0 a 1\nfi-2 0 a 1\nte-1 0 b 1\nte-2 0 b 1\n")
    (tmp_path / "x.run").write_text("te-1 Q0 b 1 1 t\n")
    score = tables(
        "--topics", topics, "--queries", queries, "--qrels", tmp_path / "qrels",
        "--runs", tmp_path / "x.run", "--measures", "Success@1",
    )["leakage-scores"]  # fmt: skip
    assert score[2][3:] == [4, 25, 3, pytest.approx(100 / 3)]
    assert score[3][3:] == [4, 25, 3, 50]


def test_nothing_found_leaves_every_score(topics, tmp_path, write_jsonl, capsys):
    queries = write_jsonl("q.jsonl", [{"docid": "d1", "generated_queries": {"fi": ["muuta"]}}])
    (tmp_path / "qrels").write_text("fi-1 0 a 1\n")
    (tmp_path / "x.run").write_text("fi-1 Q0 a 1 1 t\n")
    main(["leakage", "--topics", str(topics), "--queries", str(queries), "--runs",
          str(tmp_path / "x.run"), "--qrels", str(tmp_path / "qrels")])  # fmt: skip
    printed = capsys.readouterr().out
    assert "every score stands as it is" in printed
    assert "generated: 1 questions compared." in printed


def test_options_that_need_each_other(topics, tmp_path):
    with pytest.raises(XqgError, match="nothing to look for"):
        tables("--topics", topics)
    with pytest.raises(XqgError, match="--queries and --train need --topics"):
        tables("--train", topics)
    with pytest.raises(XqgError, match="--runs and --qrels need each other"):
        tables("--topics", topics, "--train", topics, "--runs", "x")
    with pytest.raises(XqgError, match="--runs and --qrels need each other"):
        tables("--encoder", "xdr", "--runs", "x", "--qrels", "y")


def test_benchmarks_that_an_encoder_was_trained_on(tmp_path):
    rows = tables("--encoder", "mdpr-nq")["leakage-encoder"]
    assert [row[:2] for row in rows] == [["MKQA", "NQ"], ["NQ", "NQ"]]
    rows = tables("--encoder", "intfloat/multilingual-e5-base")["leakage-encoder"]
    assert ["XOR-TyDi", "MIRACL"] in [row[:2] for row in rows]
    unknown = contamination_section(spec_of(str(tmp_path)))
    assert not unknown.tables
    assert "not known here" in unknown.text[0]


def test_the_encoder_of_a_store_and_of_an_index(tmp_path):
    spec = EncoderSpec("castorini/mdpr-tied-pft-nq", pooling="cls")
    (tmp_path / "xqg.json").write_text(
        '{"format": 1, "kind": "faiss", "encoder": {"model": "some/model"}}'
    )
    assert spec_of(str(tmp_path)).model == "some/model"
    assert spec_of("castorini/mdpr-tied-pft-nq") == spec == spec_of("mdpr-nq")


def test_presets_and_benchmarks_spell_data_sets_alike():
    trained = {name for preset in PRESETS.values() for name in preset.trained_on}
    touched = {name for of in BENCHMARKS.values() for name in of}
    assert touched - trained == {"TyDi QA"}  # no preset names it, some other encoder may
