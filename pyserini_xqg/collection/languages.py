"""Language codes: which are well-formed, what listed ones are called, and which a text is in."""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any

from pyserini_xqg.base.errors import XqgError

#: English names by BCP 47 code: the languages of XOR-TyDi, TyDi, MKQA, CIRAL, NeuCLIR and
#: IndicGenBench, and others that multilingual encoders are commonly tested on.
NAMES = {
    "am": "Amharic", "ar": "Arabic", "as": "Assamese", "awa": "Awadhi", "bg": "Bulgarian",
    "bgc": "Haryanvi", "bho": "Bhojpuri", "bn": "Bengali", "bo": "Tibetan", "brx": "Bodo",
    "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "gbm": "Garhwali", "gom": "Konkani", "gu": "Gujarati", "ha": "Hausa", "he": "Hebrew",
    "hi": "Hindi", "hne": "Chhattisgarhi", "hoj": "Hadothi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "ig": "Igbo", "it": "Italian", "ja": "Japanese", "km": "Khmer",
    "kn": "Kannada", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "mai": "Maithili",
    "ml": "Malayalam", "mni": "Manipuri", "mr": "Marathi", "ms": "Malay", "mup": "Malvi",
    "mwr": "Marwari", "my": "Burmese", "ne": "Nepali", "nl": "Dutch", "no": "Norwegian",
    "or": "Odia", "pa": "Punjabi", "pl": "Polish", "ps": "Pashto", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "rw": "Kinyarwanda", "sa": "Sanskrit", "sat": "Santali",
    "sk": "Slovak", "sl": "Slovenian", "so": "Somali", "sq": "Albanian", "sr": "Serbian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog",
    "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese",
    "yo": "Yoruba", "zh": "Chinese", "zu": "Zulu",
}  # fmt: skip

#: ISO 15924 codes of the scripts of those languages that are not, or not only, written in Latin.
SCRIPTS = {
    "am": ("Ethi",), "ar": ("Arab",), "as": ("Beng",), "awa": ("Deva",), "bg": ("Cyrl",),
    "bgc": ("Deva",), "bho": ("Deva",), "bn": ("Beng",), "bo": ("Tibt",), "brx": ("Deva",),
    "el": ("Grek",), "fa": ("Arab",), "gbm": ("Deva",), "gom": ("Deva",), "gu": ("Gujr",),
    "he": ("Hebr",), "hi": ("Deva",), "hne": ("Deva",), "hoj": ("Deva",),
    "ja": ("Hira", "Kana", "Hani"), "km": ("Khmr",), "kn": ("Knda",), "ko": ("Hang", "Hani"),
    "mai": ("Deva",), "ml": ("Mlym",), "mni": ("Beng", "Mtei"), "mr": ("Deva",), "mup": ("Deva",),
    "mwr": ("Deva",), "my": ("Mymr",), "ne": ("Deva",), "or": ("Orya",), "pa": ("Guru", "Arab"),
    "ps": ("Arab",), "ru": ("Cyrl",), "sa": ("Deva",), "sat": ("Olck",), "sr": ("Cyrl", "Latn"),
    "ta": ("Taml",), "te": ("Telu",), "th": ("Thai",), "uk": ("Cyrl",), "ur": ("Arab",),
    "uz": ("Latn", "Cyrl"), "zh": ("Hani",),
}  # fmt: skip
# What the script subtags that stand for several scripts, or for a variant, mean.
_SUBTAGS = {
    "Hans": ("Hani",), "Hant": ("Hani",), "Jpan": ("Hira", "Kana", "Hani"),
    "Kore": ("Hang", "Hani"),
}  # fmt: skip

