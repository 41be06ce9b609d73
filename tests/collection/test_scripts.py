from __future__ import annotations

import json

import pytest

from pyserini_xqg.collection.languages import NAMES, SCRIPTS, scripts_of
from pyserini_xqg.collection.scripts import (
    digit_scripts,
    in_scripts_of,
    letters_by_script,
    normalise,
)
from pyserini_xqg.demo import LANGUAGES, XQG_MINI


@pytest.mark.parametrize(
    ("code", "scripts"),
    [
        ("te", ("Telu",)),
        ("fi", ("Latn",)),
        ("bn-Latn", ("Latn",)),
        ("zh-Hant-TW", ("Hani",)),
        ("zh-TW", ("Hani",)),
        ("es-419", ("Latn",)),
        ("tlh", ()),
        ("tlh-Latn", ("Latn",)),
    ],
)
def test_scripts_of(code, scripts):
    assert scripts_of(code) == scripts


def test_every_listed_script_is_of_a_listed_language():
    assert set(SCRIPTS) <= set(NAMES)
    for language in SCRIPTS:  # a name of its own, in letters that are told apart
        assert all(len(script) == 4 for script in scripts_of(language))


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", {}),
        ("12 ?!", {}),
        ("Äiti", {"Latn": 4}),
        ("e\u0301", {"Latn": 1}),  # the accent is none of its own
        ("ＢＢＣ", {"Latn": 3}),
        ("కో", {"Telu": 2}),  # a letter and a vowel sign
        ("ｱ東の", {"Kana": 1, "Hani": 1, "Hira": 1}),
        ("ლა", {"Geor": 2}),
        ("ꓐ", {"Zzzz": 1}),  # Lisu, not listed
    ],
)
def test_letters_by_script(text, counts):
    assert letters_by_script(text) == counts


@pytest.mark.parametrize(
    ("text", "scripts"),
    [("", set()), ("a7 ７²Ⅶ", set()), ("১a౭", {"Beng", "Telu"}), ("٧۷", {"Arab"}), ("੧", {"Guru"})],
)
def test_digits_by_script(text, scripts):
    assert digit_scripts(text) == scripts


def test_every_language_of_xqg_mini_is_told_from_the_others():
    for line in (XQG_MINI / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        for language, texts in json.loads(line)["generated_queries"].items():
            for text in texts:
                accepted = [code for code in (*LANGUAGES, "zh", "hi") if in_scripts_of(text, code)]
                assert accepted == [language], text


@pytest.mark.parametrize(
    ("text", "language", "good"),
    [
        ("BBC Radio 4 ఎప్పుడు మొదలైంది?", "te", True),  # names in Latin
        ("ఎప్పుడు did the French Revolution begin and end", "te", False),
        ("फ्रांस की राजधानी?", "te", False),
        ("东京的人口是多少", "zh", True),
        ("东京的人口是多少", "ja", False),  # Han alone is Chinese
        ("東京の人口は？", "zh", False),  # kana are no names
        ("π の値は？", "ja", False),  # one letter of five is too many
        ("πの値をどうやって計算しますか？", "ja", True),
        ("Где живёт Сауна?", "fi", False),
        ("Beograd je gde?", "sr", True),
        ("Београд је где?", "sr", True),
        ("1945?", "fi", False),
        ("anything, что угодно", "tlh", True),  # nobody listed its scripts
        ("kothay?", "bn-Latn", True),
    ],
)
def test_in_scripts_of(text, language, good):
    assert in_scripts_of(text, language) is good


def test_the_share_of_own_letters():
    assert in_scripts_of("абв abcdefg", "ru", 0.3)
    assert not in_scripts_of("абв abcdefg", "ru", 0.31)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ｗｈｏ\u3000is", "who  IS "),
        ("Straße", "STRASSE"),
        ("é", "e\u0301"),
        ("کتاب\u200cها", "کتابها"),
        ("ΣΟΦΟΣ", "σοφος"),
    ],
)
def test_normalise(one, other):
    assert normalise(one) == normalise(other)


def test_normalise_keeps_apart_what_differs():
    assert len({normalise(text) for text in ("who?", "who", "whó", "w ho")}) == 4
