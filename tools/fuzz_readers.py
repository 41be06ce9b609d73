"""Fuzz the readers, led by the branches that inputs reach: ``pip install atheris``, then this.

Any bytes must give a row or an error of ours that begins with file and line. The first byte of an
input picks the reader. The inputs begin with rows of the small collection that comes with the
package; what breaks a reader is left in ``crash-...`` in the working folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["pyserini_xqg"]):
    from pyserini_xqg.errors import XqgError
    from pyserini_xqg.evaluate.collection import read_qrels
    from pyserini_xqg.evaluate.runs import read_run
    from pyserini_xqg.records import (
        PassageFormat,
        parse_passage,
        parse_queries,
        parse_topic,
        parse_tsv_passage,
        parse_tsv_topic,
    )

Reader = Callable[[bytes, str], Any]


def of_file(read: Callable[[str], Any]) -> Reader:
    def from_line(line: bytes, where: str) -> Any:
        name = where.rpartition(":")[0]
        Path(name).write_bytes(line)
        return read(name)

    return from_line


READERS: dict[str, Reader] = {
    "corpus.jsonl": lambda line, where: parse_passage(line, where, PassageFormat()),
    "queries.jsonl": parse_queries,
    "topics.dev.jsonl": parse_topic,
    "topics.dev.tsv": parse_tsv_topic,
    "corpus.tsv": parse_tsv_passage,
    "qrels.dev.txt": of_file(read_qrels),
    "a.run": of_file(read_run),
}
SEEDS = {"corpus.tsv": b"1\ta text\ta title\n", "a.run": b"te-1 Q0 d1 1 0.5 tag\n"}


def write_seeds(folder: Path) -> None:
    """Some rows for each reader, its number before them."""
    mini = files("pyserini_xqg") / "data" / "xqg-mini"
    for number, name in enumerate(READERS):
        rows = [SEEDS[name]] if name in SEEDS else (mini / name).read_bytes().splitlines(True)[:5]
        for row_number, row in enumerate(rows):
            (folder / f"{number}-{row_number}").write_bytes(bytes([number]) + row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # unlisted language codes are no errors
    readers = list(READERS.values())
    with tempfile.TemporaryDirectory() as work:
        seeds, file = Path(work, "seeds"), str(Path(work, "file"))
        seeds.mkdir()
        write_seeds(seeds)

        def one_input(data: bytes) -> None:
            if not data:
                return
            try:
                readers[data[0] % len(readers)](data[1:], f"{file}:1")
            except XqgError as error:
                if not str(error).startswith(f"{file}:"):
                    raise AssertionError(f"an error without its place: {error}") from error

        # It ends the process itself, with status 77 where a reader broke.
        atheris.Setup([sys.argv[0], f"-atheris_runs={given.runs}", str(seeds)], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
