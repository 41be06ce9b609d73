"""Dense vectors in Lucene, through Anserini: flat (exact) and HNSW, written and searched.

Lucene's dot product is for vectors of length 1. Others get one dimension more: with m the largest
length of all passages, x becomes (x / m, sqrt(1 - |x|^2 / m^2)) and a topic q (q / |q|, 0). Both
have length 1, and their product is q.x / (|q| m): the ranking of the dot products, exactly
(Bachrach et al., "Speeding Up the Xbox Recommender System Using a Euclidean Transformation for
Inner-Product Spaces", RecSys 2014). Lucene's score is (1 + that) / 2; ours is q.x again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.index.anserini import batch_search, count_documents, java_class, quiet_anserini
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Hits
from pyserini_xqg.index.recall import Sample, measure, say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.index.fused import Fused
    from pyserini_xqg.index.options import Job


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


# Lengths that differ by no more come from rounding; such vectors need no other dimension.
_UNIT = 1e-5
# Hadoop, with which Anserini reads Parquet, calls what Java 24 took away.
_LAST_WITH_PARQUET = 23


def write_lucene(job: Job) -> None:
    """Fill a folder with a Lucene index, ``docid``, and ``xqg.json`` last.

    The vectors are first written beside it, as Anserini reads files; these are kept until the end,
    and a killed process's finished ones are used again. The manifest's kind is ``lucene-flat`` or
    ``lucene-hnsw``; what the vectors went through is added.

    Raises
    ------
    XqgError
        For vectors that are not finite, and where Lucene did not take every passage.
    """
    import shutil

    from pyserini_xqg.base.java import prepare
    from pyserini_xqg.index.export import write_parts

    folder, fused, plan, manifest, options = job
    java, kind = prepare(), manifest["kind"]
    graph = {"M": options.m, "efC": options.ef_construction} if kind == HNSW else {}
    folder.start({**plan, **graph}, {})
    sample = Sample(fused.passages)
    shortest, longest = lengths(fused, sample)
    unit = shortest >= 1 - _UNIT and longest <= 1 + _UNIT
    form = "parquet" if java.major <= _LAST_WITH_PARQUET else "jsonl"
    parts = folder.work / form
    write_parts(parts, fused, form, change=None if unit else lambda x: stretch(x, longest))
    for pattern in ("_*", "segments*", "pending*", "write.lock"):  # of a killed process
        for file in folder.partial.glob(pattern):
            file.unlink()
    _index(_INDEXERS[kind], parts, folder.partial, form, options.threads, graph)
    found = count_documents(folder.partial)
    if found != fused.passages:
        raise XqgError(f"Lucene took {found} of {fused.passages} passages; nothing was finished")
    shutil.rmtree(parts)
    fused.write_docids(folder.partial / "docid")
    about = {**manifest, **graph, "largest_length": 1.0 if unit else longest, "stretched": not unit}
    if kind == HNSW:
        index = LuceneVectors(folder.partial, about)
        about["recall"] = measure(fused, options.queries or sample.queries(), index)
        index.close()
        say(about["recall"])
    folder.finish(about, keep_log=False)


def lengths(fused: Fused, sample: Sample) -> tuple[float, float]:
    """Those of the shortest and of the longest vector, from one pass; 1 where all are zero."""
    shortest, longest = np.inf, 0.0
    for docids, vectors in fused.blocks("measuring lengths"):
        sample.add(docids, vectors)
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        shortest, longest = min(shortest, float(norms.min())), max(longest, float(norms.max()))
    return shortest, longest or 1.0


def stretch(vectors: NDArray[np.float32], longest: float) -> NDArray[np.float32]:
    """Passages with one dimension more, all of length 1: shape ``(n, d)`` to ``(n, d + 1)``."""
    scaled = vectors.astype(np.float64) / longest
    rest = np.sqrt(np.maximum(0, 1 - (scaled * scaled).sum(axis=1, keepdims=True)))
    return np.concatenate([scaled, rest], axis=1).astype(np.float32)


def _index(
    name: str, source: Path, target: Path, form: str, threads: int, graph: Mapping[str, int]
) -> None:
    from jnius import JavaException, autoclass

    quiet_anserini()
    args = autoclass(f"io.anserini.index.{name}$Args")()
    args.collectionClass = _COLLECTIONS[form]
    args.input, args.index = str(source), str(target)
    args.threads, args.quiet = threads, True
    # Anserini's own, 4 GB, may be more than all of Java's memory.
    heap = autoclass("java.lang.Runtime").getRuntime().maxMemory() >> 20
    args.memoryBuffer = max(16, min(4096, heap // 4))
    for option, value in graph.items():
        setattr(args, option, value)
    try:
        autoclass(f"io.anserini.index.{name}")(args).run()
    except JavaException as error:
        raise XqgError(f"Anserini could not index the vectors: {reason_of(error)}") from None


_INDEXERS = {FLAT: "IndexFlatDenseVectors", HNSW: "IndexHnswDenseVectors"}
_COLLECTIONS = {"jsonl": "JsonDenseVectorCollection", "parquet": "ParquetDenseVectorCollection"}
