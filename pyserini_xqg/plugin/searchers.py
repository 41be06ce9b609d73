"""Searchers that know how their index was built: its encoder, its routes, its analyzer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyserini.search.faiss import FaissSearcher
from pyserini.search.lucene import LuceneSearcher

from pyserini_xqg.bm25 import query_text, set_analyzer
from pyserini_xqg.errors import XqgError
from pyserini_xqg.flat import open_index
from pyserini_xqg.manifest import read_manifest
from pyserini_xqg.plugin.encoders import XqgQueryEncoder


class XqgSearcher(FaissSearcher):
    """A `FaissSearcher` that knows its encoder, and routes topics by language.

    Parameters
    ----------
    index_dir : path-like
        A FAISS index of ours, or a routed folder of them.
    encoder : str or None
        Another place of the same model.
    device : str
        Of the encoder.

    Raises
    ------
    XqgError
        If the folder is no dense index of ours, or the encoder is not the one it was built with.
    """

    def __init__(
        self, index_dir: str | Path, *, encoder: str | None = None, device: str | None = "cpu"
    ) -> None:
        manifest = read_manifest(index_dir)
        if manifest["kind"] not in ("faiss", "routed"):
            raise XqgError(f"{index_dir} is a {manifest['kind']} index; open it with Bm25Searcher")
        self._routes: dict[str, str] = manifest.get("routes", {})
        self._root = Path(index_dir)
        self._opened: dict[str, FaissSearcher] = {}
        own = self._root / manifest["fallback"] if self._routes else self._root
        query_encoder = XqgQueryEncoder(index_dir, device, encoder=encoder)
        super().__init__(str(own), query_encoder)

    def load_index(self, index_dir: str) -> tuple[Any, list[str]]:
        """Open the index mapped from disk, so that it may be larger than memory."""
        index = open_index(Path(index_dir, "index"))
        docids = self.load_docids(f"{index_dir}/docid")
        if index.ntotal != len(docids):
            raise XqgError(
                f"{index_dir}: {index.ntotal} vectors and {len(docids)} docids; build it again"
            )
        return index, docids

    def route(self, language: str | None) -> FaissSearcher:
        """The searcher for topics in a language: its own index, or the one over all languages."""
        if not language or language not in self._routes:
            return self
        if language not in self._opened:
            path = str(self._root / self._routes[language])
            searcher = _Route.__new__(_Route)
            FaissSearcher.__init__(searcher, path, self.query_encoder)
            self._opened[language] = searcher
        return self._opened[language]

    def search(  # type: ignore[no-untyped-def]
        self, query: Any, k: int = 10, *args: Any, language: str | None = None, **kwargs: Any
    ):
        """As `FaissSearcher.search`; `language` chooses the route of a routed index."""
        searcher = self.route(language)
        if searcher is not self:
            return searcher.search(query, k, *args, **kwargs)
        return super().search(query, k, *args, **kwargs)

    def batch_search(  # type: ignore[no-untyped-def]
        self,
        queries: Any,
        q_ids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        *args: Any,
        languages: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        """As `FaissSearcher.batch_search`; `languages`, one a query, choose the routes."""
        if not self._routes or not languages:
            return super().batch_search(queries, q_ids, k, threads, *args, **kwargs)
        vectors = queries
        if not isinstance(queries, np.ndarray):
            vectors = self.query_encoder.encode_batch(queries)
        hits: dict[str, Any] = {}
        for language in sorted(set(languages)):
            rows = [row for row, code in enumerate(languages) if code == language]
            ids = [q_ids[row] for row in rows]
            searcher = self.route(language)
            search = super().batch_search if searcher is self else searcher.batch_search
            hits.update(search(vectors[rows], ids, k, threads, *args, **kwargs))
        return {qid: hits[qid] for qid in q_ids}


class _Route(FaissSearcher):
    """One language's index inside a routed folder; it shares the encoder."""

    load_index = XqgSearcher.load_index


class Bm25Searcher(LuceneSearcher):
    """A `LuceneSearcher` that analyzes topics as its index was built.

    Parameters
    ----------
    index_dir : path-like
        Made by `pyserini_xqg.bm25.build_bm25`.
    """

    def __init__(self, index_dir: str | Path) -> None:
        manifest = read_manifest(index_dir)
        if manifest["kind"] != "bm25":
            raise XqgError(f"{index_dir} is a {manifest['kind']} index; open it with XqgSearcher")
        super().__init__(str(index_dir))
        set_analyzer(self, manifest["analyzer"])
        self._text = query_text(manifest["analyzer"])

    def search(self, q: str, *args: Any, language: str | None = None, **kwargs: Any) -> Any:
        """As `LuceneSearcher.search`."""
        return super().search(self._text(q), *args, **kwargs)

    def batch_search(
        self,
        queries: Sequence[str],
        qids: Sequence[str],
        *args: Any,
        languages: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As `LuceneSearcher.batch_search`."""
        return super().batch_search([self._text(q) for q in queries], list(qids), *args, **kwargs)
