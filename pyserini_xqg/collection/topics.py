"""Topics: test questions, with what was written for them beside their own text.

TREC's topics come in tags.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_lines, read_whole
from pyserini_xqg.collection.columns import is_one_column
from pyserini_xqg.collection.languages import check_language, check_language_of_row, code_of
from pyserini_xqg.collection.records import either, id_of, parse_json, text_field
from pyserini_xqg.collection.sources import named_topics, topic_files
from pyserini_xqg.collection.tables import TOPICS, rows_of

_TOPIC = re.compile(r"<(top|topic|query)\b([^>]*)>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<([A-Za-z][\w.-]*)([^>]*)>([^<]*)")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
#: In topics without closing tags the label comes again in the text.
_LABEL = re.compile(r"^\s*(number|topic)\s*:", re.IGNORECASE)
_IDS = ("num", "identifier", "number", "qid", "id", "topicid")
_TEXTS = ("title", "query", "question", "topic", "text")
_LANGUAGES = ("lang", "xml:lang", "language")


def is_in_tags(file: Path) -> bool:
    """Whether a file begins with a tag."""
    first = next(read_lines(file), None)
    return first is not None and first.content.lstrip().startswith(b"<")


def tagged_topics(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each topic of a file with its place: ``qid``, ``title``, and ``lang`` where it has one.

    A topic is what stands in ``<top>`` or ``<topic>``; its id is in ``<num>`` or ``<identifier>``,
    or an attribute; its question in ``<title>`` or ``<query>`` (CLEF: ``<FR-title>``).

    Raises
    ------
    XqgError
        Naming file and line, for a topic without one of these; and for a file without topics.
    """
    try:
        content = read_whole(file).decode()
    except UnicodeDecodeError as error:
        raise XqgError(
            f"{file}: not UTF-8 (byte {error.start + 1}); convert the file to UTF-8"
        ) from None
    found = False
    line, at = 1, 0
    for match in _TOPIC.finditer(content):
        found = True
        line, at = line + content.count("\n", at, match.start()), match.start()
        where = f"{file}:{line}"
        yield where, _row(match[1], match[2], match[3], where)
    if not found:
        raise XqgError(f"{file}: no <top> or <topic> in it, closed by </top> or </topic>")


def _row(element: str, attributes: str, content: str, where: str) -> dict[str, Any]:
    fields = _attributes(attributes)
    inside = [(tag.lower(), _attributes(more), text) for tag, more, text in _TAG.findall(content)]
    for tag, more, text in inside:
        prefix, _, rest = tag.partition("-")
        if rest in _TEXTS:  # CLEF: FR-title
            tag, more = rest, {"lang": prefix, **more}
        if text.strip():
            fields.setdefault(tag, text)
        if tag in _TEXTS:
            fields.update({name: more[name] for name in _LANGUAGES if name in more})
    if not inside and content.strip():
        fields.setdefault("title", content)
    qid = next((fields[name] for name in _IDS if name in fields), None)
    text = next((fields[name] for name in _TEXTS if name in fields), None)
    if qid is None or text is None:
        what, names = ("id", _IDS) if qid is None else ("question", _TEXTS)
        raise XqgError(
            f"{where}: a <{element}> without {what}; expected it in <{'>, <'.join(names)}>, found "
            f"{', '.join(fields) or 'nothing'}"
        )
    row = {"qid": _plain(qid), "title": _plain(text)}
    if language := next((fields[name] for name in _LANGUAGES if name in fields), ""):
        row["lang"] = _plain(language).lower()
    return row


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): first or second for name, first, second in _ATTRIBUTE.findall(text)}


def _plain(text: str) -> str:
    return " ".join(_LABEL.sub("", html.unescape(text)).split())


#: The field of a topic's row, and what there may be in it: a passage that could answer the topic,
#: the topic in other words, or the topic in another language.
FIELD = "expansions"
KINDS = ("passage", "paraphrase", "translation")

#: Where a row's id and question may be: our own, XOR-TyDi's, BEIR's and MIRACL's. The first counts.
QID_FIELDS = ("qid", "id", "_id", "query_id")
TEXT_FIELDS = ("title", "question", "query", "text")


class Expansion(NamedTuple):
    """One text that was written for a topic.

    Attributes
    ----------
    kind : {"passage", "paraphrase", "translation"}
    language : str
        Empty where the file does not say.
    text : str
    """

    kind: str
    language: str
    text: str


class Topic(NamedTuple):
    """One test question; ``language`` is empty where the file does not say."""

    qid: str
    text: str
    language: str
    expansions: tuple[Expansion, ...] = ()


def add_language_option(
    parser: argparse._ActionsContainer, help: str = "of all topics, instead of their own 'lang'"
) -> None:
    """``--language``, of commands that read topics, or generated queries."""
    parser.add_argument("--language", type=code_of("--language"), metavar="CODE", help=help)


class TopicRow(NamedTuple):
    """A topic, where it stands, and its row in JSON: as it was read, where that was JSON."""

    topic: Topic
    where: str
    line: bytes


