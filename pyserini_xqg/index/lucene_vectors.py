"""Lucene's dense indexes, searched with topics' vectors; `lucene` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.index.anserini import batch_search, java_class, quiet_anserini
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Hits

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLAT, HNSW = "lucene-flat", "lucene-hnsw"
#: Candidates that a search of a graph keeps where nobody says how many; Pyserini's own.
EF_SEARCH = 100


def topic_strings(vectors: NDArray[np.float32], *, stretched: bool) -> list[str]:
    """Topics as Anserini's searchers read them where no encoder is set: ``[0.1,0.2,...]``.

    Parameters
    ----------
    vectors : array, shape (n, d), float32
        Each is scaled to length 1; a zero vector stays zero.
    stretched : bool
        Whether the index has the other dimension.
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units = vectors / np.where(norms > 0, norms, 1)
    ends = ",0" if stretched else ""
    return ["[" + ",".join(f"{value:.9g}" for value in unit) + ends + "]" for unit in units]


class LuceneVectors:
    """A Lucene index of ours, searched with topics' vectors.

    Parameters
    ----------
    path : Path
    manifest : mapping
        Its ``xqg.json``.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        quiet_anserini()
        self._path, self._manifest = path, manifest
        self._ef_search = EF_SEARCH
        self._kept, self._searcher = 0, None

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        """Docids and dot products of the `k` best passages for each vector, best first."""
        k = min(k, int(self._manifest["passages"]))
        # Lucene gives no more than it keeps.
        searcher = self._open(k if self._manifest["kind"] == FLAT else max(self._ef_search, k))
        topics = topic_strings(vectors, stretched=self._manifest["stretched"])
        found = batch_search(searcher, topics, k, threads)
        scales = np.linalg.norm(vectors.astype(np.float64), axis=1)
        scales = scales * float(self._manifest["largest_length"])
        return [
            [(docid, (2 * score - 1) * scale) for docid, score in hits]
            for hits, scale in zip(found, scales.tolist(), strict=True)
        ]

    def tune(self, effort: Effort) -> None:
        """Keep this many candidates from now on; a flat index keeps what it needs."""
        effort.only(*(["ef_search"] if self._manifest["kind"] == HNSW else []))
        self._ef_search = effort.ef_search or self._ef_search

    def close(self) -> None:
        if self._searcher is not None:
            self._searcher.close()
            self._kept, self._searcher = 0, None

    def _open(self, kept: int) -> Any:
        """Open with so many candidates: Anserini fixes that when an index is opened.

        A flat index too: through Anserini's searcher for flat ones there are at most 1,000 hits.
        """
        if kept != self._kept:
            self.close()
            args = java_class("io.anserini.search.HnswDenseSearcher$Args")()
            args.index, args.efSearch = str(self._path), kept
            self._searcher = java_class("io.anserini.search.HnswDenseSearcher")(args)
            self._kept = kept
        return self._searcher
