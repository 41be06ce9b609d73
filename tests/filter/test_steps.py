from __future__ import annotations

import pytest

from pyserini_xqg.collection.records import Passage
from pyserini_xqg.filter.further_steps import SharedQueries, drop_shared
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.filter.steps import (
    _opening,
    copied,
    drop_copies,
    drop_duplicates,
    drop_short,
    drop_wrong_script,
)

PASSAGE = Passage(
    "d1", "Danube", "The Danube is the second-longest river in Europe and touches ten countries."
)


def rows_of(queries, scores=None):
    return [Row(PASSAGE, queries, scores or {}, {"docid": "d1"})]


def sifted(step, queries, *args):
    """The queries left, and the counts of what was dropped."""
    tally = Tally()
    (row,) = step(rows_of(queries), tally, *args)
    return row.queries, {language: dict(counts) for language, counts in tally.dropped.items()}


def test_empty_and_short_ones():
    queries = {"te": ["", " ?!", "ఎ?", "ఎంత?", "ఎంత"], "fi": []}
    kept, dropped = sifted(drop_short, queries, 3)
    assert kept == {"te": ["ఎంత?", "ఎంత"], "fi": []}  # two letters and a sign
    assert dropped == {"te": {"empty": 2, "short": 1}}
    kept, dropped = sifted(drop_short, queries)
    assert (len(kept["te"]), dropped) == (3, {"te": {"empty": 2}})


def test_duplicates_within_a_passage_and_language():
    kept, dropped = sifted(
        drop_duplicates, {"fi": ["Mikä?", "mikä?", "Kuka?", "Mika\u0308?"], "et": ["Mikä?"]}
    )
    assert kept == {"fi": ["Mikä?", "Kuka?"], "et": ["Mikä?"]}  # the first one stays
    assert dropped == {"fi": {"duplicate": 2}}


def test_duplicates_of_another_passage_stay():
    rows = rows_of({"fi": ["Mikä?"]}) * 2
    assert [row.queries for row in drop_duplicates(rows, Tally())] == [{"fi": ["Mikä?"]}] * 2


def test_wrong_scripts():
    kept, dropped = sifted(drop_wrong_script, {"te": ["What is it?", "ఏది?"], "fi": ["Mikä?"]})
    assert kept == {"te": ["ఏది?"], "fi": ["Mikä?"]}
    assert dropped == {"te": {"script": 1}}


@pytest.mark.parametrize(
    ("query", "share"),
    [
        ("", 0),
        ("?!", 0),
        ("Danube", 1),  # shorter than a run, and there as it is
        ("Tonava", 0),
        ("the second longest RIVER in Europe", 1),
        ("Mikä on second-longest river in Europe?", 26 / 32),
        ("Kuinka pitkä Danube on?", 0),  # a name is shorter than a run
        ("touches ten countries of the second longest river", 1 - 2 / 42),
    ],
)
def test_the_share_that_is_copied(query, share):
    source = "thedanubeisthesecondlongestriverineuropeandtouchestencountries"
    assert copied(query, source) == pytest.approx(share)


def test_copies():
    queries = {
        "en": ["What is the second-longest river of all?", "the second-longest river in Europe"],
        "fi": ["Generate a Finnish question for this: Danube", "generate a  FINNISH question"],
        "te": ["డాన్యూబ్ నది పొడవు ఎంత?"],
    }  # fmt: skip
    kept, dropped = sifted(drop_copies, queries)
    assert kept == {"en": queries["en"][:1], "fi": [], "te": queries["te"]}
    assert dropped == {"en": {"copy": 1}, "fi": {"copy": 2}}
    assert sifted(drop_copies, queries, 0.3)[0]["en"] == []
    assert sifted(drop_copies, queries, 1.0)[0]["en"] == queries["en"][:1]


