"""Which files hold the corpus, the topics and the qrels, where a folder or a name is given."""

from __future__ import annotations

import json
from pathlib import Path

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_file, input_files, written_whole
from pyserini_xqg.base.packed import plain_name
from pyserini_xqg.collection.named import is_irds, named_corpus

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
