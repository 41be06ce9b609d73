"""The steps that look beyond a query's text: to other passages, to scores, to an index.

Queries that many passages share tell no passage from another. Queries that a relevance model scores
low do harm, and the best 30 % or so do better than all: after Gospodinov, MacAvaney and Macdonald,
"Doc2Query--: When Less is More", ECIR 2023. A query must find the passage that it was generated
from: after Alberti et al., "Synthetic QA Corpora Generation with Roundtrip Consistency", ACL 2019,
in the form that retrieval uses since Dai et al., "Promptagator", ICLR 2023.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.scripts import normalise
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Recall, Row, asked, batches
from pyserini_xqg.filter.steps import sift, sift_in_turn

# Hashes are counted one table after the other, so that SQLite sorts a small part at a time.
_TABLES = 64


class SharedQueries:
    """The queries that more than `limit` passages have in one language, on disk.

    Parameters
    ----------
    rows : iterable of Row
        All of them; of each query an eight-byte hash is kept.
    limit : int
    path : Path
        Of the SQLite file to make.
    """

    def __init__(self, rows: Iterable[Row], limit: int, path: Path) -> None:
        path.unlink(missing_ok=True)  # of a run that was killed
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "pragma journal_mode=off; pragma synchronous=off; pragma cache_size=-262144; begin;"
            "create table shared (hash integer primary key);"
        )
        for table in range(_TABLES):
            self._db.execute(f"create table seen_{table} (hash int)")
        for batch in batches(rows):
            hashes: list[list[tuple[int]]] = [[] for _ in range(_TABLES)]
            for row in batch:
                for language, texts in row.queries.items():
                    for number in {_hash(language, text) for text in texts}:
                        hashes[number % _TABLES].append((number,))
            for table, of_table in enumerate(hashes):
                self._db.executemany(f"insert into seen_{table} values (?)", of_table)
        for table in range(_TABLES):
            self._db.execute(
                f"insert into shared select hash from seen_{table} "
                "group by hash having count(*) > ?",
                (limit,),
            )
            self._db.execute(f"drop table seen_{table}")
        self._db.execute("commit")

    def close(self) -> None:
        self._db.close()

    def has(self, language: str, text: str) -> bool:
        """Whether too many passages have this query."""
        found = self._db.execute(
            "select 1 from shared where hash = ?", (_hash(language, text),)
        ).fetchone()
        return found is not None


def drop_shared(rows: Iterable[Row], tally: Tally, shared: SharedQueries) -> Iterator[Row]:
    """Leave out queries that too many passages share, from all of them."""

    def own(_: Row, language: str, texts: Sequence[str]) -> list[bool]:
        return [not shared.has(language, text) for text in texts]

    return sift(rows, tally, "shared", own)


def _hash(language: str, text: str) -> int:
    """Signed, as SQLite's integers are. Of a billion queries one pair may meet by chance."""
    content = f"{language}\0{normalise(text)}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


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


def drop_inconsistent(
    rows: Iterable[Row],
    tally: Tally,
    searcher: Any,
    k: int = 10,
    *,
    batch_size: int = 64,
    threads: int = 1,
    recall: Recall[bool] = asked,
) -> Iterator[Row]:
    """Leave out queries that do not find their own passage among the first `k`.

    Parameters
    ----------
    rows : iterable of Row
    tally : Tally
    searcher : XqgSearcher or Bm25Searcher
        Over an index of passages only: one that holds these very queries proves nothing.
    k : int
    batch_size, threads : int
        Of the search.
    recall : callable
        Keeps the verdicts on a batch, or knows them.
    """
    for batch in batches(rows):
        found = recall(partial(_search_batch, batch, searcher, k, batch_size, threads))
        yield from sift_in_turn(batch, tally, "round-trip", found)


def _search_batch(
    batch: Sequence[Row], searcher: Any, k: int, batch_size: int, threads: int
) -> list[bool]:
    """Of each query of these rows, one after the other, whether it finds its passage."""
    # Identical queries of one language are searched once.
    docids: dict[tuple[str, str], set[str]] = {
        (language, text): set()
        for row in batch
        for language, texts in row.queries.items()
        for text in texts
    }
    for keys in batches((key for key in docids if key[1].strip()), batch_size):
        qids = [str(number) for number in range(len(keys))]
        hits = searcher.batch_search(
            [text for _, text in keys],
            qids,
            k=k,
            threads=threads,
            languages=[language for language, _ in keys],
        )
        for qid, key in zip(qids, keys, strict=True):
            docids[key] = {hit.docid for hit in hits.get(qid, ())}
    return [
        row.passage.docid in docids[language, text]
        for row in batch
        for language, texts in row.queries.items()
        for text in texts
    ]
