"""Anserini's Java classes, called as they are: importing Pyserini's wrappers takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.index.hits import Hits


def java_class(name: str) -> Any:
    """A class of Java's, Lucene's or Anserini's; the first one starts Java.

    Raises
    ------
    XqgError
        If there is no Java that Anserini runs on.
    """
    from pyserini_xqg.base.java import prepare

    prepare()
    from jnius import autoclass

    return autoclass(name)


def quiet_anserini() -> None:
    """Stop its INFO lines, which go to standard output, where they are nobody's result."""
    level = java_class("org.apache.logging.log4j.Level")
    java_class("org.apache.logging.log4j.core.config.Configurator").setRootLevel(level.WARN)


def allow_long_queries() -> None:
    """Lift Lucene's limit of 1,024 terms in a query, which n-grams of a paragraph exceed."""
    java_class("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(1 << 20)


def batch_search(
    searcher: Any, queries: Sequence[str], k: int, threads: int, field: str | None = None
) -> list[Hits]:
    """Docids and Lucene's scores of the `k` best documents for each query, best first.

    Parameters
    ----------
    searcher : Java object
        Any of Anserini's with a ``batch_search``.
    queries : sequence of str
        As that searcher reads them.
    k, threads : int
    field : str or None
        Where to search; that which Anserini searches by itself by default.

    Raises
    ------
    XqgError
        If Lucene fails.
    """
    if not queries:
        return []
    from jnius import JavaException

    texts, names = (java_class("java.util.ArrayList")() for _ in range(2))
    for number, query in enumerate(queries):
        texts.add(query)
        names.add(str(number))
    try:
        if field is None:
            answers = searcher.batch_search(texts, names, k, threads)
        else:
            boosts = java_class("java.util.HashMap")()
            boosts.put(field, java_class("java.lang.Float")(1.0))
            answers = searcher.batch_search_fields(texts, names, k, threads, boosts)
    except JavaException as error:
        raise XqgError(f"Lucene could not search: {reason_of(error)}") from None
    found = {entry.getKey(): entry.getValue() for entry in answers.entrySet().toArray()}
    return [
        [(hit.docid, hit.score) for hit in found.get(str(number)) or ()]
        for number in range(len(queries))
    ]


def count_documents(path: Path) -> int:
    """The documents in a Lucene index."""
    reader = _open_reader(path)
    try:
        return int(reader.numDocs())
    finally:
        reader.close()


def count_searchable(path: Path, field: str) -> int:
    """The documents of a Lucene index that have a word in a field."""
    reader = _open_reader(path)
    from jnius import cast

    try:
        plain = cast("org.apache.lucene.index.IndexReader", reader)
        terms = java_class("org.apache.lucene.index.MultiTerms").getTerms(plain, field)
        return 0 if terms is None else int(terms.getDocCount())
    finally:
        reader.close()


def _open_reader(path: Path) -> Any:
    folder = java_class("java.nio.file.Paths").get(str(path))
    directory = java_class("org.apache.lucene.store.FSDirectory").open(folder)
    return java_class("org.apache.lucene.index.DirectoryReader").open(directory)
