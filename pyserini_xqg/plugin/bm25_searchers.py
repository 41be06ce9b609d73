"""BM25 searchers that know how their index was built: its analyzer, its routes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyserini.search.lucene import LuceneSearcher

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.anserini import allow_long_queries
from pyserini_xqg.index.bm25 import query_text, set_analyzer
from pyserini_xqg.index.bm25_text import field_of
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.search.routing import check_routable, routes_of


class Bm25Searcher(LuceneSearcher):
    """A `LuceneSearcher` that analyzes topics as its index was built.

    Parameters
    ----------
    index_dir : path-like
        Made by `pyserini_xqg.index.bm25.build_bm25`.
    """

    #: There is no encoder, and there are no routes: the same names as of every searcher of ours.
    encoder = None
    routes: tuple[str, ...] = ()
    detect = False

    def __init__(self, index_dir: str | Path) -> None:
        manifest = read_manifest(index_dir)
        if manifest["kind"] != "bm25":
            raise XqgError(
                f"{index_dir} is a {manifest['kind']} index; open it with "
                "pyserini_xqg.open_searcher"
            )
        super().__init__(str(index_dir))
        allow_long_queries()
        set_analyzer(self.object, manifest["analyzer"])
        self._text = query_text(manifest["analyzer"])
        field = field_of(manifest)
        self._fields = {field: 1.0} if field else {}

    def search(self, q: str, *args: Any, language: str | None = None, **kwargs: Any) -> Any:
        """As `LuceneSearcher.search`."""
        kwargs["fields"] = kwargs.get("fields") or self._fields
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
        kwargs["fields"] = kwargs.get("fields") or self._fields
        return super().batch_search([self._text(q) for q in queries], list(qids), *args, **kwargs)


class RoutedBm25Searcher(Bm25Searcher):
    """BM25 indexes by language, each with its analyzer; opened when a topic first needs them.

    It is itself the searcher of the index over all languages, which holds every passage's text.

    Parameters
    ----------
    index_dir : path-like
        Made by `pyserini_xqg.index.bm25_routed.build_routed_bm25`.
    detect : bool
        Route texts that come without a language by the one that they seem to be in. Where False,
        they are refused.
    """

    def __init__(self, index_dir: str | Path, *, detect: bool = True) -> None:
        manifest = read_manifest(index_dir)
        self._root = Path(index_dir)
        self._places: dict[str, str] = manifest["routes"]
        self.routes, self.detect = routes_of(manifest), detect
        self._opened: dict[str, Bm25Searcher] = {}
        self._bm25: tuple[float, float] | None = None
        super().__init__(self._root / manifest["fallback"])

    def route(self, language: str | None) -> Bm25Searcher:
        """The searcher for topics in a language: its own index, or the one over all languages."""
        if not language or language not in self.routes:
            return self
        if language not in self._opened:
            searcher = Bm25Searcher(self._root / self._places[language])
            if self._bm25:
                searcher.set_bm25(*self._bm25)
            self._opened[language] = searcher
        return self._opened[language]

    def search(self, q: str, *args: Any, language: str | None = None, **kwargs: Any) -> Any:
        """As `LuceneSearcher.search`; `language` chooses the index."""
        (code,) = check_routable(str(self._root), [q], [language or ""], detect=self.detect)
        searcher = self.route(code)
        search = super().search if searcher is self else searcher.search
        return search(q, *args, **kwargs)

    def batch_search(
        self,
        queries: Sequence[str],
        qids: Sequence[str],
        *args: Any,
        languages: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As `LuceneSearcher.batch_search`; `languages`, one a query, choose the indexes."""
        codes = check_routable(str(self._root), queries, languages, detect=self.detect)
        rows: dict[str, list[int]] = {}
        for row, code in enumerate(codes):
            rows.setdefault(code if code in self.routes else "", []).append(row)
        found: dict[str, Any] = {}
        for code, of in rows.items():
            texts, ids = [queries[row] for row in of], [qids[row] for row in of]
            searcher = self.route(code)
            search = super().batch_search if searcher is self else searcher.batch_search
            found.update(search(texts, ids, *args, **kwargs))
        return found

    def set_bm25(self, k1: float = 0.9, b: float = 0.4) -> None:
        """As `LuceneSearcher.set_bm25`, of every index."""
        super().set_bm25(k1, b)
        self._bm25 = k1, b
        for searcher in self._opened.values():
            searcher.set_bm25(k1, b)

    def close(self) -> None:
        """Close every index."""
        super().close()
        for searcher in self._opened.values():
            searcher.close()
