"""Texts in one language or several, for what is learnt from texts alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, parsed_rows
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.records import (
    parse_json,
    parse_queries,
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
    for _, found in parsed_rows(files, _tsv, _json):
        for code, text in found:
            if text := " ".join(text.split()):
                texts.append(Text(code or language, text))
    if not texts:
        raise XqgError(f"no text in {', '.join(map(str, files))}")
    return texts


def _tsv(content: bytes, where: str) -> Iterator[Text]:
    cells = tsv_cells(content, where)
    if len(cells) < 2:
        raise XqgError(f"{where}: one column; expected language and text, a tab between them")
    yield Text(_code(cells[0], where), cells[1])


def _json(content: bytes, where: str) -> Iterator[Text]:
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
    code = row.get("lang") or ""
    if not isinstance(code, str):
        raise XqgError(f"{where}: expected a string 'lang', found {code!r:.60}")
    yield Text(_code(code, where), " ".join(filter(None, found)))


def _code(code: str, where: str) -> str:
    code = code.strip()  # XOR-TyDi's train file has codes with a leading space
    return code and check_language(code, where)
