"""What a retriever learns from: queries, passages that answer them or do not; and texts alone."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, parsed_rows
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.records import (
    Passage,
    PassageFormat,
    parse_json,
    parse_passage,
    parse_queries,
    text_field,
)


class Example(NamedTuple):
    """A query with its passages; ``language`` and the passages' docids are empty if unknown."""

    language: str
    query: str
    positives: tuple[Passage, ...]
    negatives: tuple[Passage, ...] = ()


def passage_text(passage: Passage) -> str:
    """A passage as the encoder reads it: title, a space, and text."""
    return f"{passage.title} {passage.text}" if passage.title else passage.text


def read_examples(paths: Iterable[str | Path]) -> list[Example]:
    """The examples of some files, in their order.

    A JSON row's format is seen from its fields: Tevatron's (``query``, ``positive_passages``, and
    if there are any ``negative_passages``, each with ``text`` and optional ``title`` and
    ``docid``), or a passage with its ``generated_queries``, each of which becomes an example. A
    TSV, told by its name, has query and text; or language, query and text; or language, query,
    title and text.

    Parameters
    ----------
    paths : iterable of path-like
        Files, packed or not, or folders of them.

    Raises
    ------
    XqgError
        Naming file and row, for a broken row; and if there is no example at all.

    Warns
    -----
    UserWarning
        For rows that were left out as they have no query or no positive passage, and for
        negatives that are a positive of the same query; with their numbers and the first one.
    """
    examples: list[Example] = []
    left_out: Counter[str] = Counter()
    first: dict[str, str] = {}
    files = [file for path in paths for file in input_files(path)]
    for where, found in parsed_rows(files, _tsv, _json):
        for example in found:
            kept, reason = _sound(example)
            if kept is not None:
                examples.append(kept)
            if reason:
                left_out[reason] += 1
                first.setdefault(reason, where)
    for reason, count in left_out.items():
        warnings.warn(f"{first[reason]}: {reason} ({count} such row(s))", stacklevel=2)
    if not examples:
        raise XqgError(f"no query with a passage in {', '.join(map(str, files))}")
    return examples


def _sound(example: Example) -> tuple[Example | None, str]:
    """The example as it is used, None if it cannot be; and what was left out of it."""
    if not example.query:
        return None, "left out a row without a query"
    positives = tuple(passage for passage in example.positives if passage_text(passage).strip())
    if not positives:
        return None, "left out a query without a positive passage"
    own = {passage_text(passage) for passage in positives}
    negatives = tuple(
        passage
        for passage in example.negatives
        if passage_text(passage).strip() and passage_text(passage) not in own
    )
    reason = "" if len(negatives) == len(example.negatives) else (
        "left out negatives that are empty, or a positive of the same query"
    )  # fmt: skip
    return example._replace(positives=positives, negatives=negatives), reason


def _tsv(content: bytes, where: str) -> Iterator[Example]:
    cells = tsv_cells(content, where)
    if len(cells) not in (2, 3, 4):
        raise XqgError(
            f"{where}: {len(cells)} tab-separated column(s); expected query, text; or language, "
            "query, text; or language, query, title, text"
        )
    language, query = ("", cells[0]) if len(cells) == 2 else cells[:2]
    title = cells[2].strip() if len(cells) == 4 else ""
    yield _example(language, query, [Passage("", title, cells[-1].strip())], [], where)


def _json(content: bytes, where: str) -> Iterator[Example]:
    row = parse_json(content, where)
    yield from FORMATS[format_of(row, where)](row, content, where)


def format_of(row: Mapping[str, Any], where: str, *others: str) -> str:
    """The field that tells a JSON row's format, one of `FORMATS`.

    Raises
    ------
    XqgError
        If it has none of them; `others` are named beside them.
    """
    found = next((field for field in FORMATS if field in row), None)
    if found is None:
        raise XqgError(
            f"{where}: expected one of the fields {', '.join([*FORMATS, *others])}, found "
            f"{', '.join(row) or 'none'}"
        )
    return found


def _tevatron(row: dict[str, Any], content: bytes, where: str) -> Iterator[Example]:
    query = row.get("query")
    if not isinstance(query, str):
        raise XqgError(f"{where}: expected a string 'query', found {query!r:.60}")
    language = text_field(row, "lang", where)
    positives, negatives = (
        _passages(row.get(field) or [], f"{where}: {field}")
        for field in ("positive_passages", "negative_passages")
    )
    yield _example(language, query, positives, negatives, where)


