"""Topics, qrels and corpora by the names that Pyserini and ir_datasets have for them.

A name counts only where there is no file or folder of that name. ``irds:miracl/bn/dev`` is a data
set of ir_datasets, with all that it has; any other name is one of Pyserini's topics or qrels, such
as ``miracl-v1.0-bn-dev``. Both are fetched by their library at the first use, and kept there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.base.packed import SUFFIXES
from pyserini_xqg.collection.languages import NAMES

T = TypeVar("T")

IRDS = "irds:"
# Pyserini's names have neither a folder nor a suffix of data.
_NAME = re.compile(r"[\w.-]+", re.ASCII)
_SUFFIXES = (".jsonl", ".json", ".tsv", ".txt", ".xml", ".csv", ".run", *SUFFIXES)
# Those of its names that say a language, by code or in English.
_IN_LANGUAGE = re.compile(r"(?:miracl|mrtydi|ciral|afrimteb)-v[\d.]+-([a-z]+)(?:-|$)")


def is_named(source: str | Path) -> bool:
    """Whether this may be a name: no file or folder is called so."""
    text = str(source)
    if Path(source).exists():
        return False
    return text.startswith(IRDS) or bool(
        _NAME.fullmatch(text) and not text.lower().endswith(_SUFFIXES)
    )


def is_irds(source: str | Path) -> bool:
    """Whether this names a data set of ir_datasets."""
    return str(source).startswith(IRDS) and is_named(source)


def named_topics(source: str | Path) -> Iterator[dict[str, Any]] | None:
    """The topics of that name: ``qid``, ``title``, and ``lang`` where it is known.

    Returns
    -------
    iterator of dict, or None
        None where there is no such name.

    Raises
    ------
    XqgError
        If ir_datasets is not installed or has no such data set, or the topics cannot be fetched.
    """
    if not is_named(source):
        return None
    if is_irds(source):
        return _irds_topics(str(source))
    found = _of_pyserini("topics_mapping", str(source))
    return None if found is None else _pyserini_topics(str(source), found)


def named_qrels(source: str | Path) -> Path | Iterator[tuple[str, str, int]] | None:
    """The qrels of that name.

    Returns
    -------
    Path, iterator of topic id, docid and relevance, or None
        Pyserini's are a file. None where there is no such name.

    Raises
    ------
    XqgError
        As `named_topics`.
    """
    if not is_named(source):
        return None
    if is_irds(source):
        dataset = _irds(str(source), "qrels")
        return _fetched(
            source,
            lambda: ((q.query_id, q.doc_id, int(q.relevance)) for q in dataset.qrels_iter()),
        )
    if _of_pyserini("qrels_mapping", str(source)) is None:
        return None
    from pyserini.search import get_qrels_file

    return Path(*_fetched(source, lambda: iter([str(get_qrels_file(str(source)))])))


def named_corpus(source: str | Path) -> Iterator[dict[str, Any]] | None:
    """The passages of a data set of ir_datasets: ``docid``, ``title``, ``text``.

    Returns
    -------
    iterator of dict, or None
        None where this is no such name.

    Raises
    ------
    XqgError
        As `named_topics`.
    """
    if not is_irds(source):
        return None
    dataset = _irds(str(source), "docs")

    def row(doc: Any) -> dict[str, Any]:
        text = getattr(doc, "text", None)
        title = getattr(doc, "title", None) or ""
        return {
            "docid": doc.doc_id,
            "title": title if isinstance(text, str) else "",
            "text": text if isinstance(text, str) else doc.default_text(),
        }

    return _fetched(source, lambda: map(row, dataset.docs_iter()))


def _irds_topics(source: str) -> Iterator[dict[str, Any]]:
    dataset = _irds(source, "queries")
    language = dataset.queries_lang()

    def row(query: Any) -> dict[str, Any]:
        text = getattr(query, "text", None)
        text = text if isinstance(text, str) else query.default_text()
        return {"qid": query.query_id, "title": text, **({"lang": language} if language else {})}

    return _fetched(source, lambda: map(row, dataset.queries_iter()))


def _irds(source: str, what: str) -> Any:
    """A data set that has queries, qrels or docs."""
    try:
        import ir_datasets
    except ImportError:
        raise XqgError(
            f"{source} needs the package ir_datasets: pip install 'pyserini_xqg[irds]'"
        ) from None
    name = source.removeprefix(IRDS)
    try:
        dataset = ir_datasets.load(name)
    except KeyError:
        raise XqgError(f"{source}: ir_datasets knows no data set {name!r}") from None
    if not getattr(dataset, f"has_{what}")():
        has = [each for each in ("docs", "queries", "qrels") if getattr(dataset, f"has_{each}")()]
        raise XqgError(
            f"{source}: this data set has no {what}; it has {', '.join(has) or 'nothing'}"
        )
    return dataset


def _of_pyserini(table: str, name: str) -> Any:
    """What Pyserini's table has under a name, None where it has none."""
    from pyserini_xqg.base.java import prepare

    prepare()
    from pyserini.search import _base

    return getattr(_base, table).get(name)


def _pyserini_topics(source: str, found: Any) -> Iterator[dict[str, Any]]:
    # Not by get_topics: it makes 7 of topic 007.
    from pyserini.search._base import JTopicReader

    match = _IN_LANGUAGE.match(source)
    named = match[1] if match else ""
    codes = [code for code, name in NAMES.items() if named in (code, name.lower())]

    def rows() -> Iterator[dict[str, Any]]:
        topics = JTopicReader.getTopicsWithStringIds(found)
        for qid in topics.keySet().toArray():
            fields = topics.get(qid)
            names = [str(name) for name in fields.keySet().toArray()]
            name = "title" if "title" in names else names[0]
            row = {"qid": str(qid), "title": str(fields.get(name))}
            yield {**row, "lang": codes[0]} if codes else row

    return _fetched(source, rows)


def _fetched(source: str | Path, rows: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Rows of a library that fetches them: what it raises then becomes one line."""
    try:
        yield from rows()
    except XqgError:
        raise
    except Exception as error:
        # Java's, requests', urllib's: no class in common. Nothing of ours runs in here.
        raise XqgError(
            f"{source}: cannot be fetched or read ({reason_of(error):.200}); is the network there?"
        ) from None
