"""Peak memory of the commands on a small and a ten times larger corpus: it must not grow.

Beside it, the CPU time a passage, and for reading and checking both inputs the table on disk. The
encoder is a BERT of one layer and few dimensions with random weights, so that what would grow
with the corpus is not hidden behind a large model. Every command runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from measure import Measured, measure

LANGUAGES = ("ar", "bn")
TOPICS, HITS, RETURNED = 500, 100, 5000
SHARDS = 2
ALLOWED = 1.10
SHAPE = {
    "hidden_size": 16,
    "num_attention_heads": 1,
    "intermediate_size": 16,
    "vocab_size": 600,
    "max_position_embeddings": 64,
}
READING, DRAWING = "read and check", "draw a sample"
#: MiB that SQLite keeps of its tables, which small ones do not fill.
KEPT = {READING: 16, DRAWING: 16 + 64}
WORDS = [first + second for first in "bdfgklmnprstvz" for second in ("a", "e", "i", "o", "u")]


def write_inputs(folder: Path, passages: int, each: int) -> None:
    """Passages, queries in each language for each of them, and a run with gold answers."""
    draw = random.Random(0)
    with open(folder / "corpus.jsonl", "w") as corpus, open(folder / "q.jsonl", "w") as queries:
        for number in range(passages):
            docid, text = f"passage-{number}", " ".join(draw.choices(WORDS, k=8))
            corpus.write(json.dumps({"docid": docid, "text": text}) + "\n")
            generated = {
                language: [" ".join(draw.choices(WORDS, k=12)) for _ in range(each)]
                for language in LANGUAGES
            }
            queries.write(json.dumps({"docid": docid, "generated_queries": generated}) + "\n")
    # As many different passages are returned from either corpus.
    returned = range(0, passages, max(1, passages // RETURNED))
    with open(folder / "run", "w") as run, open(folder / "gold.jsonl", "w") as gold:
        for topic in range(TOPICS):
            row = {"id": f"t{topic}", "answers": [draw.choice(WORDS)], "lang": LANGUAGES[topic % 2]}
            gold.write(json.dumps(row) + "\n")
            for rank, number in enumerate(draw.sample(returned, HITS), 1):
                run.write(f"t{topic} Q0 passage-{number} {rank} {1 / rank:.6f} x\n")


def make_small_model(words: Sequence[str]) -> None:
    """In a process of its own, so that this one stays small."""
    from bench_encode import make_model

    make_model(Path(words[0]), [" ".join(WORDS)], 1, **SHAPE)


def join(words: Sequence[str]) -> None:
    """Read and check both inputs, as every command that joins them does first."""
    from pyserini_xqg.collection.join import Join

    folder = Path(words[0])
    (folder / "joined").mkdir()
    Join(folder / "corpus.jsonl", [folder / "q.jsonl"], folder / "joined").close()


def draw(words: Sequence[str]) -> None:
    """Draw a tenth of the passages, as ``generate --sample 0.1`` does; reading them counts, too."""
    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.generate.selection import Selection

    folder = Path(words[0])
    (folder / "drawn").mkdir()
    with closing(Join(folder / "corpus.jsonl", [], folder / "drawn")) as corpus:
        Selection(corpus, folder / "drawn", sample=0.1)


def steps(folder: Path, model: Path, only_inputs: bool) -> Iterator[tuple[str, Measured]]:
    """Each command with what it took, the later ones on the output of the earlier."""
    yield READING, measure("bench_memory", [str(folder)], "join")
    yield DRAWING, measure("bench_memory", [str(folder)], "draw")
    if only_inputs:
        return

    def encode(name: str, *shard: str) -> Measured:
        return measure(
            "pyserini_xqg.encode",
            ["input", "--corpus", str(folder / "corpus.jsonl"), *shard,
             "output", "--embeddings", str(folder / name),
             "encoder", "--encoder", str(model), "--pooling", "cls", "--device", "cpu",
             "xqg", "--queries", str(folder / "q.jsonl")],
        )  # fmt: skip

    yield "encode", encode("whole")
    fusion = ["--method", "mean", "--alpha", "0.3"]
    index = ["--embeddings", str(folder / "whole"), "--output", str(folder / "index"), *fusion]
    yield "index", measure("pyserini_xqg.index", index)
    names = [f"shard-{number}" for number in range(SHARDS)]
    for number, name in enumerate(names):
        encode(name, "--shard-id", str(number), "--shard-num", str(SHARDS))
    shards = [str(folder / name) for name in names]
    merge = ["--embeddings", *shards, "--output", str(folder / "merged")]
    yield "merge", measure("pyserini_xqg.merge", merge)
    xor = ["--run", str(folder / "run"), "--corpus", str(folder / "corpus.jsonl"), "--gold",
           str(folder / "gold.jsonl"), "--tokenizer", "simple", "--allow-short"]  # fmt: skip
    yield "evaluate xor", measure("pyserini_xqg.evaluate.xor.command", xor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs=2, default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=1, help="a passage in each of two languages")
    parser.add_argument("--work", help="folder for what is made (1 GB at a million passages)")
    parser.add_argument(
        "--only-inputs", action="store_true", help="reading and drawing alone, without a model"
    )
    given = parser.parse_args()
    found: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory(dir=given.work) as work:
        model, table, inputs = Path(work, "model"), 0, 0
        if not given.only_inputs:
            measure("bench_memory", [str(model)], "make_small_model")
        for passages in given.passages:
            folder = Path(work, str(passages))
            folder.mkdir()
            write_inputs(folder, passages, given.queries)
            for name, measured in steps(folder, model, given.only_inputs):
                found.setdefault(name, []).append(measured)
                print(f"{passages:,} {name}: {measured.peak:.0f} MiB", file=sys.stderr)
            inputs = sum((folder / name).stat().st_size for name in ("corpus.jsonl", "q.jsonl"))
            table = sum(file.stat().st_size for file in (folder / "joined").iterdir())
            shutil.rmtree(folder)
    few, many = given.passages
    heads = f"{'growth':>9}{'seconds':>9}{'CPU, µs a passage':>20}"
    print(f"{'peak memory, MiB':<18}{few:>12,}{many:>12,}{heads}")
    grown = False
    for name, (small, large) in found.items():
        growth = large.peak / small.peak
        grows = large.peak > ALLOWED * small.peak + KEPT.get(name, 0)
        grown |= grows
        print(
            f"{name:<18}{small.peak:>12.0f}{large.peak:>12.0f}{growth:>8.2f}x{large.seconds:>9.0f}"
            f"{1e6 * large.cpu / many:>20.1f}"
            f"{'  GROWS' if grows else ''}"
        )
    print(
        f"{READING} left a table of {table / many:.0f} bytes a passage; {given.queries} queries in "
        f"each of {len(LANGUAGES)} languages, {inputs / many:.0f} bytes a passage of both inputs"
    )
    if grown:
        sys.exit(1)


if __name__ == "__main__":
    main()