def read_topics(source: str | Path, language: str | None = None) -> list[Topic]:
    """The topics of a file or folder, or by a name, ids kept exactly.

    Parameters
    ----------
    source : path-like
        As `topic_rows` takes it.
    language : str or None
        Of all topics, instead of what the source says.

    Raises
    ------
    XqgError
        For a broken row, a duplicate id, or a source without topics.
    """
    return [row.topic for row in topic_rows(source, language)]


def topic_rows(source: str | Path, language: str | None = None) -> Iterator[TopicRow]:
    """The topics of a file or folder, or by a name, one by one.

    Parameters
    ----------
    source : path-like
        JSONL with an id (`QID_FIELDS`), a question (`TEXT_FIELDS`) and optional ``lang``; TSV with
        id and question, or columns that its first row names; TREC's topics in tags; a folder of
        such files, or one in BEIR's form; or a name, as `pyserini_xqg.collection.sources` knows
        them.
    language : str or None
        Of all topics, instead of what the source says.

    Raises
    ------
    XqgError
        For a broken row, a duplicate id, or a source without topics.
    """
    code = check_language(language, "--language") if language else None
    seen: set[str] = set()
    blank: list[str] = []
    for where, row, line in _rows(source):
        topic = topic_of(row, where, code)
        if topic.qid in seen:
            raise XqgError(f"{where}: duplicate topic id {topic.qid!r}")
        seen.add(topic.qid)
        if not topic.text.strip():
            blank.append(topic.qid)
        yield TopicRow(topic, where, line or _line(topic))
    if not seen:
        raise XqgError(f"{source}: no topics in it")
    if blank:
        warnings.warn(
            f"{source}: {len(blank)} topic(s) without text, e.g. {blank[0]!r}; what is found for "
            "them says nothing",
            stacklevel=2,
        )


def _rows(source: str | Path) -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """Each row with its place, and its line where that is JSON."""
    if (named := named_topics(source)) is not None:
        yield from ((str(source), row, b"") for row in named)
        return
    for file in topic_files(source):
        if is_in_tags(file):
            yield from ((where, row, b"") for where, row in tagged_topics(file))
            continue
        rows = rows_of(file, TOPICS)
        for line in read_lines(file):
            if not rows.is_header(line):
                where = f"{file}:{line.number}"
                yield where, rows.row(line, where), b"" if rows.table else line.content


def _line(topic: Topic) -> bytes:
    row = {"qid": topic.qid, "title": topic.text}
    if topic.language:
        row["lang"] = topic.language
    return json.dumps(row, ensure_ascii=False).encode()


def parse_topic(line: bytes, where: str, language: str | None = None) -> Topic:
    """As `topic_of`, of a line of JSON."""
    return topic_of(parse_json(line, where), where, language)


def topic_of(row: dict[str, Any], where: str, language: str | None = None) -> Topic:
    """A topic: an id (`QID_FIELDS`), a question (`TEXT_FIELDS`), optional ``lang``.

    Raises
    ------
    XqgError
        Naming `where`, for a row that lacks a field or has another type in it.
    """
    qid = id_of(row, QID_FIELDS, "topic id", where)
    text = next((row[name] for name in TEXT_FIELDS if name in row), None)
    if not isinstance(text, str):
        raise XqgError(
            f"{where}: no question; expected a string in {either(TEXT_FIELDS)}, found "
            f"{', '.join(row)}"
        )
    name = "lang" if "lang" in row else "language"
    code = language or text_field(row, name, where)
    if not is_one_column(qid):
        raise XqgError(f"{where}: topic id {qid!r} is empty or holds white space or NUL; rename it")
    code = code.strip()  # XOR-TyDi's train file has codes with a leading space
    code = code and check_language_of_row(code, where)
    # Line breaks and tabs inside a question mean nothing and break every line-based format.
    return Topic(qid, " ".join(text.split()), code, parse_expansions(row, where))


def text_name(row: dict[str, Any]) -> str:
    """The field that a topic's question is in."""
    return next(name for name in TEXT_FIELDS if name in row)


def parse_expansions(row: dict[str, Any], where: str) -> tuple[Expansion, ...]:
    """The expansions of a topic's row: ``[{"kind": "passage", "lang": "en", "text": "..."}]``.

    Raises
    ------
    XqgError
        Naming `where`, for anything else.
    """
    found = row.get(FIELD, [])
    if not isinstance(found, list) or not all(_is_expansion(item) for item in found):
        raise XqgError(
            f"{where}: expected {FIELD!r} to be a list of objects with 'kind' (one of "
            f"{', '.join(KINDS)}), 'lang' and 'text'; write it with python -m pyserini_xqg.expand"
        )
    return tuple(
        Expansion(
            item["kind"],
            check_language_of_row(item["lang"], where) if item.get("lang") else "",
            " ".join(item["text"].split()),
        )
        for item in found
    )


def _is_expansion(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("kind") in KINDS
        and isinstance(item.get("lang", ""), str)
        and isinstance(item.get("text"), str)
    )
