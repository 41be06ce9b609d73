from __future__ import annotations

import warnings

import pytest

from pyserini_xqg.base.commands import main_of
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import check_language, detect_language
from pyserini_xqg.collection.topics import read_topics


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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("finnish", "; finnish is 'fi'"),
        ("Arabic", "; Arabic is 'ar'"),
        ("klingon", "'bn-Latn'"),
        ("zh_CN", "; zh_CN is 'zh-CN'"),
    ],
)
def test_a_language_s_name_is_no_code(name, meant):
    with pytest.raises(XqgError, match=f"{name!r} is not a language code; .*{meant}$"):
        check_language(name)


@pytest.mark.parametrize(
    "command",
    [
        "generate --languages",
        "expand --language",
        "expand --to",
        "filter --identify",
        "encode input --corpus c output --embeddings d encoder --encoder e xqg --languages",
        "index --languages",
        "search --language",
        "hybrid --language",
        "romanise --languages",
        "romanise --language",
        "reproduce.mkqa --languages",
        "reproduce.translated --to",
        "train generator --language",
        "train vocabulary --languages",
        "train vocabulary --language",
        "evaluate trec --languages",
        "evaluate compare --languages",
        "evaluate compare --language",
        "evaluate sweep --languages",
        "evaluate sweep --topic-languages",
        "evaluate controls --languages",
        "evaluate resource --languages",
        "evaluate returned --language",
        "evaluate leakage --language",
    ],
)
def test_every_command_refuses_a_name_before_anything_else(command):
    module, *words = command.split()
    option = words[-1]
    with pytest.raises(XqgError, match=f"^{option}s?: 'finnish' is not a language code"):
        main_of(f"pyserini_xqg.{module}")([*words, "finnish"])


def test_in_rows_a_code_warns_once(write_jsonl, recwarn):
    rows = [{"qid": f"{n}", "title": "nuqneH", "lang": "tlh-Latn"} for n in range(3)]
    found = read_topics(write_jsonl("t.jsonl", rows))
    assert [topic.language for topic in found] == 3 * ["tlh-Latn"]
    assert len([each for each in recwarn if "unlisted language code 'tlh-Latn'" in str(each)]) == 1
    with pytest.raises(XqgError, match=r"u\.jsonl:1: 'Klingon' is not a language code"):
        read_topics(write_jsonl("u.jsonl", [{**rows[0], "lang": "Klingon"}]))


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


def test_undetermined_is_a_code_without_a_warning(recwarn):
    assert check_language("und", "--language") == "und"
    assert not recwarn.list
