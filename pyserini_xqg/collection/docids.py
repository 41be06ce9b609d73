"""Duplicates among any number of docids, found on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

_ROWS = 10_000
_INSERT = "insert or ignore into docids values (?, ?, ?)"
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
                while rows := list(islice(lines, _ROWS)):
                    if db.executemany(_INSERT, rows).rowcount == len(rows):
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
