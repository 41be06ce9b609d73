"""Thresholds on the scores that stand beside the queries.

After Gospodinov, MacAvaney and Macdonald, "Doc2Query--: When Less is More", ECIR 2023: generated
queries that a relevance model scores low do harm, and the best 30 % or so do better than all.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.filter.steps import sift


def drop_low(
    rows: Iterable[Row], tally: Tally, thresholds: float | Mapping[str, float]
) -> Iterator[Row]:
    """Leave out queries whose score is below the threshold (of their language).

    Raises
    ------
    XqgError
        If a query has no score.
    """

    def relevant(row: Row, language: str, _: Sequence[str]) -> list[bool]:
        least = thresholds if isinstance(thresholds, float) else thresholds.get(language, -math.inf)
        return [score >= least for score in scores_of(row, language)]

    return sift(rows, tally, "score", relevant)


def scores_of(row: Row, language: str) -> list[float]:
    """A language's scores.

    Raises
    ------
    XqgError
        If a query has none.
    """
    texts = row.queries[language]
    found = row.scores.get(language, [None] * len(texts))
    scores = [score for score in found if score is not None]
    if len(scores) < len(texts):
        raise XqgError(
            f"passage {row.passage.docid!r}: its queries in {language} have no scores; give "
            "--encoder, --preset or --cross-encoder to score them, or leave the threshold out"
        )
    return scores


class Thresholds:
    """By language the score that a fraction of its queries reaches, found by sorting on disk.

    By language, because a model's scores in different languages are not comparable: one threshold
    for all would leave little of those that it reads badly.

    Parameters
    ----------
    path : Path
        Of the SQLite file to make.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)  # of a run that was killed
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-262144; begin;"
            "create table scores (language text, score real);"
        )

    def collect(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Note the scores of rows on their way."""
        for row in rows:
            self._db.executemany(
                "insert into scores values (?, ?)",
                [(lang, score) for lang in row.queries for score in scores_of(row, lang)],
            )
            yield row

    def keeping(self, fraction: float) -> dict[str, float]:
        """Thresholds that keep this fraction of each language's queries (ties are kept)."""
        counts = self._db.execute(
            "select language, count(*) from scores group by language"
        ).fetchall()
        found = {}
        for language, count in counts:
            (found[language],) = self._db.execute(
                "select score from scores where language = ? order by score desc limit 1 offset ?",
                (language, math.ceil(fraction * count) - 1),
            ).fetchone()
        self._db.close()
        return found
