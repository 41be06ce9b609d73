from __future__ import annotations

import math

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit, read_run
from pyserini_xqg.evaluate.__main__ import main
from pyserini_xqg.evaluate.report.publish import gathering
from pyserini_xqg.evaluate.returned.rankings import (
    collection_facts,
    jaccard,
    main_script,
    outcome,
    rank_biased_overlap,
    returns,
    skewness,
)
from pyserini_xqg.evaluate.trec.measures import score_by_topic

CORPUS = [
    {"docid": "a1", "title": "A", "text": "one", "lang": "en"},
    {"docid": "a2", "title": "A", "text": "two", "language": "en"},
    {"docid": "b1", "title": "B", "text": "три", "lang": " ru "},
    {"docid": "c1", "title": "", "text": "నాలుగు"},
    {"docid": "d1", "title": "D", "text": "in no run", "lang": "en"},
]
TOPICS = [{"qid": q, "title": "w", "lang": q[:2]} for q in ("te-1", "te-2", "te-3", "fi-1")]
QRELS = "te-1 0 a1 1\nte-2 0 a1 1\nte-3 0 c1 1\nfi-1 0 b1 1\nfi-1 0 d1 0\n"
#: k = 2: te-1 is a hit; te-2 has the right title, and the passage below; te-3's is not there;
#: fi-1 has nothing.
RUN = {"te-1": ["a1", "b1"], "te-2": ["b1", "a2", "a1"], "te-3": ["b1", "a1"]}
OTHER = {"te-1": ["a1", "b1"], "te-2": ["a1", "c1"], "fi-1": ["c1"]}


def write_run(path, ranked):
    path.write_text(
        "".join(
            f"{qid} Q0 {docid} {rank} {-rank} t\n"
            for qid, docids in ranked.items()
            for rank, docid in enumerate(docids, 1)
        )
    )
    return str(path)


@pytest.fixture
def files(tmp_path, write_jsonl):
    (tmp_path / "qrels").write_text(QRELS)
    return {
        "--runs": [
            write_run(tmp_path / "one.run", RUN),
            write_run(tmp_path / "two.run", OTHER),
        ],
        "--topics": [str(write_jsonl("topics.jsonl", TOPICS))],
        "--qrels": [str(tmp_path / "qrels")],
        "--corpus": [str(write_jsonl("corpus.jsonl", CORPUS))],
        "--k": ["2"],
    }


def tables(files):
    """By name, rows by their first two cells (or one)."""
    arguments = [word for flag, values in files.items() for word in (flag, *values)]
    with gathering() as published:
        main(["returned", *arguments])
    [(_, sections)] = published
    return {table.name: table for section in sections for table in section.tables}


def row(table, *key):
    [found] = [list(row[len(key) :]) for row in table.rows if tuple(row[: len(key)]) == key]
    return found


def test_languages_of_what_comes_back(files):
    found = tables(files)
    languages = found["returned-languages"]
    assert list(languages.columns) == ["run", "topics in", "en", "ru", "unknown"]
    assert row(languages, "collection", "") == [60, 20, 20]
    assert row(languages, "one", "te") == pytest.approx([50, 50, 0])  # a1 b1, b1 a2, b1 a1
    assert row(languages, "one", "fi") == [None, None, None]
    assert row(languages, "two", "all") == pytest.approx([40, 20, 40])
    scripts = found["returned-scripts"]
    assert list(scripts.columns[2:]) == ["Latn", "Cyrl", "Telu"]
    assert row(scripts, "two", "fi") == [0, 0, 100]


def test_overlap(files):
    overlap = tables(files)["returned-overlap"]
    # te-1: the same; te-2: b1 a2 and a1 c1; te-3: nothing in the second run; fi-1: in the first.
    assert row(overlap, "one | two", "te") == pytest.approx([3, 1 / 3, 1 / 3])
    assert row(overlap, "one | two", "all") == pytest.approx([4, 1 / 4, 1 / 4])


def test_topics_that_neither_run_answers_have_no_overlap(files, write_jsonl):
    del files["--qrels"]
    write_jsonl("topics.jsonl", [*TOPICS, {"qid": "fi-2", "title": "w", "lang": "fi"}])
    overlap = tables(files)["returned-overlap"]
    assert row(overlap, "one | two", "all")[0] == 4