# RFC 5646, section 2.1, without the grandfathered tags. Letters, digits and hyphens only, so that
# a code is safe in a file name.
_WELL_FORMED = re.compile(
    r"(?P<language>[a-z]{2,3}(-[a-z]{3}){0,3}|[a-z]{4,8})"
    r"(-(?P<script>[a-z]{4}))?"
    r"(-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(-[0-9a-wy-z](-[a-z0-9]{2,8})+)*"
    r"(-x(-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)


def check_language(code: str, where: str = "language") -> str:
    """The code in its canonical case (``bn-Latn``, ``zh-TW``).

    Parameters
    ----------
    code : str
        What should be a BCP 47 language tag.
    where : str
        File and line, or the option, for the message.

    Raises
    ------
    XqgError
        If the code is not well-formed, or is a language's name: no language is registered under
        four letters or more (RFC 5646, section 2.2.1). A well-formed one that `NAMES` does not list
        only warns.
    """
    match = _WELL_FORMED.fullmatch(code)
    if not match or len(match["language"].partition("-")[0]) > 3:
        named = [known for known, name in NAMES.items() if name.lower() == code.strip().lower()]
        hyphened = code.strip().replace("_", "-")
        if hyphened != code and not named and _WELL_FORMED.fullmatch(hyphened):
            named = [hyphened]
        meant = f"; {code.strip()} is {named[0]!r}" if named else ""
        raise XqgError(
            f"{where}: {code!r} is not a language code; expected a BCP 47 tag such as 'te' or "
            f"'bn-Latn'{meant}"
        )
    language = match["language"].lower()
    if language not in NAMES and language != "und":  # BCP 47's own for undetermined
        warnings.warn(f"{where}: unlisted language code {code!r}; taken as it is", stacklevel=2)
    canonical = language
    if match["script"]:
        canonical += "-" + match["script"].title()
    if match["region"]:
        canonical += "-" + match["region"].upper()
    rest = code[len(canonical) :]
    return canonical + rest.lower()


def check_language_of_row(code: str, where: str) -> str:
    """As `check_language`, for files of many rows: the warning of a code comes once."""
    return _well_formed(code) or check_language(code, where)


@lru_cache(maxsize=1024)
def _well_formed(code: str) -> str:
    """The canonical code; empty where it is none."""
    try:
        return check_language(code, "lang")
    except XqgError:
        return ""


def code_of(option: str) -> Callable[[str], str]:
    """The ``type`` of a command's option that takes a language, so that nothing runs before a wrong
    one is refused.

    Parameters
    ----------
    option : str
        As it is spelled, for the message.
    """
    return partial(check_language, where=option)


def add_languages_option(
    parser: argparse._ActionsContainer, help: str, option: str = "--languages", **more: Any
) -> None:
    """An option that takes some languages; `more` are further arguments of ``add_argument``."""
    parser.add_argument(option, nargs="+", type=code_of(option), metavar="CODE", help=help, **more)


def scripts_of(code: str) -> tuple[str, ...]:
    """The scripts that a language is written in, as ISO 15924 codes.

    Parameters
    ----------
    code : str
        As `check_language` returns it. A script subtag decides: ``bn-Latn`` is in Latin.

    Returns
    -------
    tuple of str
        Empty where neither the code nor `NAMES` says.
    """
    language, _, rest = code.partition("-")
    script = rest.partition("-")[0]
    if len(script) == 4 and script.isalpha():
        return _SUBTAGS.get(script, (script,))
    return SCRIPTS.get(language, ("Latn",)) if language in NAMES else ()


def detect_language(text: str) -> str:
    """The most likely of the languages in `NAMES` that py3langid's naive Bayes model knows.

    Of 4,700 questions of XOR-TyDi's translations in eight languages, 98.1 % (English) or more of
    each language's were recognised.
    """
    return str(_identifier().classify(text)[0])


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    # Its other languages are mostly varieties, such as Egyptian Arabic, which no route is named by.
    identifier.set_languages([code for code in NAMES if code in identifier.nb_classes])
    return identifier


# So much higher must another language's log probability be (400 times as likely): questions that
# are little more than a name stay.
_MARGIN = 6.0


class Identifier:
    """Says whether a text is rather in another of some languages.

    A few languages are told apart better than all: short questions with a foreign name in them look
    like many things. Of xqg-mini's 3,780 queries none is taken for one of its other languages or
    English; of 870 beginnings of its English sentences 862 are told from Finnish.

    Parameters
    ----------
    languages : sequence of str
        Those that py3langid does not know, or not in their script, are left out.

    Raises
    ------
    XqgError
        If it knows fewer than two of them.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
        known = set(self._identifier.labels)
        self._labels = {code: label for code in languages if (label := _label(code)) in known}
        labels = sorted(set(self._labels.values()))
        if len(labels) < 2:
            raise XqgError(
                f"--identify: of {' '.join(languages)} only {' '.join(self._labels) or 'none'} is "
                "known; name the language that queries may be in by mistake, as in --identify en"
            )
        self._identifier.set_languages(labels)

    def is_other(self, text: str, language: str) -> bool:
        """Whether a text is rather in another language; False where nobody knows."""
        if language not in self._labels:
            return False
        (_, best), *_ = ranked = self._identifier.rank(text)
        return bool(best - dict(ranked)[self._labels[language]] > _MARGIN)


def _label(code: str) -> str:
    """The language without region; empty where it is written in a script that is not its usual."""
    language = code.split("-")[0]
    return language if scripts_of(code) == scripts_of(language) else ""