def _passages(rows: Any, where: str) -> list[Passage]:
    if not isinstance(rows, list):
        raise XqgError(f"{where}: expected a list of objects, found {rows!r:.60}")
    passages = []
    for number, row in enumerate(rows):
        values = row if isinstance(row, dict) else {}
        docid, title = values.get("docid"), values.get("title") or ""
        text = values.get("text", values.get("contents"))
        docid = "" if docid is None else str(docid)
        if not isinstance(text, str) or not isinstance(title, str):
            raise XqgError(f"{where}[{number}]: expected an object with 'text', found {row!r:.60}")
        passages.append(Passage(docid, title.strip(), text.strip()))
    return passages


def _generated(row: dict[str, Any], content: bytes, where: str) -> Iterator[Example]:
    if "text" not in row and "contents" not in row:
        raise XqgError(
            f"{where}: generated queries without their passage; expected 'docid', 'title', 'text' "
            "and 'generated_queries' in one row"
        )
    passage = parse_passage(content, where, PassageFormat())
    for language, queries in parse_queries(content, where).queries.items():
        for query in queries:
            yield _example(language, query, [passage], [], where)


#: By the field that tells a JSON row's format.
FORMATS: dict[str, Callable[[dict[str, Any], bytes, str], Iterator[Example]]] = {
    "positive_passages": _tevatron,
    "generated_queries": _generated,
}


def _example(
    language: str,
    query: str,
    positives: Iterable[Passage],
    negatives: Iterable[Passage],
    where: str,
) -> Example:
    return Example(
        _code(language, where), " ".join(query.split()), tuple(positives), tuple(negatives)
    )


#: Where a JSON row may have its text; a ``title`` beside one of the others goes before it.
FIELDS = ("text", "contents", "question", "query")


class Text(NamedTuple):
    """A text, with its language where that is known, and "" elsewhere."""

    language: str
    text: str


def read_texts(paths: Iterable[str | Path], language: str = "") -> list[Text]:
    """The texts of some files, in their order, empty ones left out.

    A TSV has a language and a text, and what follows them counts for nothing (so that a file of
    pairs will do). A JSON row has its text in one of `FIELDS` or in ``title``, and its language in
    ``lang``; or it has ``generated_queries``, each of which is a text.

    Parameters
    ----------
    paths : iterable of path-like
        Files, packed or not, or folders of them.
    language : str
        Of rows that do not say theirs.

    Raises
    ------
    XqgError
        Naming file and row, for a broken row; and if there is no text at all.
    """
    language = language and check_language(language, "--language")
    texts = []
    files = [file for path in paths for file in input_files(path)]
    for _, found in parsed_rows(files, _text_of_tsv, _texts_of_json):
        for code, text in found:
            if text := " ".join(text.split()):
                texts.append(Text(code or language, text))
    if not texts:
        raise XqgError(f"no text in {', '.join(map(str, files))}")
    return texts


def _text_of_tsv(content: bytes, where: str) -> Iterator[Text]:
    cells = tsv_cells(content, where)
    if len(cells) < 2:
        raise XqgError(f"{where}: one column; expected language and text, a tab between them")
    yield Text(_code(cells[0], where), cells[1])


def _texts_of_json(content: bytes, where: str) -> Iterator[Text]:
    row = parse_json(content, where)
    if "generated_queries" in row:
        for code, queries in parse_queries(content, where).queries.items():
            for query in queries:
                yield Text(code, query)
        return
    found = [row.get("title"), next((row[field] for field in FIELDS if field in row), None)]
    if not all(each is None or isinstance(each, str) for each in found) or not any(found):
        raise XqgError(
            f"{where}: expected a string in one of {', '.join(FIELDS)} or title; found "
            f"{', '.join(row) or 'no field'}"
        )
    yield Text(_code(text_field(row, "lang", where), where), " ".join(filter(None, found)))


def _code(code: str, where: str) -> str:
    code = code.strip()  # XOR-TyDi's train file has codes with a leading space
    return code and check_language(code, where)
