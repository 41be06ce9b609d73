"""Passages by fold: a tenth of a collection each, by a hash of the docid."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.store.rows import docids_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store.store import Store

FOLDS = 10


def fold_of(docid: str) -> int:
    """The fold of a passage, 0 to `FOLDS` - 1: the same on every machine and for every corpus."""
    return int(folds_of([docid])[0])


def folds_of(docids: Iterable[str]) -> NDArray[np.int64]:
    """The folds of passages, shape ``(n,)``."""
    return _folds(docid.encode("utf-8", "surrogateescape") for docid in docids)


def folds_in(store: Store) -> NDArray[np.uint8]:
    """The folds of all passages of a store, shape ``(n,)``: a byte each."""
    found = []
    for path in store.paths:
        with open(path / "docid", "rb") as docids:
            found.append(_folds(line[:-1] for line in docids).astype(np.uint8))
    return np.concatenate(found)


def _folds(docids: Iterable[bytes]) -> NDArray[np.int64]:
    return np.fromiter(map(zlib.crc32, docids), np.int64) % FOLDS


def folds_at(store: Store, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The folds of some rows of a store, which may come again, in the order given."""
    wanted, places = np.unique(rows, return_inverse=True)
    return folds_of(docids_of(store, wanted).values())[places]
