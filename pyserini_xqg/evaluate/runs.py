"""Runs in TREC format, and the passages that they name."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.errors import XqgError
from pyserini_xqg.files import input_files, is_tsv, read_lines, unpacked
from pyserini_xqg.records import Passage, PassageFormat, parse_passage, parse_tsv_passage


class Hit(NamedTuple):
    """A passage that was returned for a topic."""

    docid: str
    score: float


#: Hits by topic id, best first.
Run = Mapping[str, list[Hit]]


def read_run(path: str | Path) -> dict[str, list[Hit]]:
    """The hits of a run's topics, in the order of its ranks.

    Parameters
    ----------
    path : path-like
        Six columns: topic id, Q0, docid, rank, score, tag.

    Raises
    ------
    XqgError
        If the file is missing, a line is not of that form, or a docid stands twice for one topic.
    """
    path = Path(path)
    if not path.is_file():
        raise XqgError(f"no such file: {path}")
    ranked: dict[str, dict[str, tuple[int, float]]] = {}
    for line in read_lines(path):
        try:
            qid, _, docid, rank, score, _ = line.content.decode().split()
            place = int(rank), float(score)
        except ValueError:
            raise XqgError(
                f"{path}:{line.number}: expected the six columns of a TREC run (topic id, Q0, "
                "docid, rank, score, tag)"
            ) from None
        of_topic = ranked.setdefault(qid, {})
        if docid in of_topic:
            raise XqgError(f"{path}:{line.number}: {docid!r} is returned twice for topic {qid!r}")
        of_topic[docid] = place
    return {
        qid: [
            Hit(docid, score)
            for docid, (_, score) in sorted(of_topic.items(), key=lambda item: item[1][0])
        ]
        for qid, of_topic in ranked.items()
    }


def read_passages(corpus: str | Path, docids: Collection[str]) -> dict[str, Passage]:
    """The passages with these docids, streamed from a corpus.

    Raises
    ------
    XqgError
        For a broken row, and for docids that the corpus lacks.
    """
    found = {passage.docid: passage for passage in _stream(corpus) if passage.docid in docids}
    if missing := set(docids) - found.keys():
        raise XqgError(f"{len(missing)} docid(s) are not in {corpus}, e.g. {min(missing)!r}")
    return found


def _stream(corpus: str | Path) -> Iterator[Passage]:
    form = PassageFormat()
    with tempfile.TemporaryDirectory() as work:
        for name in input_files(corpus):
            for line in read_lines(unpacked(name, Path(work))):
                where = f"{name}:{line.number}"
                if is_tsv(name):
                    yield parse_tsv_passage(line.content, where)
                else:
                    yield parse_passage(line.content, where, form)
