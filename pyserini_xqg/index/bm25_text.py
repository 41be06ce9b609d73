"""BM25 indexes of ours, searched with topics' texts; `bm25` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.anserini import (
    allow_long_queries,
    batch_search,
    java_class,
    quiet_anserini,
)
from pyserini_xqg.index.bm25 import query_text, set_analyzer
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Hits, TextIndex
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.routed import Routed


class Bm25Text:
    """A BM25 index of ours; topics are analyzed as its documents were.

    Parameters
    ----------
    path : Path
    manifest : mapping
        Its ``xqg.json``.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self._searcher = java_class("io.anserini.search.SimpleSearcher")(str(path))
        quiet_anserini()
        allow_long_queries()
        set_analyzer(self._searcher, manifest["analyzer"])
        self._text = query_text(manifest["analyzer"])
        self._field = field_of(manifest)

    def search(
        self,
        texts: Sequence[str],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        """Docids and BM25's scores of the `k` best passages for each text, best first."""
        asked = [self._text(text) for text in texts]
        return batch_search(self._searcher, asked, k, threads, self._field)

    def tune(self, effort: Effort) -> None:
        """Refuse every setting: BM25 is exact."""
        effort.only()

    def close(self) -> None:
        self._searcher.close()


def field_of(manifest: Mapping[str, Any]) -> str | None:
    """The field that an index is searched in; None for Anserini's own, ``contents``."""
    field = manifest.get("searched", "contents")  # earlier versions knew no other
    return None if field == "contents" else field


def is_bm25(manifest: Mapping[str, Any]) -> bool:
    """Whether an index, or the routes in it, are of text."""
    return "bm25" in (manifest["kind"], manifest.get("of"))


def open_bm25(path: str | Path) -> TextIndex:
    """Open a BM25 index of ours, or a routed folder of them.

    Raises
    ------
    XqgError
        If the folder is another kind of index.
    """
    path, manifest = Path(path), read_manifest(path)
    if not is_bm25(manifest):
        raise XqgError(f"{path} is a {manifest['kind']} index; expected one of --to bm25")
    if manifest["kind"] == "routed":
        return Routed(path, manifest, open_bm25)
    return Bm25Text(path, manifest)
