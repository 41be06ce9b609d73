"""Queries that many passages share: they tell no passage from another."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pyserini_xqg.collection.scripts import normalise
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row, batches
from pyserini_xqg.filter.steps import sift

# Hashes are counted one table after the other, so that SQLite sorts a small part at a time.
_TABLES = 64


class SharedQueries:
    """The queries that more than `limit` passages have in one language, on disk.

    Parameters
    ----------
    rows : iterable of Row
        All of them; of each query an eight-byte hash is kept.
    limit : int
    path : Path
        Of the SQLite file to make.
    """

    def __init__(self, rows: Iterable[Row], limit: int, path: Path) -> None:
        path.unlink(missing_ok=True)  # of a run that was killed
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-262144; begin;"
            "create table shared (hash integer primary key);"
        )
        for table in range(_TABLES):
            self._db.execute(f"create table seen_{table} (hash int)")
        for batch in batches(rows):
            hashes: list[list[tuple[int]]] = [[] for _ in range(_TABLES)]
            for row in batch:
                for language, texts in row.queries.items():
                    for number in {_hash(language, text) for text in texts}:
                        hashes[number % _TABLES].append((number,))
            for table, of_table in enumerate(hashes):
                self._db.executemany(f"insert into seen_{table} values (?)", of_table)
        for table in range(_TABLES):
            self._db.execute(
                f"insert into shared select hash from seen_{table} "
                "group by hash having count(*) > ?",
                (limit,),
            )
            self._db.execute(f"drop table seen_{table}")
        self._db.execute("commit")

    def close(self) -> None:
        """Close the table."""
        self._db.close()

    def has(self, language: str, text: str) -> bool:
        """Whether too many passages have this query."""
        found = self._db.execute(
            "select 1 from shared where hash = ?", (_hash(language, text),)
        ).fetchone()
        return found is not None


def drop_shared(rows: Iterable[Row], tally: Tally, shared: SharedQueries) -> Iterator[Row]:
    """Leave out queries that too many passages share, from all of them."""

    def own(_: Row, language: str, texts: Sequence[str]) -> list[bool]:
        return [not shared.has(language, text) for text in texts]

    return sift(rows, tally, "shared", own)


def _hash(language: str, text: str) -> int:
    """Signed, as SQLite's integers are. Of a billion queries one pair may meet by chance."""
    content = f"{language}\0{normalise(text)}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
