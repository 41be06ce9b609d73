"""Fuse and index made vectors as the published pipeline does it and as we do, in this one run.

The published way keeps every query's vector: a pickle of ``(n, d)`` float32 and docids for the
passages and for each query of each language, 36 in all. It loads one after the other, scales and
adds, writes a pickle, and builds a flat index from that. Ours reads an embedding store (a sum for
each language) and writes the flat index block by block. Every run is a process of its own; what
is made takes about 57 vectors a passage: 6 GB as it stands, 35 GB with ``--dimension 768``.

Beside them, from the same store: the mean of the queries, and the mean smoothed with ``--mu``. What
it costs over the plain one is a table of its own; ``--only-smoothing`` leaves the rest out.
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
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe, peaks, processor
from measure import Measured, measure

LANGUAGES = ("ar", "bn", "fi", "ja", "ko", "ru", "te")
QUERIES = 5  # a language
ALPHA = 0.01
SMOOTHING: dict[str, list[str]] = {"mean": [], "mean, mu 2": ["--mu", "2"]}
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


def write_store(path: Path, docids: list[str], passages: Any, sums: Any, dtype: str) -> None:
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
            count = np.full(len(docids[part]), QUERIES, dtype=np.int32)
            writer.append(
                Block(
                    docids[part],
                    passages[part],
                    {language: of[part] for language, of in sums.items()},
                    dict.fromkeys(LANGUAGES, count),
                )
            )
        writer.finish({"encoder": EncoderSpec("made").to_dict(), "probes": []})


def make_store(words: Sequence[str]) -> None:
    """A store in float32, and nothing else."""
    folder, passages, dimension = Path(words[0]), int(words[1]), int(words[2])
    random = np.random.default_rng(0)
    drawn = [random.standard_normal((passages, dimension), dtype=np.float32) for _ in range(8)]
    docids = [f"passage-{number}" for number in range(passages)]
    sums = dict(zip(LANGUAGES, drawn[1:], strict=True))
    write_store(folder / "float32", docids, drawn[0], sums, "float32")


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
    parser.add_argument("--only-smoothing", action="store_true", help="the second table alone")
    given = parser.parse_args()
    print(f"{processor()}, Python {platform.python_version()}; {describe(peaks(1))}")
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        work = Path(name)
        made = [name, str(given.passages), str(given.dimension)]
        measure("bench_index", made, "make_store" if given.only_smoothing else "make")
        plain: dict[str, list[Measured]] = {way: [] for way in SMOOTHING}
        for _ in range(given.repeat):
            for way, options in SMOOTHING.items():
                words = ["--embeddings", str(work / "float32"), "--output", str(work / "smoothing"),
                         "--overwrite", "--method", "mean", "--alpha", "0.3", *options]  # fmt: skip
                plain[way].append(measure("pyserini_xqg.index", words))
        report_smoothing(given, plain)
        if given.only_smoothing:
            return
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


def report_smoothing(given: argparse.Namespace, taken: dict[str, list[Measured]]) -> None:
    """What smoothing costs over the plain mean."""
    print(
        f"{given.passages:,} passages x {len(slots())} queries, {given.dimension} dimensions; "
        f"median of {given.repeat} interleaved repetitions"
    )
    heads = ("seconds", "more", "CPU s", "more", "peak MiB")
    print(f"{'':<16}" + "".join(f"{head:>11}" for head in heads))
    first: tuple[float, float] | None = None
    for way, of in taken.items():
        seconds, cpu = (
            statistics.median(getattr(one, name) for one in of) for name in ("seconds", "cpu")
        )
        first = first or (seconds, cpu)
        cells = (f"{seconds:.1f}", f"{seconds / first[0]:.2f}x", f"{cpu:.1f}",
                 f"{cpu / first[1]:.2f}x", f"{max(one.peak for one in of):.0f}")  # fmt: skip
        print(f"{way:<16}" + "".join(f"{cell:>11}" for cell in cells))


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
