"""Judgments where there are none: generated queries that are taken out before indexes are built.

Of some passages one query a language is taken out; of others all, so that they are passages
without queries. What was taken out are topics for the passage that it was generated from. What is
left is a store, without encoding again, and a file of queries: both sides of a hybrid are built
from it, and neither has seen the topics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.files import written_whole
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.judged import Collection, halves, read_collection
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.index.own_topics import read_samples
from pyserini_xqg.store.rows import docids_of, read_docids, take_rows
from pyserini_xqg.store.sample import Sample
from pyserini_xqg.store.store import MANIFEST, Store
from pyserini_xqg.store.writer import StoreWriter

#: Scores by topic.
ByTopic = Mapping[str, float]


class Asked(NamedTuple):
    """Topics to ask of one store.

    Attributes
    ----------
    collection : Collection
    vectors : array, shape (topics, d), float32
        In the order of the collection's topics.
    with_queries : dict of str to bool
        By topic: whether a passage that it asks for has generated queries.
    """

    collection: Collection
    vectors: NDArray[np.float32]
    with_queries: dict[str, bool]

    def only(self, part: Collection) -> Asked:
        """Those of a part of the collection."""
        place = {qid: row for row, qid in enumerate(self.collection.topics)}
        rows = [place[qid] for qid in part.topics]
        return Asked(part, self.vectors[rows], {qid: self.with_queries[qid] for qid in part.topics})

    def halved(self) -> tuple[Asked, Asked]:
        """A dev and a test half; topics on one passage stay together."""
        dev, test = halves(self.collection)
        return self.only(dev), self.only(test)


def judged(topics: str | Path, qrels: str | Path, store: Store, encoder: Encoder) -> Asked:
    """Topics of a file, encoded.

    Raises
    ------
    XqgError
        For topics and qrels that cannot be read.
    """
    collection = read_collection(topics, qrels)
    vectors = encoder.encode_queries([topic.text for topic in collection.topics.values()])
    wanted = {d for of in collection.qrels.values() for d, grade in of.items() if grade > 0}
    rows = {docid: row for row, docid in enumerate(read_docids(store)) if docid in wanted}
    having: set[str] = set()
    if rows:
        counts = take_rows(store, np.array(list(rows.values())), store.languages).counts
        any_language = np.sum(list(counts.values()), axis=0) > 0
        having = {docid for docid, has in zip(rows, any_language.tolist(), strict=True) if has}
    return Asked(
        collection,
        vectors,
        {
            qid: any(docid in having for docid, grade in of.items() if grade > 0)
            for qid, of in collection.qrels.items()
        },
    )


# Passages of each kind in a round, and passages with queries below which there are more rounds.
_PASSAGES, _FEW, _ROUNDS = 300, 1_000, 5


class Taken(NamedTuple):
    """What is taken out.

    Attributes
    ----------
    places : dict of (language, row) to list of int
        The numbers of a passage's queries in a language that go.
    topics : list of (language, row, int)
        Those of them that are topics.
    """

    places: dict[tuple[str, int], list[int]]
    topics: list[tuple[str, int, int]]


class Round(NamedTuple):
    """A store and a file of queries without those that are asked."""

    store: Path
    queries: Path
    asked: Asked


def rounds_of(samples: dict[str, Sample]) -> int:
    """How many rounds tell enough of passages that lose all their queries."""
    having = np.unique(np.concatenate([sample.rows for sample in samples.values()]))
    return _ROUNDS if len(having) < _FEW else 1


def draw(samples: dict[str, Sample], number: int, rounds: int, seed: int = 0) -> Taken:
    """What goes in one round.

    Parameters
    ----------
    samples : dict of language to Sample
    number, rounds : int
        Other passages lose all their queries in each round; single queries go in the first.
    seed : int
    """
    having = np.unique(np.concatenate([sample.rows for sample in samples.values()]))
    order = np.random.default_rng(seed).permutation(having)
    part = max(len(order) // max(rounds, 2), 1)
    emptied = order[number * part : (number + 1) * part][:_PASSAGES]
    single = np.setdiff1d(order, emptied, assume_unique=True)[: 0 if number else _PASSAGES]
    rng = np.random.default_rng((seed, number))
    places: dict[tuple[str, int], list[int]] = {}
    topics = []
    for rows, whole in ((emptied, True), (single, False)):
        for row in np.sort(np.asarray(rows, np.int64)).tolist():
            number_of_one = int(rng.integers(1 << 30))  # the same in all languages: translations
            for code, sample in samples.items():
                start, stop = np.searchsorted(sample.rows, (row, row + 1)).tolist()
                count = stop - start
                if count < (1 if whole else 2):
                    continue
                one = number_of_one % count
                places[code, row] = list(range(count)) if whole else [one]
                topics.append((code, row, one))
    return Taken(places, topics)


def take_out(store: Store, join: Join, folder: Path, number: int, rounds: int) -> Round:
    """Write what is left of a store and its queries in one round.

    Parameters
    ----------
    store : Store
    join : Join
        Of the corpus and the queries that the store was made from.
    folder : Path
        For both; what is whole there is kept.
    number, rounds : int
    """
    samples = read_samples(store, store.languages)
    taken = draw(samples, number, rounds)
    folder.mkdir(parents=True, exist_ok=True)
    left, queries = folder / "store", folder / "queries.jsonl"
    if not queries.exists():
        _write_queries(join, queries, taken)
    if not left.exists():
        _write_store(store, left, samples, taken)
    return Round(left, queries, _asked(store, join, samples, taken, number))


def _asked(
    store: Store, join: Join, samples: dict[str, Sample], taken: Taken, number: int
) -> Asked:
    docids = docids_of(store, {row for _, row, _ in taken.topics})
    topics, qrels, clusters, having = {}, {}, {}, {}
    vectors = np.zeros((len(taken.topics), store.dimension), np.float32)
    for place, (code, row, one) in enumerate(taken.topics):
        qid, docid = f"{number}-{code}-{row}", docids[row]
        text = join.queries_of([docid])[0][code][one]
        topics[qid] = Topic(qid, text, code)
        qrels[qid], clusters[qid] = {docid: 1}, docid
        having[qid] = len(taken.places[code, row]) < _count(samples[code], row)
        vectors[place] = samples[code].vectors[np.searchsorted(samples[code].rows, row) + one]
    return Asked(Collection(topics, qrels, clusters), vectors, having)


def _count(sample: Sample, row: int) -> int:
    start, stop = np.searchsorted(sample.rows, (row, row + 1)).tolist()
    return int(stop - start)


def _write_queries(join: Join, path: Path, taken: Taken) -> None:
    with written_whole(path) as file:
        for start in range(0, join.passages, BLOCK):
            passages = list(join.read_passages(start, min(start + BLOCK, join.passages)))
            docids = [passage.docid for passage in passages]
            for offset, (docid, of) in enumerate(zip(docids, join.queries_of(docids), strict=True)):
                rest = {
                    code: [
                        text
                        for number, text in enumerate(texts)
                        if number not in taken.places.get((code, start + offset), ())
                    ]
                    for code, texts in of.items()
                }
                row = {"docid": docid, "generated_queries": rest}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_store(store: Store, path: Path, samples: dict[str, Sample], taken: Taken) -> None:
    by_row: dict[int, list[str]] = {}
    for code, row in taken.places:
        by_row.setdefault(row, []).append(code)
    facts = {name: store.manifest[name] for name in ("encoder", "probes", "fields", "batch_size")}
    with OutputFolder(path, MANIFEST) as folder:
        folder.discard()
        writer = StoreWriter(
            folder, {}, rows=store.passages, dimension=store.dimension, languages=store.languages,
            dtype=store.manifest["dtype"],
        )  # fmt: skip
        first = 0
        for block in store.blocks():
            for row in range(first, first + len(block.docids)):
                for code in by_row.get(row, ()):
                    gone = _vectors(samples[code], row, taken.places[code, row])
                    block.counts[code][row - first] -= len(gone)
                    empty = not block.counts[code][row - first]
                    block.sums[code] = block.sums[code].copy()
                    block.sums[code][row - first] -= (
                        block.sums[code][row - first] if empty else (gone.sum(axis=0))
                    )
            writer.append(block)
            first += len(block.docids)
        writer.finish({**facts, "shard": [0, 1], "inputs": {"left of": store.digest}})


def _vectors(sample: Sample, row: int, places: Sequence[int]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = sample.vectors[
        np.searchsorted(sample.rows, row) + np.asarray(places, np.int64)
    ]
    return found
