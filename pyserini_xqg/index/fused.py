"""A store's passages with their queries folded in: what every kind of dense index is made of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.progress import with_bar
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.index.maps import Maps
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.block import check_finite
from pyserini_xqg.store.store import Store


@dataclass(frozen=True)
class Fused:
    """The vectors to index, which can be read as often as needed, a block at a time.

    Attributes
    ----------
    store : Store
    fusion : Fusion
    languages : sequence of str
        Those to fold in.
    centres : mapping of language to array, shape (d,), float32, or None
    maps : Maps or None
        For a fusion with a mu.
    folds : array, shape (passages,), uint8, or None
        Of the passages, where they are known: made for each block otherwise, from the docids.
    name : str
        Of what is made, for the lines of progress: routes are made one after the other.
    """

    store: Store
    fusion: Fusion
    languages: Sequence[str]
    centres: Mapping[str, NDArray[np.float32]] | None = None
    maps: Maps | None = None
    folds: NDArray[np.uint8] | None = None
    name: str = ""

    @property
    def passages(self) -> int:
        return self.store.passages

    @property
    def dimension(self) -> int:
        return self.store.dimension

    @property
    def block_sizes(self) -> list[int]:
        """Passages of each block; the last one of a shard is shorter."""
        return [
            min(BLOCK, size - first) for size in self.store.sizes for first in range(0, size, BLOCK)
        ]

    def blocks(
        self, what: str, *, start: int = 0
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Docids and vectors, shape ``(n, d)``, from block number `start` on.

        Parameters
        ----------
        what : str
            For the progress bar.
        start : int
            Blocks to pass over.

        Raises
        ------
        XqgError
            For a vector that is not finite.
        """
        there = [code for code in self.languages if code in self.store.languages]
        left = self.store.blocks(there, start=start)
        done = sum(self.block_sizes[:start])
        if self.name:
            what = f"{what} ({self.name})"
        for block in with_bar(left, self.passages, what, done=done):
            folds = None if self.folds is None else self.folds[done : done + len(block.docids)]
            done += len(block.docids)
            predictions = None if self.maps is None else self.maps.predictions(block, folds)
            vectors = self.fusion.apply(block, self.centres, predictions)
            check_finite(vectors, block.docids)
            yield block.docids, vectors

    def write_docids(self, path: Path) -> None:
        """Write one docid a line, as the store's shards have them."""
        with open(path, "wb") as whole:
            for shard in self.store.paths:
                with open(shard / "docid", "rb") as part:
                    shutil.copyfileobj(part, whole, 1 << 20)
