"""Topics: test questions, with what was written for them beside their own text."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, parsed_rows
from pyserini_xqg.collection.languages import check_language, code_of
from pyserini_xqg.collection.records import parse_json, text_field, tsv_cells

#: The field of a topic's row, and what there may be in it: a passage that could answer the topic,
#: the topic in other words, or the topic in another language.
FIELD = "expansions"
KINDS = ("passage", "paraphrase", "translation")


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


def add_language_option(parser: argparse._ActionsContainer) -> None:
    """``--language``, of commands that read topics."""
    parser.add_argument(
        "--language",
        type=code_of("--language"),
        metavar="CODE",
        help="of all topics, instead of their own 'lang'",
    )


def read_topics(path: str | Path, language: str | None = None) -> list[Topic]:
    """The topics of a JSONL or TSV file (or a folder of them), ids kept exactly.

    Parameters
    ----------
    path : path-like
        JSONL with ``qid`` (or ``id``), ``title`` (or ``question``) and optional ``lang``; or TSV
        with id and question.
    language : str or None
        Of all topics, instead of what the file says.

    Raises
    ------
    XqgError
        For a broken row, a duplicate id, or a file without topics.
    """
    topics: dict[str, Topic] = {}
    code = check_language(language, "--language") if language else None
    parsers = (partial(parse, language=code) for parse in (parse_tsv_topic, parse_topic))
    for where, topic in parsed_rows(input_files(path), *parsers):
        if topic.qid in topics:
            raise XqgError(f"{where}: duplicate topic id {topic.qid!r}")
        topics[topic.qid] = topic
    if not topics:
        raise XqgError(f"{path}: no topics in it")
    return list(topics.values())


def parse_topic(line: bytes, where: str, language: str | None = None) -> Topic:
    """A topic in JSON: ``qid`` or ``id``, ``title`` or ``question``, optional ``lang``."""
    row = parse_json(line, where)
    qid = row.get("qid", row.get("id"))
    if isinstance(qid, int) and not isinstance(qid, bool):
        qid = str(qid)
    if not isinstance(qid, str):
        raise XqgError(f"{where}: no topic id; expected 'qid' or 'id', found {', '.join(row)}")
    name = "title" if "title" in row else "question"
    text = row.get(name)
    if not isinstance(text, str):
        raise XqgError(
            f"{where}: no question; expected 'title' or 'question', found {', '.join(row)}"
        )
    topic = _topic(qid, text, language or text_field(row, "lang", where), where)
    return topic._replace(expansions=parse_expansions(row, where))


def parse_tsv_topic(line: bytes, where: str, language: str | None = None) -> Topic:
    """A topic in TSV: id, tab, question."""
    qid, *text = tsv_cells(line, where)
    if not text:
        raise XqgError(f"{where}: no tab; expected a topic id, a tab and the question")
    return _topic(qid, " ".join(text), language or "", where)


def _topic(qid: str, text: str, language: str, where: str) -> Topic:
    if not qid or qid.split() != [qid]:
        raise XqgError(f"{where}: topic id {qid!r} is empty or holds white space; rename it")
    language = language.strip()  # XOR-TyDi's train file has codes with a leading space
    # Line breaks and tabs inside a question mean nothing and break every line-based format.
    return Topic(qid, " ".join(text.split()), language and check_language(language, where))


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
            check_language(item["lang"], where) if item.get("lang") else "",
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
