"""FAISS indexes of ours, searched with topics' vectors.

Those of the types that cannot be written block by block (HNSW, IVF, quantised ones) are written
here, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import Effort, tune_faiss
from pyserini_xqg.index.flat import open_index
from pyserini_xqg.index.hits import Hits
from pyserini_xqg.index.max_sim import MAX_SIM, BestOfPassage
from pyserini_xqg.index.recall import Sample, measure, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyserini_xqg.index.fused import Fused
    from pyserini_xqg.index.options import Job


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


#: Names for ``--type``; anything else is handed to FAISS as a factory string.
TYPES = {"flat": "Flat", "hnsw": "HNSW32"}
# FAISS asks for 39 to 256 training vectors a centroid; more than this many adds nothing but time.
_TRAINING_ROWS = 262_144


def write_in_memory(job: Job) -> None:
    """Fill a folder with ``index`` and ``docid`` of a type that FAISS must hold whole.

    The measured recall is added to the manifest.

    Raises
    ------
    XqgError
        For a type that FAISS does not know or cannot train on so few passages, and for vectors
        that are not finite.
    """
    import faiss

    folder, fused, plan, manifest, options = job
    folder.start(plan, {"docid": b"", "index": b""})
    index_type = options.index_type
    try:
        index = faiss.index_factory(
            fused.dimension, TYPES.get(index_type, index_type), faiss.METRIC_INNER_PRODUCT
        )
    except RuntimeError:
        raise XqgError(
            f"--type {index_type!r} is none of {', '.join(TYPES)} and no FAISS factory "
            f"string for dimension {fused.dimension}"
        ) from None
    if not index.is_trained:
        try:
            index.train(training_sample(fused))
        except RuntimeError as error:
            raise XqgError(
                f"--type {index_type!r} cannot be trained on {fused.passages} passages: "
                f"{str(error).splitlines()[-1]}"
            ) from None
    sample = Sample(fused.passages)
    for docids, vectors in fused.blocks("indexing"):
        index.add(np.ascontiguousarray(vectors))
        sample.add(docids, vectors)
    faiss.write_index(index, str(folder.partial / "index"))
    del index  # it is as large as the file, from which it is now searched
    fused.write_docids(folder.partial / "docid")
    built = FaissVectors(folder.partial, manifest)
    found = measure(fused, options.queries or sample.queries(), built)
    say(found)
    folder.finish({**manifest, "recall": found}, keep_log=False)


def training_sample(fused: Fused) -> NDArray[np.float32]:
    """Every n-th passage of each block, so that there are no more than `_TRAINING_ROWS`."""
    step = max(1, math.ceil(fused.passages / _TRAINING_ROWS))
    # Copies: views would keep every block in memory.
    return np.concatenate(
        [vectors[::step].copy() for _, vectors in fused.blocks("reading a sample to train on")]
    )
