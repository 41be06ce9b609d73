"""Kill, starve and lock out every command that writes, and see that what it leaves is sound.

``python tools/fault_harness.py --kills 50`` runs encode, index (FAISS, routed, with settings that
it chooses, Parquet, Lucene), merge, generate, filter and advise on a made corpus with small models.
Each is killed with SIGKILL at random points: every other time at a line of the code that commits,
drawn among all that an unbroken run executes, else at a moment of its run time. Wherever a manifest
stands, now or after the next resume, the folder must hold the bytes of an unbroken run (Lucene's
own are random in part: its index must find the same hits). Then the disk is full, then read-only:
one clear line, and a state that can be resumed. Exit status 1 if anything of this fails.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from fault_commands import Command, commands, made_corpus, made_generator
from killable_run import Run

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a forked process must find no thread pool
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

MANIFESTS = ("manifest.json", "xqg.json")
LUCENE = ("_", "segments", "write.lock")


def files(made: Path, out: Path | None = None) -> dict[str, bytes]:
    """The bytes that must agree: of a file, or of a folder's files but Lucene's own.

    Where they name what is made, by default the folder itself, they are taken for the same.
    """
    if made.is_file():
        return {".": made.read_bytes()}
    return {
        str(path.relative_to(made)): path.read_bytes().replace(bytes(out or made), b"OUT")
        for path in sorted(made.rglob("*"))
        if path.is_file() and not path.name.startswith(LUCENE)
    }


def hits(command: Command, made: Path, said: Path) -> bytes:
    """What the topics find, where the command has some."""
    if not command.topics:
        return b""
    run = said.with_name("run")
    search = ["--index", "OUT", "--topics", command.topics, "--output", str(run), "--overwrite"]
    if Run(Command("search", search), made, said).wait():
        raise SystemExit(f"what was made cannot be searched:\n{said.read_text()}")
    return run.read_bytes()


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def torn(place: Path, whole: dict[str, bytes]) -> list[str]:
    """What seems whole under `place`, a file or a folder with a manifest, and has other bytes."""
    out = place / "out"
    found = [str(out)] if out.is_file() and files(out) != whole else []
    for manifest in (path for name in MANIFESTS for path in place.rglob(name)):
        inside = Path(*manifest.relative_to(place).parent.parts[1:])
        inside = inside.with_name(inside.name.removesuffix(".partial")) if inside.name else inside
        here = files(manifest.parent, out)
        for name, content in whole.items():
            path = Path(name)
            if path.is_relative_to(inside) and here.get(str(path.relative_to(inside))) != content:
                found.append(f"{manifest.parent}: {path.name}")
    return found


def kill(command: Command, work: Path, kills: int, draw: random.Random) -> Counter[str]:
    """Kill one command `kills` times, resuming in between; what was seen, in numbers."""
    said, seen = work / "said", Counter[str]()
    started = time.monotonic()
    run = Run(command, work / "whole", said, line=0)
    if run.wait():
        raise SystemExit(f"an unbroken run fails:\n{said.read_text()}")
    lines = int(said.read_text().rpartition("lines ")[2])
    Run(command, work / "timed", said).wait()  # again: the first one has filled the caches
    started = time.monotonic()
    remove(work / "timed")
    Run(command, work / "timed", said).wait()
    seconds = time.monotonic() - started
    whole = files(work / "whole")
    found = hits(command, work / "whole", said)
    seen["differs"] += files(work / "timed") != whole
    seen["differs"] += hits(command, work / "timed", said) != found
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
            blocks += sum(path.suffix != ".partial" for path in place.rglob("part-*"))
            whole_now = out.exists() and not command.again
            seen["with blocks"] += blocks > 0 and not whole_now
            seen["after the rename"] += whole_now
        elif status != 0:
            seen["failed"] += 1
            print(said.read_text(), file=sys.stderr)
        for what in torn(place, whole):
            seen["torn"] += 1
            print(f"torn: {what}", file=sys.stderr)
        if (
            out.exists() and not command.again
        ) or draw.random() < 0.3:  # else the next kill strikes the same folder
            seen["resumed"] += _finish(command, place, said, whole, found, seen)
    seen["resumed"] += _finish(command, place, said, whole, found, seen)
    return seen


def _finish(
    command: Command, place: Path, said: Path, whole: dict[str, bytes], found: bytes,
    seen: Counter[str],
) -> int:  # fmt: skip
    """Let the command end, compare every byte, and clear the place for the next one."""
    out = place / "out"
    there = out.exists() and not command.again
    status = Run(command, out, said).wait()
    if status != (2 if there else 0):  # a finished folder is refused, and cleared of leftovers
        seen["failed"] += 1
        print(said.read_text(), file=sys.stderr)
    if [path.name for path in place.iterdir() if path.name != "out.partial"] != ["out"]:
        seen["differs"] += 1
        print(f"beside the output: {sorted(place.iterdir())}", file=sys.stderr)
    here = files(out) if out.exists() else {}
    if here != whole or hits(command, out, said) != found:
        seen["differs"] += 1
        names = [name for name in {*here, *whole} if here.get(name) != whole.get(name)]
        print(f"other bytes: {sorted(names) or 'hits'}", file=sys.stderr)
    for path in place.iterdir():
        remove(path)
    return 1


def disk_full(command: Command, work: Path, draw: random.Random, sizes: int) -> Counter[str]:
    """A file system too small for the output, at random sizes; then with room."""
    said, seen = work / "said", Counter[str]()
    whole = files(work / "whole")
    made = work / "whole"
    needed = sum(path.stat().st_size for path in [made, *made.rglob("*")] if path.is_file())
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
    names = args.commands or [*made]
    kills = args.kills * len(names) if len(args.kills) == 1 else args.kills
    for name, number in zip(names, kills, strict=True):
        command = made[name]
        folder = work / name.replace(" ", "")
        folder.mkdir()
        draw = random.Random(f"{args.seed} {name}")
        started = time.monotonic()
        seen = kill(command, folder, number, draw)
        if not no_mount:
            seen.update(disk_full(command, folder, draw, args.sizes))
        yield name, seen, time.monotonic() - started
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, nargs="+", default=[50],
                        help="of every command, or a number for each of --commands")  # fmt: skip
    parser.add_argument("--sizes", type=int, default=5, help="of a disk that is too small")
    parser.add_argument("--passages", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="+", help="these only")
    args = parser.parse_args()
    # Imported once, so that a fork starts at the work.
    import faiss  # noqa: F401
    import torch
    import tqdm
    import transformers  # noqa: F401
    from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer  # noqa: F401

    import pyserini_xqg.encode.corpus
    import pyserini_xqg.filter.__main__
    import pyserini_xqg.generate.__main__
    import pyserini_xqg.index.build
    import pyserini_xqg.merge  # noqa: F401
    from pyserini_xqg.index import export

    # By default bars share a lock between processes: one killed with it in hand would stop us all.
    tqdm.tqdm.set_lock(threading.RLock())
    tqdm.tqdm.monitor_interval = 0  # no thread in a process that forks
    torch.set_num_threads(1)
    export.PART = 1  # block, so that the made corpus has several parts
    columns = ["kills", "at a line", "by time", "with blocks", "after the rename", "resumed",
               "full", "read-only"]  # fmt: skip
    faults = ["torn", "differs", "failed", "unclear"]
    header = ["command", *columns, *faults, "seconds"]
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    bad = 0
    with tempfile.TemporaryDirectory() as work:
        made_corpus(Path(work), args.passages)
        made_generator(Path(work, "generator"))
        for name, seen, seconds in rows(Path(work), args):
            cells = [name, *(str(seen[column]) for column in [*columns, *faults]), f"{seconds:.0f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
            bad += sum(seen[fault] for fault in faults)
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
