"""Rows of TSV files under the names of their columns, as if they were JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import Line, is_tsv, read_lines
from pyserini_xqg.base.packed import plain_name
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.records import parse_json


class Kind(NamedTuple):
    """What the rows of a kind of file hold.

    Attributes
    ----------
    names : mapping of str to str
        What header rows call columns, in small letters, and what we call these.
    needed : tuple of str
        Columns without which a header row is refused; the first of them is the id.
    plain : mapping of int to tuple of str
        The columns of files without a header row, by their number.
    expected : str
        The same in words.
    joined : bool
        Whether tabs in the last column of a file without a header row are part of it.
    """

    names: Mapping[str, str]
    needed: tuple[str, ...]
    plain: Mapping[int, tuple[str, ...]]
    expected: str
    joined: bool = False


_JSON = (".jsonl", ".json")
_IDS = ("id", "_id")
_DOCIDS = (*_IDS, "docid", "doc_id", "doc-id", "docno", "pid", "passage_id", "corpus-id")
_QIDS = (*_IDS, "qid", "query_id", "query-id", "topic_id", "topic-id", "number", "num")
_LANGUAGES = {"lang": "lang", "language": "lang"}

CORPUS = Kind(
    {
        **dict.fromkeys(_DOCIDS, "docid"),
        **dict.fromkeys(("text", "contents", "content", "passage", "body", "document"), "text"),
        "title": "title",
        **_LANGUAGES,
    },
    ("docid", "text"),
    {3: ("docid", "text", "title"), 2: ("docid", "text")},
    "3: docid, text and title, or 2: docid and text; or a first row that names them",
)
TOPICS = Kind(
    {
        **dict.fromkeys(_QIDS, "qid"),
        **dict.fromkeys(("title", "question", "query", "text", "topic"), "title"),
        **_LANGUAGES,
    },
    ("qid", "title"),
    {2: ("qid", "title")},
    "2: topic id and question; or a first row that names them",
    joined=True,
)
QUERIES = Kind(
    {
        **dict.fromkeys(_DOCIDS, "docid"),
        **dict.fromkeys(
            ("query", "question", "text", "generated_query", "predicted_query"), "query"
        ),
        **_LANGUAGES,
    },
    ("docid", "query"),
    {2: ("docid", "query")},
    "2: docid and query; or a first row that names them",
)


class Table(NamedTuple):
    """How the rows of one TSV file are read.

    Attributes
    ----------
    columns : tuple of str
        Our names for the columns, empty for those that mean nothing to us.
    header : int
        The line that named them; 0 where none did.
    quoted : bool
        Whether the header's names stood in quotes, as then every cell may.
    joined : bool
        Whether what follows the last column belongs to it.
    """

    columns: tuple[str, ...]
    header: int = 0
    quoted: bool = False
    joined: bool = False

    def row(self, line: bytes, where: str) -> dict[str, Any]:
        """A row by the names of its columns.

        Raises
        ------
        XqgError
            Naming `where`, for another number of columns, and for what is not UTF-8.
        """
        cells = tsv_cells(line, where, quoted=self.quoted, columns=len(self.columns))
        if self.joined and len(cells) > len(self.columns):
            last = len(self.columns) - 1
            cells = [*cells[:last], " ".join(cells[last:])]
        if len(cells) != len(self.columns):
            raise XqgError(
                f"{where}: {len(cells)} tab-separated column(s); expected {len(self.columns)}"
                + (f", as named in line {self.header}" if self.header else ", as in the first row")
            )
        return {name: cell for name, cell in zip(self.columns, cells, strict=True) if name}


def table_of(file: Path, kind: Kind) -> Table:
    """How the rows of a TSV file are read, from its first one.

    Raises
    ------
    XqgError
        Naming the file and the row, if that neither names its columns nor has as many as rows
        without names have.
    """
    first = next(read_lines(file), None)
    if first is None:
        return Table(())
    where = f"{file}:{first.number}"
    cells = [cell.strip() for cell in tsv_cells(first.content, where, columns=max(kind.plain))]
    names = [cell.strip('"').lower() for cell in cells]
    columns = tuple(kind.names.get(name, "") for name in names)
    if columns[0] == kind.needed[0] or set(kind.needed) <= set(columns):
        return _named(columns, names, kind, first.number, where, any(map(_in_quotes, cells)))
    if kind.joined and len(cells) > 1:
        return Table(kind.plain[2], joined=True)
    if len(cells) not in kind.plain:
        raise XqgError(f"{where}: {len(cells)} tab-separated column(s); expected {kind.expected}")
    return Table(kind.plain[len(cells)])


def _named(
    columns: tuple[str, ...],
    names: Sequence[str],
    kind: Kind,
    number: int,
    where: str,
    quoted: bool,
) -> Table:
    """A table whose first row names its columns; of two for one thing, the first counts."""
    if missing := [name for name in kind.needed if name not in columns]:
        raise XqgError(
            f"{where}: the first row names the columns {', '.join(names)}, but none for the "
            f"{missing[0]}; expected {kind.expected}"
        )
    firsts = tuple(name if name not in columns[:at] else "" for at, name in enumerate(columns))
    return Table(firsts, number, quoted)


def _in_quotes(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


class Rows(NamedTuple):
    """How the lines of one file become rows: of JSON, or by the columns of a table."""

    table: Table | None = None

    def is_header(self, line: Line) -> bool:
        """Whether a line is the one that names the columns."""
        return self.table is not None and line.number == self.table.header

    def row(self, line: Line, where: str) -> dict[str, Any]:
        """A line as a row.

        Raises
        ------
        XqgError
            Naming `where`, for a broken row.
        """
        if self.table is None:
            return parse_json(line.content, where)
        return self.table.row(line.content, where)


def rows_of(file: Path, kind: Kind, name: Path | None = None) -> Rows:
    """How a file's lines become rows.

    Parameters
    ----------
    file : Path
    kind : Kind
    name : Path or None
        What says whether it is TSV, where that is not the file's own name.
    """
    return Rows(table_of(file, kind) if _is_table(file, name or file) else None)


def _is_table(file: Path, name: Path) -> bool:
    """By its name; where that says nothing, what does not begin as JSON is a table."""
    if is_tsv(name) or plain_name(name.name).lower().endswith(_JSON):
        return is_tsv(name)
    first = next(read_lines(file), None)
    return first is not None and not first.content.lstrip().startswith((b"{", b"["))


def read_rows(files: Iterable[Path], kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of some files, with its place.

    Raises
    ------
    XqgError
        Naming file and line, for a broken row.
    """
    for file in files:
        rows = rows_of(file, kind)
        for line in read_lines(file):
            if not rows.is_header(line):
                where = f"{file}:{line.number}"
                yield where, rows.row(line, where)
