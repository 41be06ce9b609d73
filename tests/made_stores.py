"""Embedding stores with vectors made by hand, and subjects to ask of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.collection.judged import Collection, clusters_of
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.evaluate.from_store.subject import Subject
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.sample import draw
from pyserini_xqg.store.store import Store
from pyserini_xqg.store.writer import StoreWriter


def write_store(
    path: Path,
    passages: Sequence[Sequence[float]],
    queries: Mapping[str, Sequence[Sequence[Sequence[float]]]],
    *,
    keep: bool = False,
    rate: float | None = 1.0,
    shard: int = 0,
    first: int = 0,
) -> Path:
    """A store of passages ``p<first>`` and so on; `queries` are each passage's, by language.

    `rate` is that of the sample; None keeps none.
    """
    vectors = np.array(passages, dtype=np.float32)
    rates = dict.fromkeys(sorted(queries), rate) if rate else {}
    with OutputFolder(path, "manifest.json") as folder:
        writer = StoreWriter(folder, {}, rows=len(vectors), dimension=vectors.shape[1],
                             languages=sorted(queries), keep_queries=keep,
                             sample_rates=rates)  # fmt: skip
        for start in range(0, len(vectors), BLOCK):
            rows = range(start, min(start + BLOCK, len(vectors)))
            of = {
                code: [np.array(queries[code][row], np.float32).reshape(-1, vectors.shape[1])
                       for row in rows]
                for code in sorted(queries)
            }  # fmt: skip
            block = Block(
                [f"p{first + row}" for row in rows],
                vectors[rows.start : rows.stop],
                {code: np.array([q.sum(axis=0) for q in qs]) for code, qs in of.items()},
                {code: np.array([len(q) for q in qs], np.int32) for code, qs in of.items()},
                {code: np.concatenate(qs) for code, qs in of.items()},
            )
            writer.append(block._replace(sample=draw(block, rates)))
        writer.finish(
            {
                "encoder": EncoderSpec("m", pooling="cls").to_dict(),
                "shard": [shard, 2],
                "inputs": {},
                "probes": [],
            }
        )
    return path


def random_shards(
    folder: Path,
    sizes: Sequence[int],
    *,
    d: int = 4,
    keep: bool = False,
    rate: float | None = 1.0,
) -> Store:
    """Shards of random vectors with none to three queries in ``ar`` and ``te``."""
    rng = np.random.default_rng(3)
    paths, first = [], 0
    for shard, size in enumerate(sizes):
        queries = {
            code: [rng.normal(size=(rng.integers(4), d)) for _ in range(size)]
            for code in ("ar", "te")
        }
        passages = rng.normal(size=(size, d))
        paths.append(
            write_store(
                folder / f"s{shard}",
                passages,
                queries,
                keep=keep,
                rate=rate,
                shard=shard,
                first=first,
            )
        )
        first += size
    return Store(paths)


def make_subject(
    store: Store,
    topics: Sequence[tuple[str, str, Sequence[float], str]],
    languages: Sequence[str] | None = None,
) -> Subject:
    """Topics as id, language, vector and the docid that they ask for."""
    qrels = {qid: {docid: 1} for qid, _, _, docid in topics}
    asked = {qid: Topic(qid, qid, language) for qid, language, _, _ in topics}
    collection = Collection(asked, qrels, clusters_of(qrels))
    vectors = np.array([vector for _, _, vector, _ in topics], dtype=np.float32)
    return Subject(store, languages or store.languages, collection, vectors, list(collection.by()))
