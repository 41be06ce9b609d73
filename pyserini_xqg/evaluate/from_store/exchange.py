"""A store with its generated queries given to other passages, sums and counts together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_file, read_lines
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.evaluate.from_store.retrieval import Part
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.rows import read_docids, take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store.store import Store

#: Chunks of `BLOCK` rows that are shuffled together; below twice as many are in memory.
CHUNKS = 8


def shuffled_parts(
    store: Store, languages: Sequence[str], seed: Sequence[int], *, chunk: int = BLOCK
) -> Iterator[Part]:
    """Each passage with another's queries, all languages together, drawn at random.

    The rows are cut into chunks; the chunks are dealt at random into groups of `CHUNKS` to
    ``2 * CHUNKS - 1``; inside a group one random cycle says whose queries each passage gets. So
    every passage's queries are used exactly once and never by itself; a store of up to that many
    chunks is one group, and every cycle of its passages equally likely.

    Parameters
    ----------
    store : Store
    languages : sequence of str
    seed : sequence of int
    chunk : int
        Rows of a chunk.

    Raises
    ------
    XqgError
        For a store of one passage.
    """
    if store.passages < 2:
        raise XqgError(f"{store.paths[0]}: one passage has none to exchange queries with")
    rng = np.random.default_rng(seed)
    starts = rng.permutation(np.arange(0, store.passages, chunk))
    for group in np.array_split(starts, max(1, len(starts) // CHUNKS)):
        rows = np.concatenate(
            [np.arange(start, min(start + chunk, store.passages)) for start in np.sort(group)]
        )
        held = take_rows(store, rows, languages)
        cycle = rng.permutation(len(rows))
        source = np.empty_like(cycle)
        source[cycle] = np.roll(cycle, 1)
        for start in range(0, len(rows), chunk):
            here = slice(start, start + chunk)
            yield Part(
                rows[here],
                Block(
                    [],
                    held.passages[here],
                    {code: sums[source[here]] for code, sums in held.sums.items()},
                    {code: counts[source[here]] for code, counts in held.counts.items()},
                ),
            )


def neighbour_parts(
    store: Store, languages: Sequence[str], source: NDArray[np.int64], *, chunk: int = BLOCK
) -> Iterator[Part]:
    """Each passage with the queries of the row that `source` names for it."""
    for start in range(0, store.passages, chunk):
        rows = np.arange(start, min(start + chunk, store.passages))
        other = take_rows(store, source[rows], languages)
        yield Part(rows, other._replace(passages=take_rows(store, rows, []).passages))


def next_rows(passages: int) -> NDArray[np.int64]:
    """For each row the one after it; for the last, the first."""
    return np.roll(np.arange(passages), -1)


def next_in_group(store: Store, path: Path) -> tuple[NDArray[np.int64], int]:
    """For each row the next one of its group; for a group's last, its first.

    Parameters
    ----------
    store : Store
    path : Path
        Docid and group (the rest of the line, such as a title), a passage a line. It is held in
        memory.

    Returns
    -------
    source : array of int64, shape (passages,)
    alone : int
        Passages alone in their group, which get the next row of the store instead.

    Raises
    ------
    XqgError
        For a line without a group, a docid that comes twice, and a passage without a line.
    """
    groups = _read_groups(path)
    source = next_rows(store.passages)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for row, docid in enumerate(read_docids(store)):
        if docid not in groups:
            raise XqgError(f"{path}: no group for passage {docid!r} of {store.paths[0]}")
        group = groups[docid]
        if group in last:
            source[last[group]] = row
        first.setdefault(group, row)
        last[group] = row
    alone = 0
    for group, row in last.items():
        if row == first[group]:
            alone += 1
        else:
            source[row] = first[group]
    return source, alone


def _read_groups(path: Path) -> dict[str, str]:
    groups: dict[str, str] = {}
    for line in read_lines(input_file(path)):
        try:
            docid, group = line.content.decode().strip().split(maxsplit=1)
        except ValueError:
            raise XqgError(f"{path}:{line.number}: expected docid and group") from None
        if docid in groups:
            raise XqgError(f"{path}:{line.number}: {docid!r} comes twice")
        groups[docid] = group
    return groups
