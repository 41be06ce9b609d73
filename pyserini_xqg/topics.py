"""Topics: test questions, with what was written for them beside their own text."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pyserini_xqg.errors import XqgError
from pyserini_xqg.files import input_files, is_tsv, read_lines, unpacked
from pyserini_xqg.languages import check_language
from pyserini_xqg.records import parse_json, text_field

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
    with TemporaryDirectory() as work:
        for name in input_files(path):
            parse = parse_tsv_topic if is_tsv(name) else parse_topic
            for line in read_lines(unpacked(name, Path(work))):
                topic = parse(line.content, f"{name}:{line.number}", code)
                if topic.qid in topics:
                    raise XqgError(f"{name}:{line.number}: duplicate topic id {topic.qid!r}")
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
    try:
        qid, tab, text = line.decode("utf-8-sig").rstrip("\r\n").partition("\t")
    except UnicodeDecodeError:
        raise XqgError(f"{where}: not UTF-8; convert the file to UTF-8") from None
    if not tab:
        raise XqgError(f"{where}: no tab; expected a topic id, a tab and the question")
    return _topic(qid, text, language or "", where)


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
