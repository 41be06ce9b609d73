"""What a chat model answered, read strictly: the queries, or what is wrong with the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

from pyserini_xqg.collection.scripts import in_scripts_of, normalise
from pyserini_xqg.generate.listed import (
    is_mark,
    items_of,
    unlisted,
    without_answers,
    without_opening,
)
from pyserini_xqg.generate.noise import (
    has_marks,
    has_question_mark,
    is_code,
    is_refusal,
    without_fences,
    without_marks,
    without_thoughts,
)
from pyserini_xqg.generate.shapes import OTHER, from_json, looks_like_json

#: A longer line is no question.
MAX_CHARACTERS = 300

# White space and controls that end a line nowhere but inside a text: one query stays one. Spaces
# that a script writes with, such as U+3000, stay.
_BREAKS = re.compile("[\t\n\v\f\r\x00-\x08\x0e-\x1f\x7f-\x9f\u2028\u2029]+")
_SPACES = re.compile(" {2,}")
# Characters as HTML writes them; others, such as &c;, may be meant.
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|amp|lt|gt|quot|apos|nbsp|[lr][sd]quo);")
_BROKEN = "\ufffd"  # what stands for bytes that were no text
_EDGE = " \t\ufeff\u200b\u200e\u200f\u2060\u00a0\u3000"
_STOPS = ".．。｡।॥۔։።။!！…"
_SAYS_NOTHING = f" ?？؟{_STOPS}"
_CLOSERS = "\"'”’»)]）」』*_ "
# Languages whose questions often end without a question mark, and in what.
_ASKING = {
    "ja": "か", "ko": "까가나니요지", "my": "လဲလားနည်း", "zh": "吗呢嗎", "th": "ไหมหรืออะไรใดไรใคร",
    "am": "ነውናቸው",
}  # fmt: skip
_INTERROGATIVE = re.compile(
    r"(?:who|whose|whom|what|when|where|which|why|how|is|are|was|were|do|does|did|can|could|has|"
    r"have|had|will|would|in (?:which|what)|name|tell)\b",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"(?:sure|certainly|of course|okay|ok|absolutely|great|understood|alright|here|below|these|"
    r"the following|let me know|i hope|hope (?:this|these|that)|feel free|note\b|please|if you|"
    r"would you like|do you (?:want|need)|i've|i have|thank)\b",
    re.IGNORECASE,
)


def parse_answer(
    answer: str,
    language: str,
    count: int,
    heading: str = "",
    longest: int = MAX_CHARACTERS,
    *,
    questions: bool = True,
) -> list[str] | str:
    """The queries in an answer, or in a word or two what is wrong with it.

    Left out are a reasoning model's thoughts, the marks of chat templates, code fences, an
    introduction and what is said after the last query; list marks, labels, emphasis, quotes and
    answers behind the question mark where all queries have them. An array or object of JSON is
    read as one. What could be part of a query stays: a year, a quotation, words in bold.

    Parameters
    ----------
    answer : str
    language : str
    count : int
        How many there must be, all different, in the language's script, and of a sane length.
    heading : str
        The line after which they begin.
    longest : int
        Characters of a line.
    questions : bool
        Whether questions were asked for: a sentence that ends in a full stop is none.

    Returns
    -------
    list of str, or str
        Each query is one line, and holds a letter or digit.
    """
    said = _said(answer)
    if said is None:
        return "thoughts alone" if answer.strip() else "empty"
    if heading:
        lines = said.split("\n")
        places = [place for place, line in enumerate(lines) if _is_heading(line, heading)]
        if len(places) != 1:
            return "no heading"
        said = "\n".join(lines[places[0] + 1 :])
    found = from_json(without_fences(said))
    if isinstance(found, str):
        return found
    if found is None:
        found = _lines(without_fences(said))
        if any(map(is_refusal, found)):
            return "refusal"
        found = items_of(found, count)
        found = _without_chatter(found, count, questions)
    items = list(map(_tidy, found))
    if any(map(is_code, items)):
        return "code"
    queries = unlisted(items, language)
    if questions:
        queries = without_answers(queries)
    queries = list(map(_tidy, queries))
    return _fault(queries, language, count, longest, questions) or queries


def first_answer(answer: str, language: str) -> str:
    """The first thing that a model says which was asked for one query; empty where it says none.

    Small models like to explain themselves below it.
    """
    found = from_json(without_fences(said)) if (said := _said(answer)) else []
    if found is None:
        lines = _lines(without_fences(said or ""))
        while len(lines) > 1 and _goes_before(lines[0], language):
            lines = lines[1:]
        found = [without_opening(line) for line in lines]
    if isinstance(found, str) or not found or is_refusal(found[0]) or _is_introduction(found[0]):
        return ""
    query = _tidy(without_answers(unlisted([_tidy(found[0])], language))[0])
    if has_marks(query) or is_code(query) or looks_like_json(query) or _BROKEN in query:
        return ""
    return query if _says_something(query) else ""


def _said(answer: str) -> str | None:
    """The answer without thoughts and marks; None where nothing is left."""
    text = answer.encode(errors="replace").decode()  # half a surrogate pair is no text
    said = without_thoughts(text.replace("\r\n", "\n").replace("\r", "\n"))
    return without_marks(said) or None if said is not None else None


def _is_heading(line: str, heading: str) -> bool:
    return line.strip("*#_ \t").replace("：", ":").casefold() == heading.casefold()


def _lines(text: str) -> list[str]:
    lines = (_tidy(line) for line in text.split("\n"))
    return [line for line in lines if _says_something(line)]


def _tidy(text: str) -> str:
    """On one line, without white space and marks that nobody sees at its ends."""
    text = _ENTITY.sub(lambda entity: unescape(entity[0]), text).encode(errors="replace").decode()
    return _SPACES.sub(" ", _BREAKS.sub(" ", text)).strip(_EDGE)


def _says_something(line: str) -> bool:
    return any(character.isalnum() for character in line)


def _is_introduction(line: str) -> bool:
    bare = line.rstrip(_CLOSERS)
    return bare.endswith((":", "：")) and not has_question_mark(bare)


def _goes_before(line: str, language: str) -> bool:
    """Whether a line stands above a query, and is none."""
    return _is_introduction(line) or is_mark(line) or _is_statement(line, language)


def _is_statement(line: str, language: str) -> bool:
    """Whether a line is a sentence that asks nothing."""
    bare = line.rstrip(_CLOSERS)
    if has_question_mark(line) or (language.startswith("el") and bare.endswith(";")):
        return False
    if not bare.endswith(tuple(_STOPS)) or _INTERROGATIVE.match(line):
        return False
    return not bare.rstrip(_STOPS)[-1:] or (
        bare.rstrip(_STOPS)[-1] not in _ASKING.get(language.split("-")[0], "")
    )


def _without_chatter(lines: Sequence[str], count: int, questions: bool) -> list[str]:
    """Lines without an introduction and what comes after the last query, where there are more
    lines than queries.
    """
    found = list(lines)
    if found:
        found[0] = without_opening(found[0])

    def is_chatter(line: str) -> bool:
        bare = line.strip("*_#> ")
        if has_question_mark(bare):
            return False
        talk = bool(_CHATTER.match(bare)) and bare.endswith((*_STOPS, ":", "："))
        return talk or _is_introduction(bare) or (questions and _is_statement(bare, "en"))

    while len(found) > count and is_chatter(found[0]):
        found = found[1:]
    while len(found) > count and is_chatter(found[-1]):
        found = found[:-1]
    if len(found) == count + 1 and found[0].startswith("#") and not found[1].startswith("#"):
        found = found[1:]
    return found


def _fault(found: Sequence[str], language: str, count: int, longest: int, questions: bool) -> str:
    if any(map(is_refusal, found)):
        return "refusal"
    if any(map(_is_introduction, found)):
        return "introduction"
    if len(found) != count:
        return "number of lines"
    if not all(map(_says_something, found)):
        return "empty"
    if any(_BROKEN in line for line in found):
        return "broken characters"
    if any(map(has_marks, found)):
        return "marks of a template"
    if any(map(looks_like_json, found)):
        return OTHER
    if any(map(is_code, found)):
        return "code"
    if len({normalise(line).rstrip(_SAYS_NOTHING) for line in found}) != count:
        return "twice the same"
    if any(len(line) > longest for line in found):
        return "too long"
    if not all(in_scripts_of(line, language) for line in found):
        return "wrong script"
    if questions and any(_is_statement(line, language) for line in found):
        return "no question"
    return ""
