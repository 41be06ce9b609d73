"""Topics in, a run out: ``python -m pyserini_xqg.search`` over any index of ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.manifest import read_manifest
from pyserini_xqg.search.joining import Asking, search_joined

if TYPE_CHECKING:
    from pyserini_xqg.plugin import Bm25Searcher, DenseSearcher, XqgSearcher

    Searcher: TypeAlias = XqgSearcher | DenseSearcher | Bm25Searcher


def open_searcher(
    index: str | Path | Sequence[str | Path],
    *,
    encoder: str | None = None,
    device: str | None = None,
    processes: int = 1,
    effort: Effort = Effort(),  # noqa: B008 - frozen
    detect: bool = False,
) -> Searcher:
    """The searcher that an index asks for, or that several dense ones as one ask for.

    Parameters
    ----------
    index : path-like, or sequence of path-like
        Several are searched as one: shards, of any dense kinds, of one encoder and fusion.
    encoder : str or None
        Another place of the model that the index was built with.
    device : str or None
        Of the encoder.
    processes : int
        In how many to open several indexes, at most.
    effort : Effort
        How hard to search an approximate index.
    detect : bool
        Route texts that come without a language by the one that they seem to be in.

    Raises
    ------
    XqgError
        If a folder is no index of ours, indexes do not belong together, the encoder does not fit,
        or an index has not the settings of `effort`.
    """
    paths = [index] if isinstance(index, str | Path) else list(index)
    manifests = [read_manifest(path) for path in paths]
    from pyserini_xqg.plugin import Bm25Searcher, DenseSearcher, RoutedBm25Searcher, XqgSearcher
    from pyserini_xqg.plugin.searchers import of_faiss

    if len(paths) == 1 and "bm25" in (manifests[0]["kind"], manifests[0].get("of")):
        if encoder:
            raise XqgError(f"{paths[0]} is a BM25 index: leave --encoder out")
        effort.only()
        if manifests[0]["kind"] == "routed":
            return RoutedBm25Searcher(paths[0], detect=detect)
        return Bm25Searcher(paths[0])
    if len(paths) == 1 and of_faiss(manifests[0]):
        return XqgSearcher(paths[0], encoder=encoder, device=device, effort=effort, detect=detect)
    return DenseSearcher(
        paths, encoder=encoder, device=device, processes=processes, effort=effort, detect=detect
    )


def search_topics(
    searcher: Searcher,
    topics: Sequence[Topic],
    *,
    hits: int = 1000,
    batch_size: int = 64,
    threads: int = 1,
    join: str | None = None,
    query_weight: float | None = None,
) -> Iterator[tuple[str, list[Any]]]:
    """Topic ids with their hits (``docid``, ``score``), best first, in the order of the topics.

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
