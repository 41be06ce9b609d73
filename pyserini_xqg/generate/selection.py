"""Which passages of a corpus a run is for: all, a sample, or those that have no queries yet."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.shards import BLOCK

# Passages without a title stand for a document where so many follow each other.
_NEIGHBOURS = 64
_ROWS = 10_000
_BYTES = array("q").itemsize
# The i-th passage of a document of n, in the seed's order, is drawn at (i + u) / n, u being the
# document's own number between 0 and 1: whatever share is drawn, each document gives that share of
# its passages, but for less than one; and a larger sample holds a smaller one.
_DRAWN = """
insert into drawn select row from (
    select row, key,
           (row_number() over (partition by document order by key, row) - 1 + place)
           / count(*) over (partition by document) as at
    from passages
) order by at, key, row limit ?
"""


def sample_size(text: str) -> int | float:
    """What ``--sample`` says: a number of passages, or a share such as 0.1 or 10%.

    Raises
    ------
    XqgError
        For anything else.
    """
    try:
        if text.endswith("%"):
            size: int | float = float(text[:-1]) / 100
        else:
            size = float(text) if "." in text else int(text)
        if (size >= 1) if isinstance(size, int) else (0 < size <= 1):
            return size
    except ValueError:
        pass
    raise XqgError(
        f"--sample {text}: expected a number of passages, or a share of them such as 0.1 or 10%"
    )


class Selection:
    """The passages that a run is for, in corpus order.

    A sample is spread over the documents, which the titles tell apart (without titles, stretches of
    the corpus): each gives its share. It depends on the seed, the titles and the docids, and holds
    every smaller sample of the same seed and corpus.

    Parameters
    ----------
    join : Join
        The corpus, and earlier queries of it: passages that have any are left out.
    work : Path
        A folder for a table and a list of rows.
    sample : int, float or None
        Passages, or a share of them (above 0, at most 1); None takes all.
    seed : int

    Attributes
    ----------
    passages : int
        How many there are.
    plan : dict of str to Any
        What decides them, beside the inputs, in JSON types.

    Raises
    ------
    XqgError
        If none is left.
    """

    def __init__(
        self, join: Join, work: Path, *, sample: int | float | None = None, seed: int = 0
    ) -> None:
        self._join, self._file = join, work / "rows"
        self.passages = join.passages
        self.plan: dict[str, Any] = {} if sample is None else {"sample": [sample, seed]}
        self._whole = True
        if sample is not None:
            count = sample if isinstance(sample, int) else math.ceil(sample * join.passages)
            self._write(_draw(join, work, min(count, join.passages), seed))
        if join.languages:
            self._write(list(self._missing()))
        if not self.passages:
            raise XqgError(
                "every passage has queries in the --earlier files; there is nothing left to do"
            )

    def read_passages(self, start: int, stop: int) -> Iterator[Passage]:
        """Those at places `start` to `stop` (exclusive, counted from 0)."""
        for _, passage in self._numbered(start, stop):
            yield passage

    def _numbered(self, start: int, stop: int) -> Iterator[tuple[int, Passage]]:
        """Rows of the corpus with their passages."""
        if self._whole:
            yield from enumerate(self._join.read_passages(start, stop), start)
            return
        rows = array("q")
        with open(self._file, "rb") as file:
            file.seek(start * _BYTES)
            rows.frombytes(file.read(max(stop - start, 0) * _BYTES))
        for _, group in groupby(rows, lambda row: row // BLOCK):
            wanted = list(group)
            found = enumerate(self._join.read_passages(wanted[0], wanted[-1] + 1), wanted[0])
            chosen = set(wanted)
            yield from ((row, passage) for row, passage in found if row in chosen)

    def _missing(self) -> Iterator[int]:
        """The rows of those that have no queries yet."""
        for start in range(0, self.passages, BLOCK):
            block = list(self._numbered(start, start + BLOCK))
            known = self._join.queries_of([passage.docid for _, passage in block])
            yield from (row for (row, _), has in zip(block, known, strict=True) if not has)

    def _write(self, rows: list[int] | array[int]) -> None:
        self._file.write_bytes(array("q", rows).tobytes())
        self.passages, self._whole = len(rows), False


def _draw(join: Join, work: Path, count: int, seed: int) -> array[int]:
    """The rows of a sample, ascending."""
    table = work / "sample.sqlite"
    table.unlink(missing_ok=True)
    with closing(sqlite3.connect(table, isolation_level=None)) as db:
        db.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-65536;"
            "create table passages (row int, document int, place real, key int);"
            "create table drawn (row int); begin"
        )
        rows = enumerate(join.read_passages(0, join.passages))
        while batch := list(islice(rows, _ROWS)):
            db.executemany(
                "insert into passages values (?, ?, ?, ?)",
                [_drawn(row, passage, seed) for row, passage in batch],
            )
        db.execute(_DRAWN, (count,))
        found = array("q", (row for (row,) in db.execute("select row from drawn order by row")))
    table.unlink()
    return found


def _drawn(row: int, passage: Passage, seed: int) -> tuple[int, int, float, int]:
    """Row, the document's hash, its number between 0 and 1, and the passage's hash."""
    title = passage.title.strip()
    document = _hash(seed, "title", title) if title else _hash(seed, "rows", row // _NEIGHBOURS)
    place = (_hash(seed, "place", document) + 2**63) / 2**64
    return row, document, place, _hash(seed, "docid", passage.docid)


def _hash(*parts: object) -> int:
    """Signed, as SQLite's integers are."""
    content = "\n".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
