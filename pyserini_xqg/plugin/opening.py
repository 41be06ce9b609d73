"""The searcher of Pyserini's own kind that an index of ours asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.bm25_text import is_bm25
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.plugin.bm25_searchers import Bm25Searcher, RoutedBm25Searcher
from pyserini_xqg.plugin.searchers import XqgSearcher, of_faiss
from pyserini_xqg.search.searcher import open_searcher


def open_bm25_as_pyserini(index_dir: str | Path) -> Bm25Searcher:
    """As `open_as_pyserini`, of BM25 indexes only."""
    manifest = read_manifest(index_dir)
    if not is_bm25(manifest):
        raise XqgError(
            f"{index_dir} is a {manifest['kind']} index; expected one of --to bm25. It is searched "
            "by python -m pyserini_xqg.search"
        )
    return (RoutedBm25Searcher if manifest["kind"] == "routed" else Bm25Searcher)(index_dir)


def open_as_pyserini(
    index_dir: str | Path,
    *,
    encoder: str | None = None,
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> Any:
    """Open an index; queries without a language are routed by the one that they seem to be in.

    Parameters
    ----------
    index_dir : path-like
    encoder : str or None
        Another place of the same model.
    effort : Effort

    Returns
    -------
    XqgSearcher, Bm25Searcher, RoutedBm25Searcher, or Searcher
        The last for Lucene's dense indexes, whose class in Pyserini takes no encoder of ours.
    """
    manifest = read_manifest(index_dir)
    if is_bm25(manifest):
        if encoder:
            raise XqgError(f"{index_dir} is a BM25 index and takes no encoder")
        effort.only()
        return open_bm25_as_pyserini(index_dir)
    if of_faiss(manifest):
        return XqgSearcher(index_dir, encoder=encoder, effort=effort)
    return open_searcher(index_dir, encoder=encoder, effort=effort)
