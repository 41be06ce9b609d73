"""What it takes to choose alpha and mu, on a small and a ten times larger store of made vectors.

Neither time nor memory of the choice may grow with the collection. The stores have the sample of
single queries that ``encode`` keeps of a large collection, 20,000 a language; half of the passages
have queries, which follow them by a map of their language. Beside it, the whole ``index`` command:
maps, choice, self-check and the routed index. Every run is a process of its own.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe, peaks
from measure import Measured, measure

LANGUAGES = ("ar", "bn")
DIMENSION, QUERIES = 128, 2  # queries of a passage in each language
MEMORY, TIME = 1.10, 1.5  # what may be more at ten times the passages


def make(words: Sequence[str]) -> None:
    """A store, a block at a time."""
    path, passages = Path(words[0]), int(words[1])
    from pyserini_xqg.base.output import OutputFolder
    from pyserini_xqg.collection.shards import BLOCK
    from pyserini_xqg.encoder.spec import EncoderSpec
    from pyserini_xqg.fusion import normalise
    from pyserini_xqg.store.block import Block
    from pyserini_xqg.store.sample import MOST, draw
    from pyserini_xqg.store.store import MANIFEST
    from pyserini_xqg.store.writer import StoreWriter

    random = np.random.default_rng(0)

    def drawn(rows: int) -> Any:
        vectors = random.standard_normal((rows, DIMENSION), dtype=np.float32)
        return vectors / np.sqrt(np.float32(DIMENSION))

    maps = {language: drawn(DIMENSION) for language in LANGUAGES}
    rates = dict.fromkeys(LANGUAGES, min(1.0, MOST / (passages // 2 * QUERIES)))
    with OutputFolder(path, MANIFEST) as folder:
        writer = StoreWriter(
            folder, {}, rows=passages, dimension=DIMENSION, languages=LANGUAGES, sample_rates=rates
        )
        for start in range(0, passages, BLOCK):
            rows = np.arange(start, min(start + BLOCK, passages))
            vectors, counts = normalise(drawn(len(rows))), (rows % 2 * QUERIES).astype(np.int32)
            queries, sums = {}, {}
            for language, of in maps.items():
                means = np.repeat(vectors + vectors @ of, counts, axis=0)
                queries[language] = normalise(means + 2 * drawn(len(means)))
                sums[language] = np.zeros_like(vectors)
                np.add.at(
                    sums[language], np.repeat(np.arange(len(rows)), counts), queries[language]
                )
            docids = [f"passage-{row}" for row in rows]
            block = Block(docids, vectors, sums, dict.fromkeys(LANGUAGES, counts), queries)
            writer.append(block._replace(sample=draw(block, rates)))
        spec = EncoderSpec("made", l2_norm=True).to_dict()
        writer.finish({"encoder": spec, "probes": []})


def choose(words: Sequence[str]) -> None:
    """What ``index`` does before it builds, maps included."""
    from pyserini_xqg.index.auto import OPEN, complete
    from pyserini_xqg.store.store import Store

    complete(Store(words[0]), OPEN, routed=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs=2, default=[100_000, 1_000_000])
    parser.add_argument("--work", help="folder for what is made (4 GB at a million passages)")
    given = parser.parse_args()
    print(describe(peaks(1)))
    taken: dict[str, list[Measured]] = {"choice": [], "index": []}
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        for passages in given.passages:
            store, index = Path(work, "store"), Path(work, "index")
            measure("bench_choice", [str(store), str(passages)], "make")
            taken["choice"].append(measure("bench_choice", [str(store)], "choose"))
            words = ["--embeddings", str(store), "--output", str(index)]
            taken["index"].append(measure("pyserini_xqg.index", words))
            shutil.rmtree(store)
            shutil.rmtree(index)
    print(f"{len(LANGUAGES)} languages, {DIMENSION} dimensions, half of the passages with queries")
    heads = ("seconds", "CPU s", "peak MiB")
    columns = [f"{passages:,} {head}" for head in heads for passages in given.passages]
    print(f"{'':<8}" + "".join(f"{head:>20}" for head in columns) + f"{'CPU':>8}{'memory':>8}")
    for name, (small, large) in taken.items():
        cells = [f"{value:.1f}" for pair in zip(small, large, strict=True) for value in pair]
        longer, more = large.cpu / small.cpu, large.peak / small.peak
        print(
            f"{name:<8}"
            + "".join(f"{cell:>20}" for cell in cells)
            + f"{longer:>7.2f}x{more:>7.2f}x"
        )
    small, large = taken["choice"]
    if large.cpu > TIME * small.cpu or any(b.peak > MEMORY * a.peak for a, b in taken.values()):
        print("GROWS")
        sys.exit(1)


if __name__ == "__main__":
    main()
