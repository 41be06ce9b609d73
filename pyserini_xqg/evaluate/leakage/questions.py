"""Generated queries and training questions, streamed one by one from whatever holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, is_tsv, read_lines
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.languages import check_language_of_row
from pyserini_xqg.collection.records import (
    parse_json,
    parse_queries,
)
from pyserini_xqg.collection.scripts import in_scripts_of

#: Fields that a row's question may be in: XOR-TyDi's training data, Tevatron's.
FIELDS = ("question", "query")


class Asked(NamedTuple):
    """A question that was generated or trained on; ``where`` is its passage, or its file and row.

    ``language`` is empty where neither the row nor the script tells it.
    """

    text: str
    language: str
    where: str


def stream_questions(paths: Iterable[str | Path], languages: Sequence[str] = ()) -> Iterator[Asked]:
    """The questions of some files, in their order.

    JSONL of generated queries (``generated_queries``), of XOR-TyDi (``question``) or of Tevatron
    (``query``), the latter two with ``lang`` or without; or, by its name, TSV whose first two
    columns are language and question, as `pyserini_xqg.train` reads it. ``.gz`` of either; folders.

    Parameters
    ----------
    paths : iterable of path-like
    languages : sequence of str
        Those that a row without ``lang`` may be in: taken if its script fits just one of them.

    Raises
    ------
    XqgError
        Naming file and row, for a broken row.
    """
    for path in paths:
        for name in input_files(path):
            for line in read_lines(name):
                where = f"{name}:{line.number}"
                if is_tsv(name):
                    yield _of_tsv(line.content, where)
                elif b'"generated_queries"' in line.content:
                    row = parse_queries(line.content, where)
                    for language, texts in row.queries.items():
                        yield from (Asked(text, language, row.docid) for text in texts)
                else:
                    yield _of_json(line.content, where, languages)


def _of_tsv(content: bytes, where: str) -> Asked:
    cells = tsv_cells(content, where)
    if len(cells) < 2:
        raise XqgError(f"{where}: no tab; expected language and question, tab-separated")
    return Asked(cells[1], check_language_of_row(cells[0].strip(), where), where)


def _of_json(content: bytes, where: str, languages: Sequence[str]) -> Asked:
    row = parse_json(content, where)
    text = next((row[field] for field in FIELDS if field in row), None)
    language = row.get("lang") or ""
    if not isinstance(text, str) or not isinstance(language, str):
        raise XqgError(
            f"{where}: expected a string in one of {', '.join(FIELDS)} (and in 'lang'), or "
            f"'generated_queries'; found {', '.join(row) or 'none'}"
        )
    if code := language.strip():  # XOR-TyDi's train file has codes with a leading space
        return Asked(text, check_language_of_row(code, where), where)
    fitting = [code for code in languages if in_scripts_of(text, code)]
    return Asked(text, fitting[0] if len(fitting) == 1 else "", where)
