"""Kill, starve and lock out every command that writes, and see that what it leaves is sound.

``python tools/fault_harness.py --kills 50`` runs encode, index (flat and routed) and merge on a
made corpus with the package's tiny encoder. Each is killed with SIGKILL at random points: every
other time at a line of the code that commits, drawn among all that an unbroken run executes, else
at a moment of its run time. Wherever a manifest stands, now or after the next resume, the folder
must hold the bytes of an unbroken run. Then the disk is full, then read-only: one clear line, and
a state that can be resumed. Exit status 1 if anything of this fails.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from killable_run import Run

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a forked process must find no thread pool
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

MANIFESTS = ("manifest.json", "xqg.json")
LANGUAGES = ("fi", "ru", "te")


def made_corpus(folder: Path, passages: int) -> None:
    """Passages of a few words, and up to two queries each in three languages."""
    draw = random.Random(0)
    parts = ["ka", "lo", "mi", "pu", "re", "su", "ta", "vo"]
    words = [first + second for first in parts for second in parts]
    with open(folder / "corpus.jsonl", "w") as corpus, open(folder / "q.jsonl", "w") as queries:
        for number in range(passages):
            text = " ".join(draw.choices(words, k=6))
            corpus.write(json.dumps({"docid": f"d{number}", "text": text}) + "\n")
            generated = {
                language: [" ".join(draw.choices(words, k=3)) for _ in range(draw.randrange(3))]
                for language in LANGUAGES
            }
            queries.write(
                json.dumps({"docid": f"d{number}", "generated_queries": generated}) + "\n"
            )


def commands(folder: Path) -> dict[str, tuple[str, list[str]]]:
    """By name the module and its arguments; OUT stands for the folder to make."""
    from pyserini_xqg.demo import TINY_ENCODER

    def encode(*output: str, xqg: tuple[str, ...] = ()) -> tuple[str, list[str]]:
        return "encode", [
            "input", "--corpus", str(folder / "corpus.jsonl"), *output,
            "encoder", "--encoder", str(TINY_ENCODER), "--device", "cpu", "--batch-size", "256",
            "xqg", "--queries", str(folder / "q.jsonl"), *xqg,
        ]  # fmt: skip

    def shard(number: int) -> tuple[str, list[str]]:
        return encode("--shard-id", str(number), "--shard-num", "2", "output", "--embeddings",
                      str(folder / f"s{number}"))  # fmt: skip

    fusion = ["--method", "mean", "--alpha", "0.3"]
    shards = [str(folder / f"s{number}") for number in (0, 1)]
    index = ["--embeddings", *shards, "--output", "OUT", *fusion]
    return {
        "shard 0": shard(0),
        "shard 1": shard(1),
        "encode": encode("output", "--embeddings", "OUT", xqg=("--keep-queries",)),
        "encode --to-faiss": encode(
            "output", "--embeddings", "OUT", "--to-faiss", xqg=tuple(fusion)
        ),
        "index": ("index", index),
        "index --routed": ("index", [*index, "--routed"]),
        "merge": ("merge", ["--embeddings", *shards, "--output", "OUT"]),
    }


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def torn(place: Path, whole: dict[str, bytes]) -> list[str]:
    """Folders under `place` with a manifest that do not hold all the bytes of the whole."""
    found = []
    for manifest in (path for name in MANIFESTS for path in place.rglob(name)):
        inside = Path(*manifest.relative_to(place).parent.parts[1:])
        inside = inside.with_name(inside.name.removesuffix(".partial")) if inside.name else inside
        here = files(manifest.parent)
        for name, content in whole.items():
            path = Path(name)
            if path.is_relative_to(inside) and here.get(str(path.relative_to(inside))) != content:
                found.append(f"{manifest.parent}: {path.name}")
    return found


def kill(
    command: tuple[str, list[str]], work: Path, kills: int, draw: random.Random
) -> Counter[str]:
    """Kill one command `kills` times, resuming in between; what was seen, in numbers."""
    said, seen = work / "said", Counter[str]()
    started = time.monotonic()
    run = Run(command, work / "whole", said, line=0)
    if run.wait():
        raise SystemExit(f"an unbroken run fails:\n{said.read_text()}")
    lines = int(said.read_text().rpartition("lines ")[2])
    Run(command, work / "timed", said).wait()  # again: the first one has filled the caches
    started = time.monotonic()
    shutil.rmtree(work / "timed")
    Run(command, work / "timed", said).wait()
    seconds = time.monotonic() - started
    whole = files(work / "whole")
    seen["differs"] += files(work / "timed") != whole
    place = work / "place"
    place.mkdir()
    out = place / "out"
    while seen["kills"] < kills:
        at_line = bool(seen["tries"] % 2)
        seen["tries"] += 1
        if at_line:
            status = Run(command, out, said, line=draw.randint(1, lines)).wait()
        else:
            status = Run(command, out, said).kill_after(draw.uniform(0, seconds))
        if status == -signal.SIGKILL:
            seen["kills"] += 1
            seen["at a line" if at_line else "by time"] += 1
            blocks = sum(log.read_bytes().count(b"\n") for log in place.rglob("blocks.jsonl"))
            seen["with blocks"] += blocks > 0 and not out.exists()
            seen["after the rename"] += out.exists()
        elif status != 0:
            seen["failed"] += 1
            print(said.read_text(), file=sys.stderr)
        for what in torn(place, whole):
            seen["torn"] += 1
            print(f"torn: {what}", file=sys.stderr)
        if out.exists() or draw.random() < 0.3:  # else the next kill strikes the same folder
            seen["resumed"] += _finish(command, place, said, whole, seen)
    seen["resumed"] += _finish(command, place, said, whole, seen)
    return seen


def _finish(
    command: tuple[str, list[str]], place: Path, said: Path, whole: dict[str, bytes],
    seen: Counter[str],
) -> int:  # fmt: skip
    """Let the command end, compare every byte, and clear the place for the next one."""
    out = place / "out"
    there = out.exists()
    status = Run(command, out, said).wait()
    if status != (2 if there else 0):  # a finished folder is refused, and cleared of leftovers
        seen["failed"] += 1
        print(said.read_text(), file=sys.stderr)
    if [path.name for path in place.iterdir() if path.name != "out.partial"] != ["out"]:
        seen["differs"] += 1
        print(f"beside the output: {sorted(place.iterdir())}", file=sys.stderr)
    found = files(out) if out.exists() else {}
    if found != whole:
        seen["differs"] += 1
        names = [name for name in {*found, *whole} if found.get(name) != whole.get(name)]
        print(f"other bytes: {sorted(names)}", file=sys.stderr)
    for path in place.iterdir():
        shutil.rmtree(path)
    return 1


def disk_full(
    command: tuple[str, list[str]], work: Path, draw: random.Random, sizes: int
) -> Counter[str]:
    """A file system too small for the output, at random sizes; then with room."""
    said, seen = work / "said", Counter[str]()
    whole = files(work / "whole")
    needed = sum(map(len, whole.values()))
    place = work / "small"
    place.mkdir()
    for _ in range(sizes):
        size = 4096 * max(2, int(draw.uniform(0.02, 0.95) * needed / 4096))
        with mounted(place, f"size={size}") as remount:
            status = Run(command, place / "out", said).wait()
            seen["full"] += 1
            seen["unclear"] += not _one_line(status, said)
            seen["torn"] += len(torn(place, whole))
            remount(f"size={4 * needed + (32 << 20)}")
            seen["failed"] += Run(command, place / "out", said).wait() != 0
            seen["differs"] += files(place / "out") != whole
    with mounted(place, "ro"):
        status = Run(command, place / "out", said).wait()
        seen["read-only"] += 1
        seen["unclear"] += not _one_line(status, said)
        seen["differs"] += bool(list(place.iterdir()))
    return seen


def _one_line(status: int, said: Path) -> bool:
    lines = said.read_text().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    clear = status == 2 and len(errors) == 1 and lines[-1] == errors[0]
    if not clear or "Traceback" in said.read_text():
        print(f"not one clear line (status {status}):\n{said.read_text()}", file=sys.stderr)
        return False
    return True


class mounted:  # noqa: N801 - a context manager
    """A small tmpfs."""

    def __init__(self, place: Path, options: str):
        self._place, self._options = place, options

    def __enter__(self) -> Callable[[str], None]:
        _mount("-t", "tmpfs", "-o", self._options, "tmpfs", str(self._place))
        return lambda options: _mount("-o", f"remount,{options}", str(self._place))

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self._place)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def why_no_mount(work: Path) -> str:
    """Empty where a tmpfs can be mounted."""
    place = work / "mount"
    place.mkdir()
    try:
        with mounted(place, "size=64k"):
            return ""
    except (OSError, subprocess.CalledProcessError) as error:
        return f"mounting a tmpfs is not allowed here ({type(error).__name__})"


def rows(work: Path, args: argparse.Namespace) -> Iterator[tuple[str, Counter[str], float]]:
    made = commands(work)
    for name in ("shard 0", "shard 1"):
        if Run(made.pop(name), work, work / "said").wait():
            raise SystemExit((work / "said").read_text())
    no_mount = why_no_mount(work)
    if no_mount:
        print(f"disk full and read-only: skipped, {no_mount}", file=sys.stderr)
    for name, command in made.items():
        if args.commands and name not in args.commands:
            continue
        folder = work / name.replace(" ", "")
        folder.mkdir()
        draw = random.Random(f"{args.seed} {name}")
        started = time.monotonic()
        seen = kill(command, folder, args.kills, draw)
        if not no_mount:
            seen.update(disk_full(command, folder, draw, args.sizes))
        yield name, seen, time.monotonic() - started
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--sizes", type=int, default=5, help="of a disk that is too small")
    parser.add_argument("--passages", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", help="these only")
    args = parser.parse_args()
    # Imported once, so that a fork starts at the work.
    import faiss  # noqa: F401
    import torch
    import transformers  # noqa: F401
    from transformers import AutoModel, AutoTokenizer  # noqa: F401

    import pyserini_xqg.encode
    import pyserini_xqg.index
    import pyserini_xqg.merge  # noqa: F401

    torch.set_num_threads(1)
    columns = ["kills", "at a line", "by time", "with blocks", "after the rename", "resumed",
               "full", "read-only"]  # fmt: skip
    faults = ["torn", "differs", "failed", "unclear"]
    header = ["command", *columns, *faults, "seconds"]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    bad = 0
    with tempfile.TemporaryDirectory() as work:
        made_corpus(Path(work), args.passages)
        for name, seen, seconds in rows(Path(work), args):
            cells = [name, *(str(seen[column]) for column in [*columns, *faults]), f"{seconds:.0f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
            bad += sum(seen[fault] for fault in faults)
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