def test_hubs(files, tmp_path):
    found = tables(files)
    n, never, at_least, _, largest, share = row(found["returned-hubness"], "one", "all")
    # b1 in 3 topics, a1 in 2, a2 in 1; c1 and d1 in none of the 4.
    assert (n, largest) == (4, 3)
    assert [never, at_least, share] == pytest.approx([40, 0, 100])
    hubs = found["returned-hubs"]
    assert row(hubs, "one", "b1") == ["B", 3, 75.0, 0, "te 3"]
    assert row(hubs, "two", "c1") == ["", 2, 50.0, 0, "fi 1 te 1"]
    assert row(hubs, "two", "a1") == ["A", 2, 50.0, 2, "te 2"]
    write_run(tmp_path / "two.run", {"te-1": ["b1"], "fi-1": ["d1", "b1"]})
    hubs = tables(files)["returned-hubs"]
    assert row(hubs, "two", "d1")[3] == 0  # judged, and not relevant
    assert row(hubs, "two", "b1") == ["B", 2, 50.0, 1, "fi 1 te 1"]
    files["--k"] = ["1"]
    # One topic at k = 1 leaves out four of five passages whatever it returns.
    assert row(tables(files)["returned-hubness"], "two", "fi")[1:3] == pytest.approx([80, 80])


def test_misses_by_kind(files):
    misses = tables(files)["returned-misses"]
    kinds = list(misses.columns[3:])
    assert kinds == ["hit", "below k", "not in the run", "no result", "right title"]
    assert row(misses, "one", "te") == [3, 1, 1, 1, 0, 1]
    assert row(misses, "one", "fi") == [1, 0, 0, 0, 1, 0]
    assert row(misses, "two", "all") == [4, 2, 0, 1, 1, 0]


def test_the_right_title_is_one_among_the_first_k(files, tmp_path, write_jsonl):
    write_jsonl("corpus.jsonl", [*CORPUS, {"docid": "e1", "title": "", "text": "x"}])
    # te-3 wants a passage without title and gets another; te-2 gets the title at rank 3.
    write_run(tmp_path / "one.run", {"te-3": ["e1"], "te-2": ["b1", "d1", "a2"]})
    write_run(tmp_path / "two.run", {"te-1": ["a2"]})
    assert row(tables(files)["returned-misses"], "one", "te") == [3, 0, 0, 2, 1, 0]


def test_hits_are_those_of_success(files, tmp_path):
    """Among equal scores trec_eval goes by docid, whatever the ranks say."""
    path = tmp_path / "one.run"
    path.write_text("te-1 Q0 a1 1 1.0 t\nte-1 Q0 a2 2 1.0 t\nte-2 Q0 a1 2 1.0 t\n")
    files["--k"] = ["1"]
    success = score_by_topic(files["--qrels"][0], read_run(path), ["Success@1"])["Success@1"]
    assert success == {"te-1": 0, "te-2": 1, "te-3": 0, "fi-1": 0}
    assert row(tables(files)["returned-misses"], "one", "all")[1] == 1


def test_a_table_of_languages_instead_of_the_corpus(files, tmp_path):
    del files["--corpus"]
    with pytest.raises(XqgError, match="either --corpus or --languages-of"):
        tables(files)
    (tmp_path / "lang.tsv").write_text("a1\ten\na2\ten\nb1\tru\nd1\tfi\n")
    files["--languages-of"] = [str(tmp_path / "lang.tsv")]
    with pytest.raises(XqgError, match=r"1 docid\(s\) are not in .*lang.tsv, e.g. 'c1'"):
        tables(files)
    (tmp_path / "lang.tsv").write_text("a1\ten\na2\ten\nb1\tru\nd1\tfi\nc1 te\n")
    found = tables(files)
    assert row(found["returned-languages"], "one", "all") == [50, 50, 0, 0]
    assert "returned-scripts" not in found
    assert row(found["returned-misses"], "one", "te")[-1] is None  # no titles there
    (tmp_path / "lang.tsv").write_text("a1 en x\n")
    with pytest.raises(XqgError, match=r"lang.tsv:1: . column.s.; expected 2: docid and language"):
        tables(files)


