"""Dense searchers that know how their index was built: its encoder, its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pyserini.search.faiss import DenseSearchResult, FaissSearcher

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import detect_language
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.index.effort import Effort, tune_faiss
from pyserini_xqg.index.faiss_vectors import open_faiss
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.plugin.encoders import XqgQueryEncoder
from pyserini_xqg.search.pool import open_shards

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    effort : Effort
        How hard to search an approximate index.
    detect : bool
        Route texts that come without a language by the one that they seem to be in.

    Raises
    ------
    XqgError
        If the folder is no FAISS index of ours, or the encoder is not the one it was built with.
    """

    def __init__(
        self,
        index_dir: str | Path,
        *,
        encoder: str | None = None,
        device: str | None = "cpu",
        effort: Effort = Effort(),  # noqa: B008 - frozen
        detect: bool = False,
    ) -> None:
        manifest = read_manifest(index_dir)
        if not of_faiss(manifest):
            raise XqgError(
                f"{index_dir} is a {manifest['kind']} index; open it with "
                "pyserini_xqg.search.searcher.open_searcher"
            )
        self._effort = effort
        self._routes: dict[str, str] = manifest.get("routes", {})
        self._detect = detect and bool(self._routes)
        self._root = Path(index_dir)
        self._opened: dict[str, FaissSearcher] = {}
        own = self._root / manifest["fallback"] if self._routes else self._root
        query_encoder = XqgQueryEncoder(index_dir, device, encoder=encoder)
        super().__init__(str(own), query_encoder)

    def load_index(self, index_dir: str) -> tuple[Any, list[str]]:
        """Open the index mapped from disk, so that it may be larger than memory."""
        index, docids = open_faiss(Path(index_dir), read_manifest(index_dir))
        tune_faiss(index, self._effort)
        return index, docids

    def route(self, language: str | None) -> FaissSearcher:
        """The searcher for topics in a language: its own index, or the one over all languages."""
        if not language or language not in self._routes:
            return self
        if language not in self._opened:
            path = str(self._root / self._routes[language])
            searcher = _Route.__new__(_Route)
            searcher._effort = self._effort
            FaissSearcher.__init__(searcher, path, self.query_encoder)
            self._opened[language] = searcher
        return self._opened[language]

    def search(  # type: ignore[no-untyped-def]
        self, query: Any, k: int = 10, *args: Any, language: str | None = None, **kwargs: Any
    ):
        """As `FaissSearcher.search`; `language` chooses the route of a routed index."""
        if self._detect and not language and isinstance(query, str):
            language = detect_language(query)
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
        if self._detect:
            languages = detect_missing(queries, languages)
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

    _effort: Effort
    load_index = XqgSearcher.load_index


class DenseSearcher:
    """Dense indexes of ours, of any kind, searched as one: Lucene's, and shards.

    Scores are dot products, as FAISS gives them. With flat indexes the hits are those of one index
    of all the passages, to the last digit, equal scores in the order of the indexes.

    Parameters
    ----------
    indexes : path-like, or sequence of path-like
        Of one encoder and fusion; routed ones too, if all are.
    encoder : str or None
        Another place of the same model.
    device : str
        Of the encoder, which is loaded once.
    processes : int
        In how many to open the indexes at most, one an index; by default all in this one. See
        `pyserini_xqg.search.pool.Pool` for what a script must then look like.
    effort : Effort
        How hard to search approximate indexes.
    detect : bool
        Route texts that come without a language by the one that they seem to be in.

    Raises
    ------
    XqgError
        For a folder that is no dense index of ours, for indexes that do not belong together, and
        for an encoder that is not the one they were built with.
    """

    def __init__(
        self,
        indexes: str | Path | Sequence[str | Path],
        *,
        encoder: str | None = None,
        device: str | None = "cpu",
        processes: int = 1,
        effort: Effort = Effort(),  # noqa: B008 - frozen
        detect: bool = False,
    ) -> None:
        paths = [indexes] if isinstance(indexes, str | Path) else list(indexes)
        self._detect = detect and "routes" in read_manifest(paths[0])
        self._index = open_shards(paths, processes=processes, effort=effort)
        self.query_encoder = XqgQueryEncoder(paths[0], device, encoder=encoder)
        for path in paths[1:]:
            check_probes(self.query_encoder.encoder, read_manifest(path)["probes"], str(path))

    def search(
        self,
        query: str | NDArray[np.float32],
        k: int = 10,
        threads: int = 1,
        *,
        language: str | None = None,
    ) -> list[DenseSearchResult]:
        """The `k` best passages for a text, or for a vector of shape ``(d,)`` or ``(1, d)``."""
        queries = [query] if isinstance(query, str) else np.reshape(query, (1, -1))
        return self.batch_search(queries, [""], k, threads, languages=[language or ""])[""]

    def batch_search(
        self,
        queries: Sequence[str] | NDArray[np.float32],
        q_ids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        *,
        languages: Sequence[str] | None = None,
    ) -> dict[str, list[DenseSearchResult]]:
        """As `FaissSearcher.batch_search`; `languages`, one a query, choose the routes."""
        if self._detect:
            languages = detect_missing(queries, languages)
        vectors = queries
        if not isinstance(queries, np.ndarray):
            vectors = self.query_encoder.encode_batch(queries)
        found = self._index.search(
            np.asarray(vectors, dtype=np.float32), k, threads=threads, languages=languages
        )
        return {
            qid: [DenseSearchResult(docid, score) for docid, score in hits]
            for qid, hits in zip(q_ids, found, strict=True)
        }

    def close(self) -> None:
        """Close the indexes, and end the processes."""
        self._index.close()


def of_faiss(manifest: Mapping[str, Any]) -> bool:
    """Whether stock Pyserini's `FaissSearcher` reads the index, or the routes in it."""
    kind = manifest["kind"]
    return (manifest.get("of", "faiss") if kind == "routed" else kind) in ("faiss", MAX_SIM)


def detect_missing(
    queries: Sequence[str] | NDArray[np.float32], languages: Sequence[str] | None
) -> Sequence[str] | None:
    """The languages given, and where there is none the one that a text seems to be in."""
    if isinstance(queries, np.ndarray):
        return languages
    named = languages or [""] * len(queries)
    return [code or detect_language(text) for code, text in zip(named, queries, strict=True)]
