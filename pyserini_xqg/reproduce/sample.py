"""A share of a corpus, the same one every time: rows as they stand, drawn by a hash of their docid.

For a first run of what takes days in full. With fewer passages to be confused with, and without
most of those that hold the answers, figures are not comparable with published ones, only with each
other.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import input_files, is_tsv, read_lines, written_whole
from pyserini_xqg.base.refusing import refuse_existing
from pyserini_xqg.collection.records import docid_of, parse_json
from pyserini_xqg.reproduce.conditions import Collection, Condition


def is_drawn(docid: str, share: float) -> bool:
    """Whether a passage is in the sample; one of a smaller share is in every larger one."""
    return zlib.crc32(docid.encode("utf-8", "surrogateescape")) < share * 2**32


def write_sample(corpus: str | Path, share: float, output: Path) -> tuple[int, int]:
    """Write the rows of a JSONL corpus that are drawn; how many, and of how many."""
    drawn = total = 0
    with written_whole(output) as file:
        for path in input_files(corpus):
            if is_tsv(path):
                raise XqgError(f"{path}: a sample is drawn from JSONL, not from TSV")
            for line in read_lines(path):
                where = f"{path}:{line.number}"
                row = parse_json(line.content, where)
                total += 1
                if is_drawn(docid_of(row, where), share):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    drawn += 1
        if not drawn:
            raise XqgError(f"{corpus}: none of {total} passages was drawn; give a larger --share")
    return drawn, total


def sampled(collection: Collection, condition: Condition, share: float) -> Condition:
    """A condition on a sample of its corpus, with nothing to compare with.

    Raises
    ------
    XqgError
        For a share that is none, and a condition without a large corpus.
    """
    if not 0 < share < 1:
        raise XqgError(f"--sample {share:g}: expected a share between 0 and 1, such as 0.01")
    keys = _keys(collection, condition)
    if not keys:
        raise XqgError(f"--sample: {condition.name} reads no corpus that is large enough for it")
    commands = list(condition.commands)
    first = []
    for key in keys:
        path = f"$output/{key}-sample.jsonl"
        commands = [command.replace(f"${key}", path) for command in commands]
        first.append(
            f"python -m pyserini_xqg.reproduce.sample --corpus ${key} --share {share:g} "
            f"--output {path}"
        )
    note = f"On {100 * share:g} % of the passages, drawn by docid: not comparable with any other."
    return replace(
        condition,
        commands=[*first, *commands],
        published=(),
        note=f"{note} {condition.note}".strip(),
    )


def of_sample(collection: Collection, share: float) -> Collection:
    """A collection whose conditions are on a sample, where they read a large corpus."""
    return replace(
        collection,
        conditions={
            name: sampled(collection, condition, share)
            if _keys(collection, condition)
            else condition
            for name, condition in collection.conditions.items()
        },
    )


def _keys(collection: Collection, condition: Condition) -> list[str]:
    return [key for key in collection.sampled if key in condition.needs()]


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.sample",
        description=__doc__,
        example="--corpus xor-tydi-xqg-augmented --share 0.01 --output sample.jsonl",
    )
    add = parser.add_argument
    add("--corpus", required=True, help="JSONL, file or folder")
    add("--share", required=True, type=float, help="of the passages, 0 to 1")
    add("--output", required=True, type=Path, metavar="FILE", help="the file to write")
    args = parser.parse_args(argv)
    if not 0 < args.share < 1:
        raise XqgError(f"--share {args.share:g}: expected a share between 0 and 1, such as 0.01")
    refuse_existing(args.output, False)
    drawn, total = write_sample(args.corpus, args.share, args.output)
    print(f"{args.output}: {drawn:,} of {total:,} passages")


if __name__ == "__main__":
    run_command(main)
