"""Exact retrieval from an embedding store, for many fusions in one pass, without an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.encoder.topic_encoder import TopicEncoder
from pyserini_xqg.index.folds import FOLDS, folds_of
from pyserini_xqg.index.maps import Maps
from pyserini_xqg.index.max_sim import MAX_SIM, BestOfBlock
from pyserini_xqg.index.settings import FALLBACK, Fusion
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.rows import docids_of
from pyserini_xqg.store.store import Store

Vectors = NDArray[np.float32]

Name = TypeVar("Name")
#: The languages whose queries are folded in for topics in a given language.
Members = Callable[[str], Sequence[str]]


class Part(NamedTuple):
    """Some passages of a store: their row numbers, shape (n,), and their vectors."""

    rows: NDArray[np.int64]
    block: Block


class System(NamedTuple):
    """One way to make a passage's vector.

    Attributes
    ----------
    fusion : Fusion
    members : callable
        By a topic's language, the languages to fold in. Topics with different answers are searched
        among different vectors, as in a routed index.
    change : callable or None
        What a part's sums and counts become before they are fused.
    """

    fusion: Fusion
    members: Members
    change: Callable[[Part], Block] | None = None


def everyone(languages: Sequence[str]) -> Members:
    """All of them, whatever the topic."""
    return lambda asked: languages


def routed(languages: Sequence[str]) -> Members:
    """The topic's own language, or all of them for topics in another: a routed index."""
    return lambda asked: (asked,) if asked in languages else languages


def others(languages: Sequence[str]) -> Members:
    """All but the topic's own."""
    return lambda asked: tuple(code for code in languages if code != asked)


def open_encoder(
    store: Store,
    encoder: str | None = None,
    device: str | None = None,
    *,
    trust_remote_code: bool = False,
) -> TopicEncoder:
    """The encoder of a store, for its topics.

    Parameters
    ----------
    store : Store
    encoder : str or None
        Another place of the same model.
    device : str or None
    trust_remote_code : bool
        Run the Python that comes with the model. Never taken from the store.

    Raises
    ------
    XqgError
        If it cannot be loaded, or is not the one that the store was encoded with.
    """
    topics = TopicEncoder(
        store.encoder.at(encoder), device=device, trust_remote_code=trust_remote_code
    )
    check_probes(topics, store.manifest["probes"], str(store.paths[0]))
    return topics


def parts_of(
    store: Store, languages: Sequence[str] | None = None, *, keep: bool = False
) -> Iterator[Part]:
    """The store as it is, block by block; the parameters are those of `Store.blocks`."""
    first = 0
    for block in store.blocks(languages, keep=keep):
        yield Part(np.arange(first, first + len(block.docids)), block)
        first += len(block.docids)


def retrieve(
    store: Store,
    parts: Iterable[Part],
    systems: Mapping[Name, System],
    topics: Sequence[Topic],
    vectors: Vectors,
    *,
    hits: int,
    centres: Mapping[str, Vectors] | None = None,
    maps: Maps | None = None,
) -> Iterator[tuple[Name, dict[str, list[Hit]]]]:
    """The best passages of every topic by the dot product, for every system.

    Memory holds a part, a part's fused vectors, and for every system and topic the best so far;
    with max-sim also a score for each passage of a part, topic and language.

    Parameters
    ----------
    store : Store
        For docids, which are read at the end and only of passages that are returned.
    parts : iterable of Part
        Every row of the store once, in any order, with the languages that the systems fold in, and
        with single queries where one of the systems is max-sim.
    systems : mapping of name to System
    topics : sequence of Topic
    vectors : array, shape (len(topics), d), float32
        From the query side of the store's encoder.
    hits : int
        Passages a topic; fewer if the store has fewer.
    centres : mapping of language to array, shape (d,), or None
        For fusions that centre.
    maps : Maps or None
        For fusions with a mu.

    Yields
    ------
    name, run
        In the order of `systems`; runs are made one at a time, because many would not fit.
    """
    from faiss import METRIC_INNER_PRODUCT, ResultHeap, knn

    hits = min(hits, store.passages)
    heaps = {name: ResultHeap(len(topics), hits, keep_max=True) for name in systems}
    asked = {name: _by_members(system.members, topics) for name, system in systems.items()}
    by_change: dict[Callable[[Part], Block] | None, list[Name]] = {}
    for name, system in systems.items():
        by_change.setdefault(system.change, []).append(name)
    with Progress(store.passages, "retrieving", aside=True) as bar:
        for part in parts:
            for change, names in by_change.items():
                block = part.block if change is None else change(part)
                single = BestOfBlock(block, vectors)
                predictions = None if maps is None else maps.predictions(block, folds_of_part(part))
                for name in names:
                    for members, of in asked[name].items():
                        route = members[0] if len(members) == 1 else FALLBACK
                        fusion = systems[name].fusion.of_route(route, members)
                        if fusion.method == MAX_SIM:
                            scores = single.scores(members, of, fusion.alpha or 0)
                            heaps[name].add_result_subset(of, scores, part.rows)
                            continue
                        fused = _fused(fusion, block, members, centres, predictions)
                        scores, found = knn(
                            vectors[of], fused, min(hits, len(fused)), metric=METRIC_INNER_PRODUCT
                        )
                        heaps[name].add_result_subset(of, scores, part.rows[found])
            bar.update(len(part.rows))
    returned: set[int] = set()
    for heap in heaps.values():
        heap.finalize()
        returned.update(heap.I.ravel().tolist())
    docids = docids_of(store, returned)
    for name, heap in heaps.items():
        yield (
            name,
            {
                topic.qid: [Hit(docids[row], score) for row, score in zip(of, scores, strict=True)]
                for topic, of, scores in zip(topics, heap.I.tolist(), heap.D.tolist(), strict=True)
            },
        )


def _by_members(members: Members, topics: Sequence[Topic]) -> dict[tuple[str, ...], list[int]]:
    """Numbers of topics by the languages folded in for them."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, topic in enumerate(topics):
        groups.setdefault(tuple(members(topic.language)), []).append(number)
    return groups


def folds_of_part(part: Part) -> NDArray[np.integer[Any]]:
    """The folds of a part's passages: by docid, or by row where the part has none."""
    return folds_of(part.block.docids) if part.block.docids else part.rows % FOLDS


def _fused(
    fusion: Fusion,
    block: Block,
    members: Sequence[str],
    centres: Mapping[str, Vectors] | None,
    predictions: Mapping[str, Vectors] | None,
) -> Vectors:
    """The vectors to search, with the queries of these languages alone."""
    return fusion.apply(
        block._replace(
            sums={code: block.sums[code] for code in members},
            counts={code: block.counts[code] for code in members},
        ),
        centres if fusion.centre else None,
        predictions and {code: predictions[code] for code in members},
    )
