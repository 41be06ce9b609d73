"""What every dense index answers: docids with dot products."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import Effort

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Docids and dot products, best first.
Hits = list[tuple[str, float]]


class DenseIndex(Protocol):
    """An index of any kind, one or several."""

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        """The `k` best passages for each vector; `languages`, one each, choose routes."""
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
