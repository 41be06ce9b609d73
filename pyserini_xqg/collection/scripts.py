"""Which scripts a text is written in, and when two texts count as the same."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from pyserini_xqg.collection.languages import scripts_of

#: Share of a query's letters that its language's own scripts must have: the rest may be names.
OWN_SHARE = 0.3
# A letter of a third script is no name but another language; a symbol such as alpha may occur.
_FOREIGN_SHARE = 0.1

# The first word of a letter's Unicode name is its script.
_BY_NAME = {
    "ARABIC": "Arab", "ARMENIAN": "Armn", "BENGALI": "Beng", "CJK": "Hani", "CYRILLIC": "Cyrl",
    "DEVANAGARI": "Deva", "ETHIOPIC": "Ethi", "GEORGIAN": "Geor", "GREEK": "Grek",
    "GUJARATI": "Gujr", "GURMUKHI": "Guru", "HANGUL": "Hang", "HEBREW": "Hebr", "HIRAGANA": "Hira",
    "IDEOGRAPHIC": "Hani", "KANNADA": "Knda", "KATAKANA": "Kana", "KHMER": "Khmr", "LAO": "Laoo",
    "LATIN": "Latn", "MALAYALAM": "Mlym", "MEETEI": "Mtei", "MONGOLIAN": "Mong", "MYANMAR": "Mymr",
    "OL": "Olck", "ORIYA": "Orya", "SINHALA": "Sinh", "TAMIL": "Taml", "TELUGU": "Telu",
    "THAANA": "Thaa", "THAI": "Thai", "TIBETAN": "Tibt", "TIFINAGH": "Tfng",
}  # fmt: skip


class _Kept(dict[int, int | None]):
    """For `str.translate`: the characters whose category is wanted; each is looked up once."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        super().__init__()
        self._wanted = wanted

    def __missing__(self, code: int) -> int | None:
        self[code] = code if self._wanted(unicodedata.category(chr(code))) else None
        return self[code]


_WITHOUT_JOINERS = _Kept(lambda category: category != "Cf")
_WORD_CHARACTERS = _Kept(lambda category: category[0] in "LMN")


@lru_cache(maxsize=4096)  # several steps in turn ask for the queries of the same passage
def normalise(text: str) -> str:
    """The text as duplicates are compared: NFKC, case folded, joiners left out, single spaces."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_WITHOUT_JOINERS).split())


@lru_cache(maxsize=4096)
def word_characters(text: str) -> str:
    """The text's letters, marks and digits: without spaces and punctuation."""
    return text.translate(_WORD_CHARACTERS)


def letters_by_script(text: str) -> Counter[str]:
    """Letters and vowel signs by ISO 15924 code; ``Zzzz`` for a script that is not listed."""
    found: Counter[str] = Counter()
    for character, count in Counter(unicodedata.normalize("NFKC", text)).items():
        script = _script(character)
        if script is not None:
            found[script] += count
    return found


def in_scripts_of(text: str, language: str, share: float = OWN_SHARE) -> bool:
    """Whether a text may be in a language, judged by its letters.

    At least `share` of them must be of the language's own scripts; Latin ones beside them are names
    (``BBC``), those of a third script are another language. Han characters alone are Chinese, not
    Japanese or Korean. True for a language whose scripts nobody listed.

    Parameters
    ----------
    text : str
    language : str
        As `pyserini_xqg.collection.languages.check_language` returns it.
    share : float
    """
    scripts = scripts_of(language)
    if not scripts:
        return True
    letters = letters_by_script(text)
    total = letters.total()
    own = sum(letters[script] for script in scripts)
    foreign = total - own - (0 if "Latn" in scripts else letters["Latn"])
    needed = [script for script in scripts if script != "Hani"] or scripts
    return (
        any(letters[script] for script in needed)
        and own >= share * total
        and foreign <= _FOREIGN_SHARE * total
    )


def digit_scripts(text: str) -> set[str]:
    """The scripts that a text has digits of: none for the European ones, which all scripts use."""
    words = {
        word
        for character in text
        if not character.isascii() and unicodedata.category(character) == "Nd"
        for word in unicodedata.name(character, "").replace("-", " ").split()
    }
    return {_BY_NAME[word] for word in words if word in _BY_NAME}


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str | None:
    category = unicodedata.category(character)
    name = unicodedata.name(character, "")
    # Modifier letters and accents go with any script; a vowel sign has its script in its name.
    if category[0] not in "LM" or name.startswith(("MODIFIER", "COMBINING")):
        return None
    first = name.partition(" ")[0].partition("-")[0]
    return _BY_NAME.get(first, "Zzzz" if category[0] == "L" else None)
