"""Any index of ours, or several dense ones as one, asked with texts; without Pyserini."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.index.bm25_text import is_bm25, open_bm25
from pyserini_xqg.index.dense import open_encoder
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Index
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.search.joining import Asking, search_joined
from pyserini_xqg.search.routing import check_routable, routes_of
from pyserini_xqg.search.sharded import open_shards


class Searcher:
    """An index of ours and the encoder that it was built with; `open_searcher` makes it.

    Scores are dot products, or BM25's. With flat dense indexes, in shards or not, the hits are
    those of one index of all the passages, to the last digit, equal scores in the order of the
    indexes.

    Parameters
    ----------
    index : Index
        Of vectors, or of texts.
    encoder : TopicEncoder or None
        None where the index is of texts.
    routes : sequence of str
        The languages that a routed index has an index of their own for.
    detect : bool
        Route texts that come without a language by the one that they seem to be in.
    name : str
        Of the index, for messages.
    """

    def __init__(
        self,
        index: Index[Any],
        encoder: TopicEncoder | None,
        *,
        routes: Sequence[str] = (),
        detect: bool = True,
        name: str = "the index",
    ) -> None:
        self.index, self.encoder = index, encoder
        self.routes, self.detect, self.name = tuple(routes), detect, name

    def search(
        self,
        query: str | NDArray[np.float32],
        k: int = 10,
        threads: int = 1,
        *,
        language: str | None = None,
    ) -> list[Hit]:
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
    ) -> dict[str, list[Hit]]:
        """The `k` best passages for each query, by its id.

        Parameters
        ----------
        queries : sequence of str, or array of shape (n, d), float32
            Texts; a dense index takes their vectors, too.
        q_ids : sequence of str
        k, threads : int
        languages : sequence of str or None
            One a query; they choose the routes of a routed index.

        Raises
        ------
        XqgError
            If the index is routed, and a query has no language and none is detected.
        """
        if self.routes:
            languages = check_routable(self.name, queries, languages, detect=self.detect)
        asked: Any = queries
        if self.encoder is not None:
            if not isinstance(queries, np.ndarray):
                asked = self.encoder.encode_queries(queries)
            asked = np.asarray(asked, dtype=np.float32)
        found = self.index.search(asked, k, threads=threads, languages=languages)
        return {
            qid: [Hit(docid, score) for docid, score in hits]
            for qid, hits in zip(q_ids, found, strict=True)
        }

    def close(self) -> None:
        """Close the index, and end its processes."""
        self.index.close()


def open_searcher(
    index: str | Path | Sequence[str | Path],
    *,
    encoder: str | None = None,
    device: str | None = None,
    processes: int = 1,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    detect: bool = True,
    keep: bool = True,
    trust_remote_code: bool = False,
) -> Searcher:
    """Open an index, or several dense ones as one.

    Parameters
    ----------
    index : path-like, or sequence of path-like
        Several are searched as one: shards, of any dense kinds, of one encoder and fusion.
    encoder : str or None
        Another place of the model that the index was built with.
    device : str or None
        Of the encoder, which is loaded once.
    processes : int
        In how many to open several indexes, at most one an index. See
        `pyserini_xqg.search.sharded.Pool` for what a script must then look like.
    effort : Effort
        How hard to search an approximate index.
    detect : bool
        Route texts that come without a language by the one that they seem to be in. Where False,
        a routed index refuses them.
    keep : bool
        The vectors of topics, so that the same ones need no model the next time.
    trust_remote_code : bool
        Run the Python that comes with the model. Never taken from the index.

    Raises
    ------
    XqgError
        If a folder is no index of ours, indexes do not belong together, the encoder does not fit,
        or an index has not the settings of `effort`.
    """
    paths = [index] if isinstance(index, str | Path) else list(index)
    manifests = [read_manifest(path) for path in paths]
    about: dict[str, Any] = {
        "routes": routes_of(manifests[0]), "detect": detect, "name": str(paths[0])
    }  # fmt: skip
    if len(paths) == 1 and is_bm25(manifests[0]):
        if encoder:
            raise XqgError(f"{paths[0]} is a BM25 index: leave --encoder out")
        opened = open_bm25(paths[0])
        opened.tune(effort)
        return Searcher(opened, None, **about)
    shards = open_shards(paths, processes=processes, effort=effort)
    query_side = open_encoder(
        paths[0], encoder, device, keep=keep, trust_remote_code=trust_remote_code
    )
    for path, manifest in zip(paths[1:], manifests[1:], strict=True):
        check_probes(query_side, manifest["probes"], str(path))
    return Searcher(shards, query_side, **about)


def search_topics(
    searcher: Searcher,
    topics: Sequence[Topic],
    *,
    hits: int = 1000,
    batch_size: int = 64,
    threads: int = 1,
    join: str | None = None,
    query_weight: float | None = None,
) -> Iterator[tuple[str, list[Hit]]]:
    """Topic ids with their hits, best first, in the order of the topics.

    With a `join` (a key of `pyserini_xqg.search.joining.JOINS`) the topics' expansions are used.
    """
    with Progress(len(topics), "searching", "topics") as bar:
        for start in range(0, len(topics), batch_size):
            batch = topics[start : start + batch_size]
            qids = [topic.qid for topic in batch]
            if join:
                found = search_joined(searcher, batch, join, Asking(hits, threads, query_weight))
            else:
                found = searcher.batch_search(
                    [topic.text for topic in batch],
                    qids,
                    k=hits,
                    threads=threads,
                    languages=[topic.language for topic in batch],
                )
            for qid in qids:
                yield qid, found.get(qid, [])
            bar.update(len(batch))
