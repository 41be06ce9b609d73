from __future__ import annotations

import warnings

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import check_language, detect_language


@pytest.mark.parametrize(
    ("code", "canonical"),
    [
        ("te", "te"),
        ("AR", "ar"),
        ("bn-latn", "bn-Latn"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("sl-ROZAJ-biske", "sl-rozaj-biske"),
        ("en-x-Pirate", "en-x-pirate"),
    ],
)
def test_canonical_case(code, canonical):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_language(code) == canonical


@pytest.mark.parametrize(
    "code", ["", " ar", "ar ", "a", "ar_EG", "../ar", "arabic!", "ar-", "te\n"]
)
def test_malformed(code):
    with pytest.raises(XqgError, match=r"q\.jsonl:3: .* is not a language code; expected a BCP 47"):
        check_language(code, "q.jsonl:3")


def test_unlisted_ones_warn():
    with pytest.warns(UserWarning, match="unlisted language code 'tlh'"):
        assert check_language("tlh") == "tlh"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("లండన్ జనాభా ఎంత?", "te"),
        ("Missä kaupungissa Kantele valmistettiin?", "fi"),
        ("When was the kantele made in Finland?", "en"),
        ("متى ولد أينشتاين؟", "ar"),
        ("富士山の高さは?", "ja"),
        ("Dans quelle ville la Volga se jette-t-elle ?", "fr"),
    ],
)
def test_detection(text, language):
    assert detect_language(text) == language
