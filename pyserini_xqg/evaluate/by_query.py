"""Scores by topic as CSV: the column ``qid``, and a column a measure."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from math import isfinite
from pathlib import Path

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_whole

#: Each topic's score, by measure and topic id; all measures have the same topics.
Scores = Mapping[str, Mapping[str, float]]


def write_by_query(path: str | Path, scores: Scores) -> None:
    """Write the scores, a row a topic."""
    topics = list(dict.fromkeys(qid for of_measure in scores.values() for qid in of_measure))
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["qid", *scores])
        rows.writerows([qid, *(repr(float(of[qid])) for of in scores.values())] for qid in topics)


def read_by_query(path: str | Path) -> dict[str, dict[str, float]]:
    """Read them; topic ids stay strings.

    Raises
    ------
    XqgError
        If the file is missing, is not of that form, or gives a topic twice.
    """
    rows = _rows(path)
    _, header = next(rows, (f"{path}:1", []))
    if len(header) < 2 or header[0] != "qid":
        raise XqgError(
            f"{path}:1: expected the columns qid and one or more measures, found "
            f"{', '.join(header) or 'none'}"
        )
    if twice := [name for name in header if header.count(name) > 1]:
        raise XqgError(f"{path}:1: {twice[0]!r} names two columns")
    scores: dict[str, dict[str, float]] = {name: {} for name in header[1:]}
    for where, row in rows:
        try:
            qid, *values = row
            numbers = dict(zip(scores, map(float, values), strict=True))
        except ValueError:
            numbers = {}
        if not numbers or not all(map(isfinite, numbers.values())):
            raise XqgError(f"{where}: expected a topic id and {len(scores)} number(s)")
        if qid in scores[header[1]]:
            raise XqgError(f"{where}: topic {qid!r} is given twice")
        for name, number in numbers.items():
            scores[name][qid] = number
    if not scores[header[1]]:
        raise XqgError(f"{path}: no topics in it")
    return scores


def _rows(path: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Each row of a CSV file with its place; blank ones left out."""
    try:
        rows = csv.reader(StringIO(read_whole(path).decode(), newline=""))
        for row in rows:
            if row:
                yield f"{path}:{rows.line_num}", row
    except UnicodeDecodeError:
        raise XqgError(f"{path}: not UTF-8; convert the file to UTF-8") from None
    except csv.Error as error:
        raise XqgError(f"{path}: not CSV ({error})") from None
