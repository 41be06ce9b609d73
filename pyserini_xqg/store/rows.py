"""Rows of a store by number, in any order; in their own order `Store.blocks` reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.columns import Column, in_single

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store.store import Store

# Bytes of docids that are read at once; and rows, and numbers in them, that are read and dropped
# rather than passed over.
_CHUNK, _GAP, _NUMBERS = 1 << 18, 16, 4096


def take_rows(
    store: Store, rows: NDArray[np.int64], languages: Sequence[str] | None = None
) -> Block:
    """The vectors of some rows, in the order given; rows that follow each other are read at once.

    Parameters
    ----------
    store : Store
    rows : array of int64, shape (n,)
        At least one; counted through the shards.
    languages : sequence of str or None
        Whose sums and counts to bring; all by default.

    Returns
    -------
    Block
        Without docids, which `docids_of` reads, and without single queries.

    Raises
    ------
    XqgError
        If the store lacks a language, or a file is shorter than the manifest says.
    """
    chosen = store.choose(languages)
    wanted, places = np.unique(rows, return_inverse=True)
    in_order = np.array_equal(wanted, rows)

    def read(name: str, width: int) -> NDArray[Any]:
        values = _read(store, name, width, wanted)
        return values if in_order else values[places]

    return Block(
        [],
        in_single(read("passages.npy", store.dimension)),
        {code: in_single(read(f"queries.{code}.sum.npy", store.dimension)) for code in chosen},
        {code: read(f"queries.{code}.count.npy", 1)[:, 0].astype(np.int32) for code in chosen},
    )


def take_counts(
    store: Store, rows: NDArray[np.int64], languages: Sequence[str]
) -> dict[str, NDArray[np.int32]]:
    """The counts of some rows alone, sorted and distinct, by language."""
    return {
        code: _read(store, f"queries.{code}.count.npy", 1, rows)[:, 0].astype(np.int32)
        for code in store.choose(languages)
    }


def read_docids(store: Store) -> Iterator[str]:
    """Every docid, in the order of the rows."""
    for path in store.paths:
        with open(path / "docid", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                yield line.rstrip("\n")


def docids_of(store: Store, rows: Collection[int]) -> dict[int, str]:
    """The docids of some rows, by row.

    Raises
    ------
    XqgError
        If a shard's docids are fewer than its manifest says.
    """
    wanted = np.unique(np.fromiter(rows, np.int64))
    shards = _by_shard(store, wanted)
    found = [docid for path, part in shards for docid in lines_at(path / "docid", part)]
    return dict(zip(wanted.tolist(), found, strict=True))


def lines_at(path: Path, rows: NDArray[np.int64]) -> Iterator[str]:
    """Lines by number, sorted and distinct; those between them are counted, not made.

    Raises
    ------
    XqgError
        If there are not so many.
    """
    at, done, rest = 0, 0, b""
    with open(path, "rb") as file:
        while done < len(rows):
            part = file.read(_CHUNK)
            if not part:
                raise XqgError(f"{path}: shorter than the manifest says; encode it again")
            part = rest + part
            ends = np.flatnonzero(np.frombuffer(part, np.uint8) == ord("\n")) + 1
            begins = np.concatenate([[0], ends])
            mine = rows[done : np.searchsorted(rows, at + len(ends))] - at
            for begin, end in zip(begins[mine].tolist(), ends[mine].tolist(), strict=True):
                yield part[begin : end - 1].decode()
            at, done, rest = at + len(ends), done + len(mine), part[begins[-1] :]


def _by_shard(store: Store, rows: NDArray[np.int64]) -> Iterator[tuple[Path, NDArray[np.int64]]]:
    """Shards with those of the sorted rows that lie in them, counted from the shard's start."""
    first = 0
    for path, size in zip(store.paths, store.sizes, strict=True):
        start, stop = np.searchsorted(rows, (first, first + size))
        if start < stop:
            yield path, rows[start:stop] - first
        first += size


def _read(store: Store, name: str, width: int, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Sorted, distinct rows of one file of each shard."""
    shards = _by_shard(store, rows)
    return np.concatenate([of for path, part in shards for of in _runs(path / name, width, part)])


def _runs(path: Path, width: int, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """Rows of one file, as far as they follow each other; narrow gaps are read, and dropped."""
    column = Column(path, width)
    try:
        at = 0
        gap = min(_GAP, _NUMBERS // width)
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1 + gap) + 1):
            first, stop = int(run[0]), int(run[-1]) + 1
            column.skip(first - at)
            read = column.read(stop - first)
            yield read if len(read) == len(run) else read[run - first]
            at = stop
    finally:
        column.close()
