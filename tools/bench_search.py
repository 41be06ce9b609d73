"""Search a batch of topics through our searcher and through stock Pyserini's, in this one run.

Stock Pyserini's `FaissSearcher` with `AutoQueryEncoder` encodes topic by topic; ours encodes them
together, by length. The model is that of ``bench_encode.py``: multilingual BERT's shape with random
weights. The index holds made vectors. Encoding and search are timed together, and both must give
the same hits.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from bench_encode import make_model, read_questions
from machine import describe, peaks, processor

LENGTH = 256  # tokens of a topic, as stock Pyserini cuts it
CLOSE = 1e-4  # relative difference of scores under which two hits may change places

Search = Callable[[Sequence[str]], list[list[Any]]]


def make_index(path: Path, model: Path, passages: int) -> None:
    from pyserini_xqg.base.output import OutputFolder
    from pyserini_xqg.collection.shards import BLOCK
    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.probes import make_probes
    from pyserini_xqg.encoder.spec import EncoderSpec
    from pyserini_xqg.index.flat import FlatIndexWriter
    from pyserini_xqg.index.manifest import MANIFEST, index_manifest
    from pyserini_xqg.index.settings import Fusion

    encoder = Encoder(EncoderSpec(str(model), pooling="cls", query_max_length=LENGTH), device="cpu")
    draw = np.random.default_rng(0)
    with OutputFolder(path, MANIFEST) as folder:
        writer = FlatIndexWriter(folder, {}, encoder.dimension)
        for start in range(0, passages, BLOCK):
            docids = [f"d{number}" for number in range(start, min(start + BLOCK, passages))]
            shape = (len(docids), encoder.dimension)
            writer.append(docids, draw.standard_normal(shape, dtype=np.float32))
        writer.finish(
            index_manifest(
                kind="faiss",
                type="flat",
                fusion=Fusion(),
                queries={},
                encoder=encoder.spec.to_dict(),
                probes=make_probes(encoder, {"und": "a"}),
                passages=passages,
                dimension=encoder.dimension,
            )
        )


def ways(index: Path, model: Path, hits: int, threads: int) -> dict[str, Search]:
    import torch

    from pyserini_xqg.base.java import prepare
    from pyserini_xqg.collection.topics import Topic
    from pyserini_xqg.search.searcher import open_searcher, search_topics

    prepare()
    from pyserini.encode import AutoQueryEncoder
    from pyserini.search.faiss import FaissSearcher

    torch.set_num_threads(threads)
    stock = FaissSearcher(
        str(index), AutoQueryEncoder(str(model), device="cpu", pooling="cls", l2_norm=False)
    )
    ours = open_searcher(index, device="cpu")

    def one_by_one(texts: Sequence[str]) -> list[list[Any]]:
        qids = [str(number) for number in range(len(texts))]
        found = stock.batch_search(list(texts), qids, k=hits, threads=threads)
        return [found[qid] for qid in qids]

    def together(texts: Sequence[str]) -> list[list[Any]]:
        topics = [Topic(str(number), text, "") for number, text in enumerate(texts)]
        found = search_topics(ours, topics, hits=hits, batch_size=len(topics), threads=threads)
        return [of_topic for _, of_topic in found]

    return {"Pyserini, topic by topic": one_by_one, "ours": together}


def same(one: list[list[Any]], other: list[list[Any]]) -> int:
    """Topics with the same hits and scores, but for those at the end that all but tie."""
    count = 0
    for pair in zip(one, other, strict=True):
        scores = [np.array([hit.score for hit in hits]) for hits in pair]
        near = CLOSE * np.abs(scores[0]).max()
        docids = [{hit.docid for hit in hits} for hits in pair]
        clear = [{hit.docid for hit in hits if hit.score > hits[-1].score + near} for hits in pair]
        count += bool(
            np.allclose(*scores, rtol=0, atol=near)
            and clear[0] <= docids[1]
            and clear[1] <= docids[0]
        )
    return count


def main() -> None:
    questions = read_questions(given.data)
    draw = random.Random(0)
    texts = draw.sample(questions, min(given.topics, len(questions)))
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        model, index = Path(work, "model"), Path(work, "index")
        make_model(model, questions, given.layers)
        make_index(index, model, given.passages)
        table = ways(index, model, given.hits, given.threads)
        found = {name: search(texts[:2]) for name, search in table.items()}  # warms up
        taken: dict[str, list[float]] = {name: [] for name in table}
        for _ in range(given.repeat):
            for name, search in table.items():
                began = given.clock()
                found[name] = search(texts)
                taken[name].append(given.clock() - began)
    print(
        f"{len(texts)} topics, {given.hits} hits each, {given.passages:,} passages; "
        f"{given.layers} layers"
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "pyserini", "faiss-cpu"))
    print(
        f"{processor()}, {given.threads} thread(s); Python {platform.python_version()}, {libraries}"
    )
    seconds = {name: statistics.median(of) for name, of in taken.items()}
    stock, ours = table
    print(describe(peaks(given.threads)))
    what = "CPU seconds" if given.clock is time.process_time else "seconds"
    for name, took in seconds.items():
        print(f"{name:<26}{took:>8.1f} {what}{seconds[stock] / took:>8.2f}x")
    alike = same(found[stock], found[ours])
    print(f"same hits for {alike} of {len(texts)} topics")
    if alike < len(texts):
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder of XOR-TyDi QA with question_translations.tsv")
    parser.add_argument("--topics", type=int, default=1000)
    parser.add_argument("--passages", type=int, default=20_000)
    parser.add_argument("--hits", type=int, default=100)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--work", help="folder for the model and the index (1 GB while it runs)")
    parser.add_argument(
        "--cpu-time",
        dest="clock",
        action="store_const",
        const=time.process_time,
        default=time.perf_counter,
        help="count CPU seconds, for a machine that is busy with other things; take --threads 1",
    )
    given = parser.parse_args()
    main()