@pytest.mark.parametrize(
    ("prompt", "query", "found"),
    [
        ("Write one {lang} query: {passage}", "write one Swiss German query", True),
        ("Write one {lang} query: {passage}", "write two Finnish queries", False),
        ("{title}: {passage}\nAsk in {lang}!", "Ask in Finnish! Mikä?", True),
        ("Question: {passage}", "question: mikä?", False),
        ("The question {passage}", "the questionable", False),
        ("{passage}", "anything", False),
    ],
)
def test_openings_of_other_prompts(prompt, query, found):
    opening = _opening(prompt)
    assert bool(opening and opening.match(query.casefold())) is found


def test_queries_that_many_passages_share(tmp_path):
    def row(number, *texts, language="fi"):
        return Row(Passage(f"d{number}", "", ""), {language: list(texts)}, {}, {})

    rows = [
        row(1, "Mikä?", "Kuka?"),
        row(2, "MIKÄ?", "Kuka?"),
        row(3, "Mikä?", "Missä?", "Missä?", "missä?"),
        row(4, "Kuka?", language="et"),
    ]
    tally = Tally()
    shared = SharedQueries(rows, 2, tmp_path / "s.sqlite")
    left = [row.queries for row in drop_shared(rows, tally, shared)]
    # "Missä?" is three times in one passage, "Kuka?" in two of one language.
    assert left == [
        {"fi": ["Kuka?"]}, {"fi": ["Kuka?"]}, {"fi": ["Missä?", "Missä?", "missä?"]},
        {"et": ["Kuka?"]},
    ]  # fmt: skip
    assert tally.dropped == {"fi": {"shared": 3}}
    shared.close()


def test_scores_leave_with_their_queries():
    rows = rows_of({"fi": ["a", "A", "b"], "te": ["ఏ"]}, {"fi": [1.0, 2.0, None]})
    (row,) = drop_duplicates(rows, Tally())
    assert (row.queries["fi"], row.scores) == (["a", "b"], {"fi": [1.0, None]})
    assert rows[0].queries["fi"] == ["a", "A", "b"]  # steps leave what they were given alone


def test_nothing_in_nothing_out():
    for step in (drop_short, drop_duplicates, drop_wrong_script, drop_copies):
        assert list(step([], Tally())) == []


def test_the_report():
    tally = Tally(sample=2, seed=1)
    rows = [
        Row(Passage(f"d{i}", "", ""), {"fi": ["x" * i, "y"], "te": []}, {}, {}) for i in range(100)
    ]
    list(tally.count_kept(drop_short(tally.count_read(rows), tally, 2)))
    report = tally.to_dict()
    assert report["te"] == {"read": 0, "kept": 0, "dropped": {}, "lengths": {}, "sample": {}}
    fi = report["fi"]
    assert (fi["read"], fi["kept"], fi["dropped"]) == (200, 98, {"empty": 1, "short": 101})
    # Lengths 2 to 99: the 5th of 98 is 6, the 49th 50, the 94th 95.
    assert fi["lengths"] == {"min": 2, "5%": 6, "median": 50, "95%": 95, "max": 99}
    assert {reason: len(sample) for reason, sample in fi["sample"].items()} == {
        "empty": 1, "kept": 2, "short": 2,
    }  # fmt: skip
    assert all(len(item["query"]) == int(item["docid"][1:]) for item in fi["sample"]["kept"])
    text = tally.to_text().splitlines()
    assert text[0].split()[:4] == ["read", "kept", "empty", "short"]
    assert text[1].split() == ["fi", "200", "98", "1", "101", "2", "6", "50", "95", "99"]
    assert text[3].split() == ["all", "200", "98", "1", "101"]
    assert f"  {fi['sample']['kept'][0]['docid']}  {fi['sample']['kept'][0]['query']}" in text


def test_samples_are_uniform_and_seeded():
    def sample(seed):
        tally = Tally(sample=1, seed=seed)
        for i in range(10):
            tally.drop("fi", "copy", "d", str(i))
        tally.read["fi"] = 10
        return tally.to_dict()["fi"]["sample"]["copy"][0]["query"]

    drawn = [sample(seed) for seed in range(500)]
    assert drawn == [sample(seed) for seed in range(500)]
    assert all(25 < drawn.count(str(i)) < 80 for i in range(10))  # 50 expected, 6.7 deviation
