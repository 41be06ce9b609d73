"""Which files hold the corpus, the topics and the qrels, where a folder or a name is given.

A name of Pyserini's or ir_datasets' counts only where there is no file or folder of that name.
``irds:miracl/bn/dev`` is a data set of ir_datasets, with all that it has; any other name is one of
Pyserini's topics or qrels, such as ``miracl-v1.0-bn-dev``. Both are fetched by their library at the
first use, and kept there.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.base.files import input_file, input_files, written_whole
from pyserini_xqg.base.packed import SUFFIXES, plain_name
from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.collection.records import PassageFormat

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


#: What BEIR calls its files in a folder.
_CORPUS, _TOPICS = "corpus.jsonl", "queries.jsonl"


def corpus_files(source: str | Path) -> list[Path]:
    """The files of a corpus: a file, a folder of them, or BEIR's folder.

    Raises
    ------
    XqgError
        If there are none.
    """
    return _of_beir(source, _CORPUS) or input_files(source)


def check_corpus(source: str | Path) -> None:
    """Refuse a corpus that is not there, before anything dear is done.

    Raises
    ------
    XqgError
    """
    if not is_irds(source):
        corpus_files(source)


def corpus_in_files(source: str | Path, work: Path) -> list[Path]:
    """The same for who comes back to a row: what has a name is written to `work` first.

    Raises
    ------
    XqgError
        If there are none.
    """
    named = named_corpus(source)
    if named is None:
        return corpus_files(source)
    work.mkdir(parents=True, exist_ok=True)
    path = work / "named-corpus.jsonl"
    with written_whole(path) as file:
        for row in named:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return [path]


def add_form_options(parser: argparse._ActionsContainer) -> None:
    """How corpus rows are read, in Pyserini's words."""
    add = parser.add_argument
    add("--fields", nargs="+", default=["text"], choices=("title", "text"),
        help="what 'contents' holds, in order")  # fmt: skip
    add("--docid-field", help="the docid's field where it is none of docid, id, _id")
    add("--delimiter", default="\n", help="between the fields inside 'contents'")


def form_from(given: argparse.Namespace) -> PassageFormat:
    """What the options of `add_form_options` say."""
    delimiter = given.delimiter.replace("\\n", "\n").replace("\\t", "\t")
    return PassageFormat(given.fields, given.docid_field, delimiter)


def topic_files(source: str | Path) -> list[Path]:
    """The files of topics: a file, a folder of them, or BEIR's folder.

    Raises
    ------
    XqgError
        If there are none.
    """
    return _of_beir(source, _TOPICS) or input_files(source)


def qrels_file(source: str | Path) -> Path:
    """The file of qrels: a file, or that of BEIR's folder (``qrels/test.tsv``).

    Raises
    ------
    XqgError
        If there is none, or a choice of several without ``test``.
    """
    folder = Path(source) / "qrels"
    if not folder.is_dir():
        return input_file(source)
    files = {plain_name(file.name).removesuffix(".tsv"): file for file in input_files(folder)}
    if len(files) == 1:
        return next(iter(files.values()))
    if "test" not in files:
        raise XqgError(f"{folder}: several qrels ({', '.join(files)}); give one of the files")
    return files["test"]


def _of_beir(source: str | Path, name: str) -> list[Path]:
    """The file of that name, in a folder that has both of BEIR's; else none."""
    folder = Path(source)
    if not folder.is_dir():
        return []
    files = {plain_name(file.name): file for file in sorted(folder.iterdir()) if file.is_file()}
    return [files[name]] if {_CORPUS, _TOPICS} <= files.keys() else []
