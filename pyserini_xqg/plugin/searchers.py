"""A FAISS searcher that knows how its index was built: its encoder, its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyserini.search.faiss import FaissSearcher
from pyserini.search.lucene import LuceneSearcher

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.index.bm25_text import is_bm25
from pyserini_xqg.index.effort import Effort, tune_faiss
from pyserini_xqg.index.faiss_vectors import open_faiss
from pyserini_xqg.index.manifest import MANIFEST, read_manifest
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.plugin.encoders import XqgQueryEncoder
from pyserini_xqg.search.routing import check_routable, routes_of


class XqgSearcher(FaissSearcher):
    """A `FaissSearcher` that knows its encoder, and routes topics by language.

    Its hits are those of `pyserini_xqg.search.searcher.open_searcher`.

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
        Route texts that come without a language by the one that they seem to be in. Where False,
        a routed index refuses them.
    trust_remote_code : bool
        Run the Python that comes with the encoder. Never taken from the index.
    base_index : path-like or None
        A BM25 index of the same passages, ours or stock Pyserini's, for their texts: `doc`.

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
        detect: bool = True,
        trust_remote_code: bool = False,
        base_index: str | Path | None = None,
    ) -> None:
        manifest = read_manifest(index_dir)
        if not of_faiss(manifest):
            raise XqgError(
                f"{index_dir} is a {manifest['kind']} index; open it with "
                "pyserini_xqg.open_searcher"
            )
        self._effort = effort
        self._places: dict[str, str] = manifest.get("routes", {})
        self.routes, self.detect = routes_of(manifest), detect
        self._root = Path(index_dir)
        self._opened: dict[str, FaissSearcher] = {}
        own = self._root / manifest["fallback"] if self.routes else self._root
        query_encoder = XqgQueryEncoder(
            index_dir, device, encoder=encoder, trust_remote_code=trust_remote_code
        )
        super().__init__(str(own), query_encoder)
        self.ssearcher = None if base_index is None else _open_texts(Path(base_index))

    def doc(self, docid: str | int) -> Any:
        """As `LuceneSearcher.doc`, from the base index.

        Raises
        ------
        XqgError
            If there is none.
        """
        return self._texts().doc(docid)

    def batch_doc(self, docids: Sequence[str], threads: int = 1) -> Any:
        """As `LuceneSearcher.batch_doc`, from the base index."""
        return self._texts().batch_doc(list(docids), threads)

    def _texts(self) -> LuceneSearcher:
        if self.ssearcher is None:
            raise XqgError(
                f"{self._root} holds vectors, not texts: for these give base_index=, a BM25 index "
                "of the same passages"
            )
        return self.ssearcher

    @property
    def encoder(self) -> TopicEncoder:
        """What makes vectors of texts."""
        query_encoder: XqgQueryEncoder = self.query_encoder
        return query_encoder.encoder

    def load_index(self, index_dir: str) -> tuple[Any, list[str]]:
        """Open the index mapped from disk, so that it may be larger than memory."""
        index, docids = open_faiss(Path(index_dir), read_manifest(index_dir))
        tune_faiss(index, self._effort)
        return index, docids

    def route(self, language: str | None) -> FaissSearcher:
        """The searcher for topics in a language: its own index, or the one over all languages."""
        if not language or language not in self.routes:
            return self
        if language not in self._opened:
            path = str(self._root / self._places[language])
            searcher = _Route.__new__(_Route)
            searcher._effort = self._effort
            FaissSearcher.__init__(searcher, path, self.query_encoder)
            self._opened[language] = searcher
        return self._opened[language]

    def search(  # type: ignore[no-untyped-def]
        self, query: Any, k: int = 10, *args: Any, language: str | None = None, **kwargs: Any
    ):
        """As `FaissSearcher.search`; `language` chooses the route of a routed index."""
        k = min(k, max(self.num_docs, 1))  # FAISS makes room for all that it is asked for
        if self.routes:
            asked = [query] if isinstance(query, str) else np.reshape(query, (1, -1))
            languages = [language or ""]
            (language,) = check_routable(str(self._root), asked, languages, detect=self.detect)
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
        k = min(k, max(self.num_docs, 1))
        if not self.routes:
            return super().batch_search(queries, q_ids, k, threads, *args, **kwargs)
        languages = check_routable(str(self._root), queries, languages, detect=self.detect)
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


def _open_texts(path: Path) -> LuceneSearcher:
    if (path / MANIFEST).is_file():
        manifest = read_manifest(path)
        if not is_bm25(manifest):
            raise XqgError(f"base_index {path} is a {manifest['kind']} index; expected a BM25 one")
        path = path / manifest.get("fallback", "")
    return LuceneSearcher(str(path))


def of_faiss(manifest: Mapping[str, Any]) -> bool:
    """Whether stock Pyserini's `FaissSearcher` reads the index, or the routes in it."""
    kind = manifest["kind"]
    return (manifest.get("of", "faiss") if kind == "routed" else kind) in ("faiss", MAX_SIM)
