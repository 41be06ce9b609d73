"""Columns of text: rows of runs, qrels and the like, and the header rows that name columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_file, read_lines

#: What header rows of runs and qrels call their columns; BEIR's are query-id, corpus-id, score.
_NAMES = frozenset({
    "qid", "query-id", "query_id", "queryid", "query", "topic", "topic-id", "topic_id", "topicid",
    "id", "iter", "iteration", "q0", "docid", "docno", "doc-id", "doc_id", "corpus-id",
    "corpus_id", "pid", "passage_id", "doc", "rank", "score", "relevance", "rel", "label",
    "judgment", "judgement", "tag", "run", "runid", "run_id", "cluster", "group", "lang",
    "language",
})  # fmt: skip


class Columns(NamedTuple):
    """The cells of a row, and its place for messages."""

    cells: list[str]
    where: str


def read_columns(path: str | Path, forms: Mapping[int, str]) -> Iterator[Columns]:
    """The rows of a file of columns with white space between them; a header row is passed over.

    Parameters
    ----------
    path : path-like
    forms : mapping of int to str
        What the columns are, by their number: rows of other numbers are refused, and so are rows
        that have another number than the first one.

    Raises
    ------
    XqgError
        If the file is missing, or naming file and line of what is not of these forms.
    """
    path = input_file(path)
    width = 0
    for line in read_lines(path):
        where = f"{path}:{line.number}"
        try:
            cells = line.content.decode().split()
        except UnicodeDecodeError:
            raise XqgError(f"{where}: not UTF-8; convert the file to UTF-8") from None
        if b"\0" in line.content:
            raise XqgError(f"{where}: holds a NUL byte; the file is damaged, fetch it again")
        if len(cells) not in forms:
            expected = ", or ".join(f"{number}: {names}" for number, names in forms.items())
            raise XqgError(f"{where}: {len(cells)} column(s); expected {expected}")
        if width and len(cells) != width:
            raise XqgError(f"{where}: {len(cells)} columns, where the rows before have {width}")
        if not width:
            width = len(cells)
            if is_header(cells, _NAMES):
                continue
        yield Columns(cells, where)


def is_one_column(name: str) -> bool:
    """Whether a TREC run can carry an id past Java and C: no white space in it, and no NUL."""
    return name.split() == [name] and "\0" not in name


_TOO_LARGE = 2**31


def is_header(cells: Collection[str], names: Collection[str]) -> bool:
    """Whether a file's first row names its columns: every cell is such a name."""
    return all(cell.strip().lower() in names for cell in cells)


def whole_number(text: str, column: str, where: str) -> int:
    """The number in a column; ``1.0`` is one. None is larger than trec_eval can hold.

    Raises
    ------
    XqgError
        Naming the column.
    """
    number: float
    try:
        number = int(_digits(text))
    except ValueError:
        number = finite_number(text, column, where)
    if int(number) != number or abs(number) >= _TOO_LARGE:
        raise XqgError(
            f"{where}: {column} is {text!r}; expected a whole number below {_TOO_LARGE:,}"
        )
    return int(number)


def finite_number(text: str, column: str, where: str) -> float:
    """The number in a column.

    Raises
    ------
    XqgError
        Naming the column.
    """
    try:
        number = float(_digits(text))
    except ValueError:
        number = nan
    if not isfinite(number):
        raise XqgError(f"{where}: {column} is {text!r}; expected a finite number")
    return number


def _digits(text: str) -> str:
    """The text, unless only Python would read it as a number: trec_eval takes 1_0 for 1."""
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return text


def tsv_cells(line: bytes, where: str, *, quoted: bool = False, columns: int = 0) -> list[str]:
    """The cells of a line in TSV, with whatever they hold.

    Quotes around a cell are part of it, unless they are certainly those of CSV: where the quotes
    inside are doubled, as in DPR's and XOR-TyDi's corpora, and as `quoted` says.

    Parameters
    ----------
    line : bytes
    where : str
        File and line, for messages.
    quoted : bool
        Whether cells in quotes stand for what is inside.
    columns : int
        With more cells than this, tabs may be inside quotes.

    Raises
    ------
    XqgError
        Naming `where`, if the line is not UTF-8.
    """
    try:
        cells = line.decode("utf-8-sig").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise XqgError(
            f"{where}: not UTF-8 (byte {error.start + 1} of the line); convert the file to UTF-8"
        ) from None
    if b'"' not in line:
        return cells
    if columns and len(cells) > columns:
        cells = _with_tabs_in_quotes(cells)
    return [_unquoted(cell, quoted) for cell in cells]


def _with_tabs_in_quotes(cells: Sequence[str]) -> list[str]:
    whole: list[str] = []
    for cell in cells:
        if whole and whole[-1].startswith('"') and whole[-1].count('"') % 2:
            whole[-1] += "\t" + cell
        else:
            whole.append(cell)
    return whole


def _unquoted(cell: str, quoted: bool) -> str:
    if len(cell) < 2 or not cell[0] == cell[-1] == '"':
        return cell
    inside = cell[1:-1].replace('""', "")
    doubled = inside != cell[1:-1] and '"' not in inside
    in_csv = doubled or "\t" in inside or quoted
    return cell[1:-1].replace('""', '"') if in_csv and '"' not in inside else cell
