from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import Identifier
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.demo import LANGUAGES, XQG_MINI
from pyserini_xqg.filter.__main__ import main
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.filter.steps import drop_other_languages


def test_english_among_finnish_queries_is_dropped():
    queries = {
        "fi": ["Mihin mereen Tonava laskee?", "Which sea does the Danube flow into?"],
        "ru": ["Куда впадает Дунай?", "У яке море впадає річка Дунай?", "1945?", ""],
        "te-Latn": ["danube e samudramlo kalustundi", "Which sea does it flow into?"],
        "sux": ["Which sea does it flow into?"],  # not known: nothing is said of it
    }
    tally = Tally()
    identifier = Identifier([*queries, "en", "uk"])
    rows = [Row(Passage("d", "", ""), queries, {}, {})] * 2
    for row in drop_other_languages(rows, tally, identifier):
        assert row.queries == {
            **queries, "fi": queries["fi"][:1], "ru": [queries["ru"][0], "1945?", ""]
        }  # fmt: skip
    assert tally.dropped == {"fi": {"language": 2}, "ru": {"language": 2}}
    assert not identifier.is_other("BBC", "fi")  # a name is in any language


def test_the_beginnings_of_english_sentences_are_no_finnish():
    identifier, found = Identifier([*LANGUAGES, "en"]), []
    for line in (XQG_MINI / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        for sentence in json.loads(line)["text"].split(". "):
            found.append(identifier.is_other(" ".join(sentence.split()[:7]), "fi"))
    assert len(found) > 800
    assert sum(found) / len(found) > 0.98


def test_the_queries_of_xqg_mini_are_in_their_languages(tmp_path):
    files = ["--queries", XQG_MINI / "queries.jsonl", "--corpus", XQG_MINI / "corpus.jsonl",
             "--output", tmp_path / "out.jsonl", "--report", tmp_path / "r.json"]  # fmt: skip
    main([str(word) for word in [*files, "--identify", "en"]])
    report = json.loads((tmp_path / "r.json").read_text())
    assert sorted(report) == sorted(LANGUAGES)
    assert all(counts["kept"] == counts["read"] == 540 for counts in report.values())


def test_one_language_cannot_be_told_from_itself():
    with pytest.raises(XqgError, match="of fi fi-FI sux only fi fi-FI is known; .* --identify"):
        Identifier(["fi", "fi-FI", "sux"])
