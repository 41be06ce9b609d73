"""Fuzz the readers of files, with inputs led by the branches of our code that they reach.

It needs atheris, which nothing else does and which exists for Linux: ``pip install atheris``. Then
``python tools/fuzz_readers.py`` tries 100,000 inputs over all the readers, in some minutes. It ends
with status 0, or at the first input that breaks a reader: with a traceback, status 77, and the
input as ``crash-...`` in the working folder. ``python tools/fuzz_readers.py crash-...`` tries that
one again.

Whatever bytes a file holds, a reader must give its rows, or an error of ours that begins with the
file's name, and leave nothing beside the file. The first byte of an input picks the reader; the
rest is the file. The first inputs are rows of the small collection that comes with the package.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pyserini_xqg"]):
    from pyserini_xqg.base.errors import XqgError
    from pyserini_xqg.base.files import read_lines
    from pyserini_xqg.collection.judged import read_qrels
    from pyserini_xqg.collection.records import (
        PassageFormat,
        parse_passage,
        parse_queries,
        parse_tsv_passage,
    )
    from pyserini_xqg.collection.runs import read_run
    from pyserini_xqg.collection.topics import read_topics
    from pyserini_xqg.evaluate.xor.predictions import read_gold


def each_line(parse: Callable[[bytes, str], object], path: Path) -> None:
    for line in read_lines(path):
        parse(line.content, f"{path}:{line.number}")


READERS: dict[str, Callable[[Path], object]] = {
    "corpus.jsonl": partial(each_line, partial(parse_passage, form=PassageFormat())),
    "corpus.tsv": partial(each_line, parse_tsv_passage),
    "queries.jsonl": partial(each_line, parse_queries),
    "topics.dev.jsonl": read_topics,
    "topics.dev.tsv": read_topics,
    "qrels.dev.txt": read_qrels,
    "gold.dev.jsonl": read_gold,
    "a.run": read_run,
}
#: What the collection has no file for.
SEEDS = {
    "corpus.tsv": b"id\ttext\ttitle\n1\ta text\ta title\n",
    "a.run": b"te-1 Q0 d1 1 0.5 tag\nte-1 d2 0.25\n",
}


def write_seeds(folder: Path) -> None:
    """The first two rows of each file, after the number of its reader."""
    folder.mkdir()
    mini = files("pyserini_xqg") / "demo" / "xqg-mini"
    for number, name in enumerate(READERS):
        rows = SEEDS.get(name) or b"".join((mini / name).read_bytes().splitlines(True)[:2])
        (folder / name).write_bytes(bytes([number]) + rows)


def try_one(work: Path, data: bytes) -> None:
    """Read one input; whatever this raises is a defect."""
    if not data:
        return
    name, read = list(READERS.items())[data[0] % len(READERS)]
    path = work / name / name
    path.write_bytes(data[1:])
    try:
        read(path)
    except XqgError as error:
        if not str(error).startswith(f"{path}:"):
            raise AssertionError(f"an error without its place: {error}") from error
    if beside := [other for other in os.listdir(path.parent) if other != name]:
        raise AssertionError(f"left beside {name}: {beside}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("inputs", nargs="*", help="files to try alone")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs in all (%(default)s)")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # an unlisted language code is no error
    with tempfile.TemporaryDirectory() as folder:
        seeds, work = Path(folder, "seeds"), Path(folder, "work")
        write_seeds(seeds)
        for name in READERS:
            (work / name).mkdir(parents=True)
        words = given.inputs or [f"-atheris_runs={given.runs}", str(seeds)]
        atheris.Setup([sys.argv[0], *words], partial(try_one, work))
        atheris.Fuzz()  # ends the process itself


if __name__ == "__main__":
    main()
