"""Dense indexes of every kind, searched with topics' vectors: no encoder, and no Pyserini."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.export import FORMS
from pyserini_xqg.index.faiss_vectors import FaissVectors
from pyserini_xqg.index.lucene import FLAT, HNSW, LuceneVectors
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.index.routed import Routed

if TYPE_CHECKING:
    from pyserini_xqg.index.hits import DenseIndex


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


_KINDS: dict[str, Callable[[Path, Mapping[str, Any]], DenseIndex]] = {
    "faiss": FaissVectors,
    MAX_SIM: FaissVectors,
    FLAT: LuceneVectors,
    HNSW: LuceneVectors,
    "routed": lambda path, manifest: Routed(path, manifest, open_dense),
}