def test_one_language_needs_no_table(files, write_jsonl, capsys):
    rows = [{**row, "text": "x"} for row in CORPUS]
    for corpus_row in rows:
        corpus_row.pop("lang", None), corpus_row.pop("language", None)
    files["--corpus"] = [str(write_jsonl("corpus.jsonl", rows))]
    main(["returned", *(word for flag, values in files.items() for word in (flag, *values))])
    printed = capsys.readouterr().out
    assert "All 5 passages have one script: Latn." in printed
    assert "names no languages" in printed
    assert "Languages of the first" not in printed


def test_without_topics_every_topic_of_the_runs_counts(files):
    del files["--topics"], files["--qrels"]
    found = tables(files)
    assert row(found["returned-hubness"], "two", "unknown")[0] == 4
    assert "returned-misses" not in found
    files["--qrels"] = ["q"]
    with pytest.raises(XqgError, match="--qrels needs --topics"):
        tables(files)


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [("--k", "0", "--k 0"), ("--persistence", "1", "--persistence 1.0: expected a number between")],
)
def test_numbers_are_checked(files, flag, value, message):
    with pytest.raises(XqgError, match=message):
        tables({**files, flag: [value]})


def test_runs_of_other_topics_are_refused(files, tmp_path):
    write_run(tmp_path / "two.run", {"x": ["a1"]})
    with pytest.raises(XqgError, match="two: answers none of the 4 judged topics"):
        tables(files)


def test_rank_biased_overlap_by_hand():
    p = 0.9
    # X = 1, 1, 2 of depths 1, 2, 3: X_3/3 p^3 + (1-p)/p (p + p^2/2 + 2/3 p^3)
    expected = 2 / 3 * p**3 + (1 - p) / p * (p + p**2 / 2 + 2 / 3 * p**3)
    assert rank_biased_overlap("abc", "axb") == pytest.approx(expected)
    assert rank_biased_overlap("abc", "axb") == pytest.approx(rank_biased_overlap("axb", "abc"))
    assert rank_biased_overlap("abc", "abc") == pytest.approx(1)
    assert rank_biased_overlap("abc", "xyz") == 0
    # Different lengths, s = 1 and l = 2: X_1 = 0, X_2 = 1, so that p/2 remains; and with X_1 = 1
    # the shorter one is taken to agree for ever.
    assert rank_biased_overlap("a", "ba", p) == pytest.approx(p / 2)
    assert rank_biased_overlap("a", "ab", p) == pytest.approx(1)
    assert [rank_biased_overlap("", ""), rank_biased_overlap("", "a")] == [1, 0]
    assert rank_biased_overlap("ab", "ba", 0.5) == pytest.approx(0.5)


def test_jaccard_by_hand():
    assert [jaccard("abc", "bcd"), jaccard("", ""), jaccard("a", "")] == [0.5, 1, 0]


def test_skewness_is_scipys_with_what_was_never_returned():
    from scipy.stats import skew

    run = {str(i): [Hit(str((i + j) ** 2 % 11), -j) for j in range(3)] for i in range(20)}
    counts = returns(run, run, 2)
    assert counts.total() == 40
    values = [*counts.values(), *[0] * (30 - len(counts))]
    assert skewness(counts, 30) == pytest.approx(float(skew(values)))
    assert skewness({"a": 2, "b": 2}, 2) is None
    assert math.isclose(skewness({"a": 1}, 4) or 0, float(skew([1, 0, 0, 0])))


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ("", "no result"), ("xr", "hit"), ("xyr", "below k"), ("xyz", "not in the run"),
    ],
)  # fmt: skip
def test_outcomes(hits, expected):
    assert outcome(hits, 2, {"r", "q"}) == expected


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Volga", "Latn"), ("Волга (Volga)", "Cyrl"), ("서울", "Hang"),
        ("東京は大きい", "Jpan"), ("北京很大", "Hani"),
        ("北" * 9 + "のは", "Jpan"), ("北" * 15 + "の", "Hani"),
        ("1914 - 3.5", "Zyyy"), ("", "Zyyy"),
    ],
)  # fmt: skip
def test_scripts_of_passages(text, script):
    assert main_script(text) == script


def test_a_tsv_corpus_names_no_languages(tmp_path):
    (tmp_path / "c.tsv").write_text("id\ttext\ttitle\n1\tWolga\tW\n2\tВолга\tV\n")
    facts = collection_facts({"2"}, tmp_path / "c.tsv")
    assert facts.size == 2
    assert facts.passages["2"] == ("V", "", "Cyrl")
    assert (facts.languages, facts.scripts) == ({}, {"Latn": 1, "Cyrl": 1})
