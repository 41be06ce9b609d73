"""What every index answers: docids with scores."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import Effort

#: Docids and scores, best first. Scores are dot products, or BM25's.
Hits = list[tuple[str, float]]
#: What an index is asked with: vectors, or texts.
Queries = TypeVar("Queries", contravariant=True)


class Index(Protocol[Queries]):
    """An index of any kind, one or several."""

    def search(
        self,
        queries: Queries,
        k: int,
        /,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        """The `k` best passages for each query; `languages`, one each, choose routes."""
        ...

    def tune(self, effort: Effort) -> None:
        """Search with this effort from now on.

        Raises
        ------
        XqgError
            For a setting that the index has not.
        """
        ...

    def close(self) -> None: ...


#: Asked with vectors, shape ``(n, d)``, float32.
DenseIndex: TypeAlias = Index[NDArray[np.float32]]
TextIndex: TypeAlias = Index[Sequence[str]]


def merge_hits(parts: Sequence[Sequence[Hits]], k: int) -> list[Hits]:
    """The `k` best of several indexes for each topic; equal scores in the order of the indexes.

    Raises
    ------
    XqgError
        If a docid comes from two indexes.
    """
    merged = []
    for lists in zip(*parts, strict=True):
        hits = list(islice(merge(*lists, key=lambda hit: -hit[1]), k))
        if len({docid for docid, _ in hits}) < len(hits):
            docids = [docid for docid, _ in hits]
            twice = next(docid for docid in docids if docids.count(docid) > 1)
            raise XqgError(f"passage {twice!r} is in two of the indexes; docids must be unique")
        merged.append(hits)
    return merged
