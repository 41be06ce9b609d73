"""FAISS indexes of ours, searched with topics' vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import Effort, tune_faiss
from pyserini_xqg.index.flat import open_index
from pyserini_xqg.index.hits import Hits
from pyserini_xqg.index.max_sim import MAX_SIM, BestOfPassage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def open_faiss(path: Path, manifest: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """A FAISS index of ours, mapped from disk, and its docids.

    A flat one is searched exactly, whatever the number of threads, topics and shards; one with
    several rows a passage is searched for passages.

    Raises
    ------
    XqgError
        If there are more of the one than of the other.
    """
    from pyserini_xqg.index.exact import ExactIndex

    index = open_index(path / "index")
    with open(path / "docid", encoding="utf-8", newline="\n") as file:
        docids = [line.rstrip() for line in file]
    if index.ntotal != len(docids):
        raise XqgError(f"{path}: {index.ntotal} vectors and {len(docids)} docids; build it again")
    if manifest["kind"] == MAX_SIM:
        best = BestOfPassage(ExactIndex(index), docids)
        return best, best.docids
    return (ExactIndex(index) if manifest["type"] == "flat" else index), docids


class FaissVectors:
    """A FAISS index of ours."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self._index, self._docids = open_faiss(path, manifest)

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        import faiss

        faiss.omp_set_num_threads(threads)
        # FAISS makes room for all that it is asked for.
        scores, rows = self._index.search(vectors, min(k, max(len(self._docids), 1)))
        return [
            # It fills up with -1 where a graph or a list has no more.
            [(self._docids[row], score) for row, score in zip(*found, strict=True) if row != -1]
            for found in zip(rows.tolist(), scores.tolist(), strict=True)
        ]

    def tune(self, effort: Effort) -> None:
        tune_faiss(getattr(self._index, "inside", self._index), effort)

    def close(self) -> None:
        self._index = None
