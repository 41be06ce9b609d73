"""Fuse and index made vectors as the published pipeline does it and as we do, in this one run.

The published way keeps every query's vector: a pickle of ``(n, d)`` float32 and docids for the
passages and for each query of each language, 36 in all. It loads one after the other, scales and
adds, writes a pickle, and builds a flat index from that. Ours reads an embedding store (a sum for
each language) and writes the flat index block by block. Every run is a process of its own; what
is made takes about 57 vectors a passage: 6 GB as it stands, 35 GB with ``--dimension 768``.

Beside them: the mean of the queries, and the mean smoothed with ``--mu``, from stores whose queries
follow their passages by a map of each language. What it costs over the plain one is a table of its
own, with as many queries everywhere, and with 0 to 5 as a filter leaves them, in one index of all
languages and routed; ``--only-smoothing`` leaves the rest out.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe, peaks, processor
from measure import Measured, measure

LANGUAGES = ("ar", "bn", "fi", "ja", "ko", "ru", "te")
QUERIES = 5  # a language
ALPHA = 0.01
SMOOTHING: dict[str, list[str]] = {"mean": [], "mu 2": ["--mu", "2"]}
LAYOUTS = {"one index": "--no-routed", "routed": "--routed"}  # of all languages; one each, and it
COUNTS = {"5 a language": QUERIES, "0 to 5": 0}  # the fewest queries of a passage in a language
PASSES = {"float32": 1e-6, "float16": 1e-3}  # the greatest difference, as a part of the norm


def slots() -> list[tuple[str, int]]:
    return [(language, number) for language in LANGUAGES for number in range(QUERIES)]


def make(words: Sequence[str]) -> None:
    """The pickles, and of the same vectors a store in float32 and one in float16."""
    folder, passages, dimension = Path(words[0]), int(words[1]), int(words[2])
    docids = [f"passage-{number}" for number in range(passages)]
    random = np.random.default_rng(0)

    def drawn(name: str) -> Any:
        vectors = random.standard_normal((passages, dimension), dtype=np.float32)
        with open(folder / "pickles" / name, "wb") as file:
            pickle.dump((vectors, docids), file, protocol=4)
        return vectors

    (folder / "pickles").mkdir()
    of_passages, sums = drawn("passages.pkl"), {}
    for language, number in slots():
        vectors = drawn(f"{language}_{number}.pkl")
        sums[language] = vectors if not number else sums[language] + vectors
    for dtype in PASSES:
        write_store(folder / dtype, docids, of_passages, sums, dtype)


def write_store(
    path: Path, docids: list[str], passages: Any, sums: Any, dtype: str, counts: Any = None
) -> None:
    from pyserini_xqg.base.output import OutputFolder
    from pyserini_xqg.collection.shards import BLOCK
    from pyserini_xqg.encoder.spec import EncoderSpec
    from pyserini_xqg.store.block import Block
    from pyserini_xqg.store.store import MANIFEST
    from pyserini_xqg.store.writer import StoreWriter

    rows, dimension = passages.shape
    with OutputFolder(path, MANIFEST) as folder:
        writer = StoreWriter(
            folder, {}, rows=rows, dimension=dimension, languages=LANGUAGES, dtype=dtype
        )
        for start in range(0, rows, BLOCK):
            part = slice(start, start + BLOCK)
            equal = np.full(len(docids[part]), QUERIES, dtype=np.int32)
            writer.append(
                Block(
                    docids[part],
                    passages[part],
                    {language: of[part] for language, of in sums.items()},
                    {
                        language: equal if counts is None else counts[language][part]
                        for language in LANGUAGES
                    },
                )
            )
        writer.finish({"encoder": EncoderSpec("made", pooling="cls").to_dict(), "probes": []})


def make_smoothing(words: Sequence[str]) -> None:
    """A store for each of `COUNTS`, whose queries lie about a map of their language."""
    folder, passages, dimension, dtype = Path(words[0]), int(words[1]), int(words[2]), words[3]
    random = np.random.default_rng(0)

    def drawn(rows: int) -> Any:
        vectors = random.standard_normal((rows, dimension), dtype=np.float32)
        return vectors / np.sqrt(np.float32(dimension))

    of_passages, docids = drawn(passages), [f"passage-{number}" for number in range(passages)]
    means = {language: of_passages @ drawn(dimension) + drawn(passages) for language in LANGUAGES}
    for name, fewest in COUNTS.items():
        counts, sums = {}, {}
        for language, mean in means.items():
            counts[language] = random.integers(fewest, QUERIES + 1, passages).astype(np.int32)
            sums[language] = mean * counts[language][:, None].astype(np.float32)
        write_store(folder / name, docids, of_passages, sums, dtype, counts)


def published(words: Sequence[str]) -> None:
    """From 36 pickles to one, and from that to a flat index."""
    import faiss

    source, output = Path(words[0]), Path(words[1])
    vectors, docids = load(source / "passages.pkl")
    fused = (1 - ALPHA) * vectors
    for language, number in slots():
        vectors, ids = load(source / f"{language}_{number}.pkl")
        if ids != docids:
            raise ValueError(f"{language}_{number}.pkl: other docids")
        fused += ALPHA * vectors
    output.mkdir()
    with open(output / "fused.pkl", "wb") as file:
        pickle.dump((fused, docids), file, protocol=4)
    vectors, docids = load(output / "fused.pkl")
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    faiss.write_index(index, str(output / "index"))
    (output / "docid").write_text("".join(f"{docid}\n" for docid in docids))


def load(path: Path) -> Any:
    with open(path, "rb") as file:
        return pickle.load(file)  # of our own making


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def rows_of(path: Path) -> Iterator[Any]:
    """The vectors of a flat index, some at a time."""
    import faiss

    index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
    for start in range(0, index.ntotal, 4096):
        yield index.reconstruct_n(start, min(4096, index.ntotal - start))


def difference(one: Path, other: Path) -> float:
    """The greatest difference of two indexes' vectors, as a part of the vector's norm."""
    if (one / "docid").read_bytes() != (other / "docid").read_bytes():
        return float("inf")
    pairs = zip(rows_of(one / "index"), rows_of(other / "index"), strict=True)
    return max(
        float((np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)).max()) for a, b in pairs
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", help="folder for what is made")
    parser.add_argument("--only-smoothing", action="store_true", help="the first table alone")
    parser.add_argument("--dtype", default="float32", choices=PASSES, help="of that table's stores")
    given = parser.parse_args()
    print(f"{processor()}, Python {platform.python_version()}; {describe(peaks(1))}")
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        work = Path(name)
        made = [name, str(given.passages), str(given.dimension)]
        measure("bench_index", [*made, given.dtype], "make_smoothing")
        report_smoothing(given, work)
        if given.only_smoothing:
            return
        measure("bench_index", made, "make")
        sources = {
            "published": work / "pickles",
            "ours, float32": work / "float32",
            "ours, float16": work / "float16",
        }
        taken: dict[str, list[Measured]] = {way: [] for way in sources}
        for repetition in range(given.repeat):
            for way, source in sources.items():
                output = work / f"index of {source.name}"
                if way == "published":
                    remove(output)
                    taken[way].append(measure("bench_index", [str(source), str(output)], way))
                    continue
                words = ["--embeddings", str(source), "--output", str(output), "--overwrite",
                         "--method", "paper", "--alpha", str(ALPHA)]  # fmt: skip
                taken[way].append(measure("pyserini_xqg.index", words))
            print(f"repetition {repetition + 1} of {given.repeat}", file=sys.stderr)
        report(given, work, sources, taken)


def remove(output: Path) -> None:
    import shutil

    shutil.rmtree(output, ignore_errors=True)


def report_smoothing(given: argparse.Namespace, work: Path) -> None:
    """What smoothing costs over the plain mean."""
    taken: dict[tuple[str, str, str], list[Measured]] = {}
    for _ in range(given.repeat):
        for layout, counts, way in product(LAYOUTS, COUNTS, SMOOTHING):
            words = ["--embeddings", str(work / counts), "--output", str(work / "smoothing"),
                     "--overwrite", LAYOUTS[layout], "--method", "mean", "--alpha", "0.3",
                     *SMOOTHING[way]]  # fmt: skip
            of = measure("pyserini_xqg.index", words)
            taken.setdefault((layout, counts, way), []).append(of)
    print(
        f"{given.passages:,} passages x {len(LANGUAGES)} languages, {given.dimension} dimensions, "
        f"{given.dtype}; median of {given.repeat} interleaved repetitions"
    )
    heads = ("seconds", "more", "CPU s", "more", "peak MiB")
    print(f"{'layout, queries':<32}" + "".join(f"{head:>11}" for head in heads))
    for (layout, counts, way), of in taken.items():
        row, first = (
            [
                statistics.median(getattr(one, name) for one in each)
                for name in ("seconds", "cpu", "peak")
            ]
            for each in (of, taken[layout, counts, "mean"])
        )
        cells = (f"{row[0]:.1f}", f"{row[0] / first[0]:.2f}x", f"{row[1]:.2f}",
                 f"{row[1] / first[1]:.2f}x", f"{row[2]:.0f}")  # fmt: skip
        print(f"{f'{layout}, {counts}, {way}':<32}" + "".join(f"{cell:>11}" for cell in cells))


def report(
    given: argparse.Namespace,
    work: Path,
    sources: dict[str, Path],
    taken: dict[str, list[Measured]],
) -> None:
    print(
        f"{given.passages:,} passages x {len(slots())} queries, {given.dimension} dimensions; "
        f"{os.cpu_count()} cores, Python {platform.python_version()}; median of {given.repeat} "
        "interleaved repetitions"
    )
    before, base = size(sources["published"]), work / "index of pickles"
    seconds = {way: statistics.median(one.seconds for one in of) for way, of in taken.items()}
    cpu = {way: statistics.median(one.cpu for one in of) for way, of in taken.items()}
    heads = ("disk, GB", "less", "seconds", "less", "CPU s", "less", "peak MiB", "difference")
    print(f"{'':<16}" + "".join(f"{head:>11}" for head in heads))
    wrong = False
    for way, source in sources.items():
        peak = max(one.peak for one in taken[way])
        apart = difference(base, work / f"index of {source.name}")
        failed = apart > PASSES.get(source.name, 0)
        wrong |= failed
        cells = (
            f"{size(source) / 1e9:.3f}", f"{before / size(source):.1f}x",
            f"{seconds[way]:.1f}", f"{seconds['published'] / seconds[way]:.1f}x",
            f"{cpu[way]:.1f}", f"{cpu['published'] / cpu[way]:.1f}x",
            f"{peak:.0f}", f"{apart:.1e}{'  WRONG' if failed else ''}",
        )  # fmt: skip
        print(f"{way:<16}" + "".join(f"{cell:>11}" for cell in cells))
    straight = size(work / "index of float32")
    print(
        f"{'index alone':<16}{straight / 1e9:>11.3f}{before / straight:>10.1f}x  "
        "all that encode --to-faiss leaves"
    )
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
