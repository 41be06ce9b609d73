"""Dense indexes of every kind, searched with topics' vectors: no encoder, and no Pyserini."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.export import FORMS
from pyserini_xqg.index.faiss_vectors import FaissVectors
from pyserini_xqg.index.hits import DenseIndex, Hits
from pyserini_xqg.index.lucene_vectors import FLAT, HNSW, LuceneVectors
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.max_sim import MAX_SIM

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def open_dense(path: str | Path) -> DenseIndex:
    """Open an index of ours by its kind.

    Raises
    ------
    XqgError
        If the folder holds no dense index of ours.
    """
    path, manifest = Path(path), read_manifest(path)
    check_searchable(path, manifest)
    return _KINDS[manifest["kind"]](path, manifest)


def check_searchable(path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse what cannot be searched with vectors.

    Raises
    ------
    XqgError
        Saying what to do instead.
    """
    kind = manifest["kind"]
    if kind in FORMS:
        raise XqgError(
            f"{path} is a {kind} export for other software, not an index; to search the store here "
            "give index another --to"
        )
    if kind not in _KINDS:
        raise XqgError(f"{path} is a {kind} index; expected one of {', '.join(_KINDS)}")


class RoutedVectors:
    """An index a language and one over all; each is opened when a topic first needs it."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self._path, self._manifest = path, manifest
        self._effort, self._opened = Effort(), dict[str, DenseIndex]()

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        routes, fallback = self._manifest["routes"], self._manifest["fallback"]
        names = [routes.get(language, fallback) for language in languages or [""] * len(vectors)]
        hits: dict[int, Hits] = {}
        for name in sorted(set(names)):
            rows = [row for row, other in enumerate(names) if other == name]
            if name not in self._opened:
                self._opened[name] = open_dense(self._path / name)
                self._opened[name].tune(self._effort)
            found = self._opened[name].search(vectors[rows], k, threads=threads)
            hits.update(zip(rows, found, strict=True))
        return [hits[row] for row in range(len(vectors))]

    def tune(self, effort: Effort) -> None:
        self._effort = effort
        for index in self._opened.values():
            index.tune(effort)

    def close(self) -> None:
        for index in self._opened.values():
            index.close()


_KINDS: dict[str, Callable[[Path, Mapping[str, Any]], DenseIndex]] = {
    "faiss": FaissVectors,
    MAX_SIM: FaissVectors,
    FLAT: LuceneVectors,
    HNSW: LuceneVectors,
    "routed": RoutedVectors,
}
