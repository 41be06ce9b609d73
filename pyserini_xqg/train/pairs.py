"""Training pairs: queries, their languages, and the passages that answer them."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, is_tsv, parsed_json, read_lines, read_whole
from pyserini_xqg.base.packed import plain_name
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.languages import NAMES, check_language
from pyserini_xqg.collection.records import parse_json, text_field
from pyserini_xqg.collection.scripts import in_scripts_of
from pyserini_xqg.train.examples import FORMATS, format_of


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
        form = format_of(row, where, "data")
        for example in FORMATS[form](row, line.content, where):
            if form == "generated_queries" and not example.query:
                yield where, _LeftOut("an empty generated query")
            elif not example.positives:
                yield where, _LeftOut("no positive passage")
            else:
                for passage in example.positives:
                    yield where, Pair(example.language, example.query, passage.title, passage.text)


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
        title = text_field(article, "title", where).replace("_", " ")
        for paragraph, questions, at in _items(paragraphs, "qas", f"{where}.paragraphs"):
            text = _string(paragraph, "context", at)
            for number, question in enumerate(questions):
                place = f"{at}.qas[{number}]"
                if not isinstance(question, dict):
                    raise XqgError(f"{place}: expected an object, found {question!r:.60}")
                if question.get("is_impossible"):
                    yield place, _LeftOut("a question that its passage does not answer")
                    continue
                language = text_field(question, "lang", place)
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


def _tsv_row(content: bytes, where: str) -> _Found:
    cells = tsv_cells(content, where)
    if len(cells) != 4:
        raise XqgError(
            f"{where}: {len(cells)} tab-separated columns; expected 4: language, query, title, text"
        )
    return where, Pair(*cells)


def _string(row: dict[str, Any], field: str, where: str) -> str:
    value = row.get(field)
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
