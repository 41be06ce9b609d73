"""Queries in another language that may have the same script, told apart by py3langid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pyserini_xqg.collection.identifier import Identifier
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.filter.steps import sift


def drop_other_languages(
    rows: Iterable[Row], tally: Tally, identifier: Identifier
) -> Iterator[Row]:
    """Leave out queries that are rather in another of the languages that are told apart."""

    def own(_: Row, language: str, texts: Sequence[str]) -> list[bool]:
        return [not identifier.is_other(text, language) for text in texts]

    return sift(rows, tally, "language", own)
