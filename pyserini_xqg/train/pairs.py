"""Training pairs: queries, their languages, and the passages that answer them."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import Line, input_files, is_tsv, parsed_json, read_lines, read_whole
from pyserini_xqg.base.packed import plain_name
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.languages import NAMES, check_language
from pyserini_xqg.collection.records import (
    PassageFormat,
    parse_json,
    parse_passage,
    parse_queries,
)
from pyserini_xqg.collection.scripts import in_scripts_of


class Pair(NamedTuple):
    """A query and a passage that answers it; ``title`` is empty where there is none."""

    language: str
    query: str
    title: str
    text: str


class _LeftOut(NamedTuple):
    """A row that is well-formed, but no pair."""

    reason: str


#: A pair before its language is checked (or found, where it is empty); and where it stands.
_Found = tuple[str, Pair | _LeftOut]


def read_pairs(paths: Iterable[str | Path], languages: Sequence[str] = ()) -> list[Pair]:
    """The pairs of some files, in their order.

    A file's format is seen from its fields: rows of Tevatron's training data
    (``positive_passages``), rows of generated queries with their passage (``generated_queries``), a
    SQuAD-style document (``data``), or, by its name, a TSV of language, query, title and text.

    Parameters
    ----------
    paths : iterable of path-like
        Files, packed or not, or folders of them.
    languages : sequence of str
        For rows that do not say theirs: one code holds for all of them; among several the query's
        script decides, and with none given, among all that are listed.

    Raises
    ------
    XqgError
        Naming file and row, for a broken row, or a query that could be in several languages; and if
        there is no pair at all.

    Warns
    -----
    UserWarning
        Once for each reason that rows were left out for, with their number and the first one.
    """
    codes = [check_language(code, "--language") for code in languages]
    pairs: list[Pair] = []
    left_out: Counter[str] = Counter()
    first: dict[str, str] = {}
    files = [file for path in paths for file in input_files(path)]
    for file in files:
        for where, found in _rows(file):
            if isinstance(found, Pair):
                found = _checked(found, where, codes)
            if isinstance(found, _LeftOut):
                left_out[found.reason] += 1
                first.setdefault(found.reason, where)
            else:
                pairs.append(found)
    for reason, count in left_out.items():
        warnings.warn(f"{first[reason]}: {reason}; left out {count} such row(s)", stacklevel=2)
    if not pairs:
        raise XqgError(f"no training pairs in {', '.join(map(str, files))}")
    return pairs


def _rows(file: Path) -> Iterator[_Found]:
    if is_tsv(file):
        yield from (_tsv_row(line.content, f"{file}:{line.number}") for line in read_lines(file))
        return
    document = _document(file)
    if document is not None:
        yield from _squad(document, str(file))
        return
    for line in read_lines(file):
        where = f"{file}:{line.number}"
        row = parse_json(line.content, where)
        read = next((READERS[field] for field in READERS if field in row), None)
        if read is None:
            raise XqgError(
                f"{where}: expected one of the fields {', '.join([*READERS, 'data'])}, found "
                f"{', '.join(row) or 'none'}"
            )
        yield from ((where, found) for found in read(row, line, where))


def _document(file: Path) -> list[Any] | None:
    """The ``data`` of a SQuAD-style document; None if the file has a row a line."""
    first = next(read_lines(file), None)
    if first is None:
        raise XqgError(f"{file}: empty")
    try:
        start = json.loads(first.content)
    except ValueError:
        start = None
    if isinstance(start, dict) and "data" not in start:
        return None
    try:
        whole = parsed_json(read_whole(file))
    except ValueError as error:
        if plain_name(file.name).endswith(".jsonl"):  # then its row says better what is wrong
            return None
        raise XqgError(f"{file}: not JSON ({error})") from None
    data = whole.get("data") if isinstance(whole, dict) else None
    if not isinstance(data, list):
        raise XqgError(f"{file}: expected JSON rows, or a SQuAD-style object with a list 'data'")
    return data


def _squad(data: list[Any], file: str) -> Iterator[_Found]:
    for article, paragraphs, where in _items(data, "paragraphs", f"{file}: data"):
        title = _string(article, "title", where, optional=True).replace("_", " ")
        for paragraph, questions, at in _items(paragraphs, "qas", f"{where}.paragraphs"):
            text = _string(paragraph, "context", at)
            for number, question in enumerate(questions):
                place = f"{at}.qas[{number}]"
                if not isinstance(question, dict):
                    raise XqgError(f"{place}: expected an object, found {question!r:.60}")
                if question.get("is_impossible"):
                    yield place, _LeftOut("a question that its passage does not answer")
                    continue
                language = _string(question, "lang", place, optional=True)
                yield place, Pair(language, _string(question, "question", place), title, text)


def _items(
    values: list[Any], field: str, where: str
) -> Iterator[tuple[dict[str, Any], list[Any], str]]:
    """Each object, its list `field`, and its place."""
    for number, value in enumerate(values):
        place = f"{where}[{number}]"
        inner = value.get(field) if isinstance(value, dict) else None
        if not isinstance(inner, list):
            raise XqgError(f"{place}: expected an object with a list {field!r}")
        yield value, inner, place


def _tevatron(row: dict[str, Any], line: Line, where: str) -> Iterator[Pair | _LeftOut]:
    passages = row["positive_passages"]
    if not isinstance(passages, list) or not all(isinstance(one, dict) for one in passages):
        raise XqgError(f"{where}: expected 'positive_passages' to be a list of objects")
    query = _string(row, "query", where)
    language = _string(row, "lang", where, optional=True)
    if not passages:
        yield _LeftOut("no positive passage")
    for passage in passages:
        title = _string(passage, "title", where, optional=True)
        yield Pair(language, query, title, _string(passage, "text", where))


def _generated(row: dict[str, Any], line: Line, where: str) -> Iterator[Pair | _LeftOut]:
    if "text" not in row and "contents" not in row:
        raise XqgError(
            f"{where}: generated queries without their passage; expected 'docid', 'title', 'text' "
            "and 'generated_queries' in one row"
        )
    passage = parse_passage(line.content, where, PassageFormat())
    for language, queries in parse_queries(line.content, where).queries.items():
        for query in queries:
            if query.strip():
                yield Pair(language, query, passage.title, passage.text)
            else:
                yield _LeftOut("an empty generated query")


#: By the field that tells a JSON row's format.
READERS: dict[str, Callable[[dict[str, Any], Line, str], Iterator[Pair | _LeftOut]]] = {
    "positive_passages": _tevatron,
    "generated_queries": _generated,
}


def _tsv_row(content: bytes, where: str) -> _Found:
    cells = tsv_cells(content, where)
    if len(cells) != 4:
        raise XqgError(
            f"{where}: {len(cells)} tab-separated columns; expected 4: language, query, title, text"
        )
    return where, Pair(*cells)


def _string(row: dict[str, Any], field: str, where: str, *, optional: bool = False) -> str:
    value = row.get(field)
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        raise XqgError(f"{where}: expected a string {field!r}, found {value!r:.60}")
    return value


def _checked(pair: Pair, where: str, languages: Sequence[str]) -> Pair | _LeftOut:
    query, text = " ".join(pair.query.split()), pair.text.strip()
    if not query or not text:
        raise XqgError(f"{where}: the {'passage' if query else 'query'} is empty")
    if code := pair.language.strip():  # XOR-TyDi's train file has codes with a leading space
        language = check_language(code, where)
    elif len(languages) == 1:
        language = languages[0]
    else:
        fitting = [code for code in languages or NAMES if in_scripts_of(query, code)]
        if len(fitting) > 1:
            raise XqgError(
                f"{where}: {query!r:.60} does not say its language, and by its script could be "
                f"{', '.join(fitting[:5])}{' ...' if fitting[5:] else ''}; give --language with "
                "the languages that there are (one for each script), or a field 'lang' in the rows"
            )
        if not fitting:
            return _LeftOut("a query whose script does not tell its language")
        language = fitting[0]
    return Pair(language, query, pair.title.strip(), text)
