"""Queries given to the wrong passages: a control for any system that is built from a queries file.

Each passage gets the queries of the next one with its title, so that what they bring is the topic
and not the answer. Encoded and indexed like the real ones, they show what of a gain is content.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import written_whole
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.shards import BLOCK


class Swapped(NamedTuple):
    """What was written: passages, and how many have a title that no other passage has."""

    passages: int
    alone: int


def swap_queries(corpus: str | Path, queries: Sequence[str | Path], output: str | Path) -> Swapped:
    """Write a queries file in which each passage has its neighbour's queries.

    Parameters
    ----------
    corpus : path-like
        As for encoding. Docids and titles are held in memory.
    queries : sequence of path-like
    output : path-like
        JSONL, in the order of the corpus; written whole or not at all.

    Raises
    ------
    XqgError
        For bad input, and a corpus of one passage.
    """
    output = Path(output)
    with tempfile.TemporaryDirectory() as work:
        join = Join(corpus, queries, Path(work))
        try:
            titles = {
                passage.docid: passage.title for passage in join.read_passages(0, join.passages)
            }
            if len(titles) < 2:
                raise XqgError(f"{corpus}: one passage has none to exchange queries with")
            source, alone = neighbours(titles)
            with written_whole(output) as file:
                docids = list(titles)
                for start in range(0, len(docids), BLOCK):
                    block = docids[start : start + BLOCK]
                    found = join.queries_of([source[docid] for docid in block])
                    for docid, of_other in zip(block, found, strict=True):
                        row = {"docid": docid, "generated_queries": of_other}
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        finally:
            join.close()
    return Swapped(len(titles), alone)


def neighbours(titles: dict[str, str]) -> tuple[dict[str, str], int]:
    """By docid, the next docid with the same title; a title's last one has its first.

    Parameters
    ----------
    titles : dict of str to str
        Titles by docid, in the order of the corpus.

    Returns
    -------
    source : dict of str to str
    alone : int
        Passages alone with their title, or without one: they have the next of the corpus.
    """
    docids = list(titles)
    source = dict(pairwise([*docids, docids[0]]))
    same: dict[str, list[str]] = {}
    for docid, title in titles.items():
        same.setdefault(title, []).append(docid)
    alone = 0
    for title, members in same.items():
        if title and len(members) > 1:
            source.update(pairwise([*members, members[0]]))
        else:
            alone += len(members)
    return source, alone


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate swapped",
        description=__doc__.partition("\n")[0],
        example="--corpus corpus.jsonl --queries queries.jsonl --output swapped.jsonl",
    )
    add = parser.add_argument
    add("--corpus", required=True, help="JSONL or TSV, file or folder")
    add("--queries", required=True, nargs="+", help="the generated queries")
    add("--output", required=True, metavar="JSONL", help="queries to encode, index")
    add("--overwrite", action="store_true", help="replace an output that is there")
    args = parser.parse_args(argv)
    made = swap_queries(args.corpus, args.queries, args.output)
    print(
        f"{args.output}: {made.passages} passages with the queries of the next one of their title "
        f"({made.alone} are alone with theirs and have those of the next in the corpus)"
    )
