"""Answers in JSON: an array of questions, an object that holds one, an object a line."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

#: What an answer in JSON is called when it is none of the shapes that are read.
OTHER = "JSON of another shape"
# Where a value may begin: a line, or behind an introduction.
_START = re.compile(r"(?:^|[:：])[ \t]*(?=[\[{])", re.MULTILINE)
_BEHIND = re.compile(r"[ \t,;]*(?:\n|\Z)")
_QUESTION = re.compile(r"(?:(?:search[ _-]?)?(?:question|query)|q|text)[ _-]?\d*", re.IGNORECASE)
_NUMBERED = re.compile(r"(\D*)\d+")
_LONGEST = 100_000


def _apart(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all there: models call each question "question"."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        known, number = name, 1
        while name in found:
            number += 1
            name = f"{known} {number}"
        found[name] = value
    return found


_decoder = json.JSONDecoder(object_pairs_hook=_apart)


def from_json(text: str) -> list[str] | str | None:
    """The strings of an answer in JSON; `OTHER` for another shape; None where it is no JSON.

    Read are an array of strings or of objects, an object that holds one array, an object whose
    values are numbered questions, and objects line by line.
    """
    values = list(_values(text[:_LONGEST]))
    # Such as [1] on a line of its own, a mark of a list.
    if all(
        isinstance(value, list) and len(value) == 1 and isinstance(value[0], int)
        for value in values
    ):
        return None
    found: list[str] = []
    for value in values:
        strings = _strings(value)
        if strings is None:
            return OTHER
        found += strings
    return found


def looks_like_json(text: str) -> bool:
    """Whether a query is JSON itself, whole or broken."""
    return (
        text.startswith(('["', "[“", '{"', "['", "{'", '"[', '"{')) or from_json(text) is not None
    )


def _values(text: str) -> Iterator[Any]:
    place = 0
    while start := _START.search(text, place):
        try:
            value, end = _decoder.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            value, end = _python_list(text[start.end() :]), len(text)
            if value is None:
                place = start.end() + 1
                continue
        if not _BEHIND.match(text, end):  # words behind it: a sentence that begins with a bracket
            place = end
            continue
        yield value
        place = end


def _python_list(text: str) -> list[str] | None:
    """A flat list as Python writes it, with single quotes."""
    text = text.strip()
    if not text.endswith("]") or text[:2] not in ("['", '["'):
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if all(isinstance(item, str) for item in value) else None


def _strings(value: Any, depth: int = 0) -> list[str] | None:
    if isinstance(value, str):
        return [value]
    if depth > 4 or not isinstance(value, dict | list):
        return None
    if isinstance(value, list):
        parts = [_strings(item, depth + 1) for item in value]
        return None if None in parts else [text for part in parts if part for text in part]
    inner = [item for item in value.values() if isinstance(item, dict | list)]
    if inner:
        return _strings(inner[0], depth + 1) if len(inner) == 1 else None
    named = [text for name, text in value.items() if _QUESTION.fullmatch(name)]
    stems = {found[1] if (found := _NUMBERED.fullmatch(name)) else None for name in value}
    if not named and (len(value) == 1 or (len(stems) == 1 and None not in stems)):
        named = list(value.values())
    return named if named and all(isinstance(text, str) for text in named) else None
