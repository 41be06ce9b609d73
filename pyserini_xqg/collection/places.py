"""Where the row of each docid is, and which come twice: SQLite tables, made anew each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import Line

_INSERT_ROWS = 10_000
_SCHEMA = """
create table passages (docid text primary key, file int, line int) without rowid;
create table blocks (row int primary key, file int, line int, offset int);
create table queries (docid text, input int, part int, file int, line int, offset int,
                      primary key (docid, input, part)) without rowid;
"""
_INSERT = {
    "passages": "insert into passages values (?, ?, ?)",
    "queries": "insert into queries values (?, ?, ?, ?, ?, ?)",
}
#: Columns of the primary keys; file and line come next.
_KEYS = {"passages": ("docid",), "queries": ("docid", "input", "part")}


class Places:
    """The table from docid to file, line and byte offset.

    Parameters
    ----------
    table : Path
        Replaced if it is there.

    Attributes
    ----------
    names : list of Path
        What messages call each file, by its number.
    """

    def __init__(self, table: Path) -> None:
        self.names: list[Path] = []
        self._waiting: dict[str, list[tuple[str | int, ...]]] = {name: [] for name in _KEYS}
        table.unlink(missing_ok=True)
        self._db = sqlite3.connect(table, isolation_level=None)
        # The table is made anew at each start, so it needs no journal; 16 MB of cache bound memory
        # (256 MB were no faster at a million passages).
        self._db.executescript(
            "pragma journal_mode=off; pragma synchronous=off;pragma cache_size=-16384;" + _SCHEMA
        )
        self._db.execute("begin")

    def add_block(self, row: int, file: int, line: Line) -> None:
        """Where a block of passages begins."""
        place = (row, file, line.number, line.offset)
        self._db.execute("insert into blocks values (?, ?, ?, ?)", place)

    def add_passage(self, docid: str, file: int, line: Line) -> None:
        """Where a passage is."""
        self._add("passages", (docid, file, line.number))

    def add_queries(self, docid: str, number: int, part: int, file: int, line: Line) -> None:
        """Where the queries of a passage are, in the input of this number."""
        self._add("queries", (docid, number, part, file, line.number, line.offset))

    def flush(self) -> None:
        """Write what waits.

        Raises
        ------
        XqgError
            If a docid was there already.
        """
        for table in _KEYS:
            self._insert(table)

    def finish(self, ignore_unknown: bool) -> int:
        """End the writing, after `flush`; how many rows of queries the corpus has no docid for.

        Raises
        ------
        XqgError
            If there are some, and they are not to be ignored.
        """
        self._db.execute("commit")
        unknown = "from queries where docid not in (select docid from passages)"
        count = int(self._db.execute(f"select count(*) {unknown}").fetchone()[0])
        if count and not ignore_unknown:
            docid, file, line = self._db.execute(
                f"select docid, file, line {unknown} order by file, line limit 1"
            ).fetchone()
            raise XqgError(
                f"{self.names[file]}:{line}: docid {docid!r} is not in the corpus "
                f"({count} such row(s)); --ignore-unknown leaves them out"
            )
        return count

    def block_before(self, row: int) -> Any:
        """The last block that begins at or before this row: row, file, line, offset; or None."""
        return self._db.execute(
            "select row, file, line, offset from blocks where row <= ? order by row desc limit 1",
            (row,),
        ).fetchone()

    def queries_of(self, docids: Sequence[str]) -> list[Any]:
        """Docid, file, line and offset of each row of queries, in the order of the inputs."""
        marks = ",".join("?" * len(docids))
        return self._db.execute(
            f"select docid, file, line, offset from queries where docid in ({marks}) "
            "order by input, file, offset",
            list(docids),
        ).fetchall()

    def close(self) -> None:
        self._db.close()

    def _add(self, table: str, row: tuple[str | int, ...]) -> None:
        self._waiting[table].append(row)
        if len(self._waiting[table]) == _INSERT_ROWS:
            self._insert(table)

    def _insert(self, table: str) -> None:
        """Insert the rows that wait; where one of them was there already, say which and where."""
        rows, self._waiting[table] = self._waiting[table], []
        if not rows:
            return
        try:
            self._db.executemany(_INSERT[table], rows)
        except sqlite3.IntegrityError:
            self._refuse_duplicate(table, rows)

    def _refuse_duplicate(self, table: str, rows: Sequence[tuple[str | int, ...]]) -> NoReturn:
        """Of rows that were being inserted, name the one that was there already."""
        where = " and ".join(f"{name} = ?" for name in _KEYS[table])
        size = len(_KEYS[table])
        for row in rows:
            file, line = self._db.execute(
                f"select file, line from {table} where {where}", row[:size]
            ).fetchone()
            if (file, line) != row[size : size + 2]:
                raise XqgError(
                    f"{self.names[int(row[size])]}:{row[size + 1]}: duplicate docid {row[0]!r}, "
                    f"first seen at {self.names[file]}:{line}; docids must be unique"
                )
        raise AssertionError("no row of these was there already")


_INSERT_DOCID = "insert or ignore into docids values (?, ?, ?)"
_SELECT = "select file, line from docids where docid = ?"


class Duplicate(NamedTuple):
    """A docid met again; places are ``file:line``."""

    docid: str
    first: str
    again: str


def find_duplicates(files: Sequence[Path], work: Path) -> Iterator[Duplicate]:
    """The docids that occur a second time in some files of one docid a line.

    Parameters
    ----------
    files : sequence of Path
        The ``docid`` files of stores or indexes.
    work : Path
        A folder for a SQLite table, about 50 bytes a docid; it is removed again.
    """
    table = work / "docids.sqlite"
    table.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(table, isolation_level=None)) as db:
            # The table is made anew each time, so it needs no journal. With 4 MB of cache memory
            # is the same for any number of docids (64 MB: a third less time at two million).
            db.executescript(
                "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-4096;"
                "create table docids (docid blob primary key, file int, line int) without rowid;"
                "begin"
            )
            for number, path in enumerate(files):
                lines = _lines(number, path)
                while rows := list(islice(lines, _INSERT_ROWS)):
                    if db.executemany(_INSERT_DOCID, rows).rowcount == len(rows):
                        continue
                    for docid, file, line in rows:
                        there = db.execute(_SELECT, (docid,)).fetchone()
                        if there != (file, line):
                            yield Duplicate(
                                docid.decode(errors="replace"),
                                f"{files[there[0]]}:{there[1]}",
                                f"{path}:{line}",
                            )
    finally:
        table.unlink(missing_ok=True)


def _lines(number: int, path: Path) -> Iterator[tuple[bytes, int, int]]:
    with open(path, "rb") as file:
        for line, content in enumerate(file, 1):
            yield content.rstrip(b"\n"), number, line
