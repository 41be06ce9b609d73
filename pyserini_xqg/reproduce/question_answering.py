"""A reading-comprehension data set as a retrieval collection: files that every command takes.

Passages are the corpus, questions about them generated queries or topics, and a topic's own passage
is the relevant one.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import parsed_json, read_lines, read_whole, written_whole
from pyserini_xqg.base.refusing import refuse_existing
from pyserini_xqg.collection.records import parse_json


class Asked(NamedTuple):
    """A question as a topic: its id and language, its text, and the passage that answers it.

    `translated` is the same question in the language of the passages.
    """

    qid: str
    language: str
    text: str
    docid: str
    translated: str


def write_collection(
    output: Path,
    corpus: Sequence[Mapping[str, str]],
    queries: Mapping[str, Mapping[str, Sequence[str]]],
    topics: Mapping[str, Sequence[Asked]],
    parts: Mapping[str, Sequence[Asked]] | None = None,
    *,
    relevant: Mapping[str, Sequence[str]] | None = None,
    language: str = "en",
    distractors: Path | None = None,
) -> None:
    """Write ``corpus.jsonl`` and ``queries.jsonl``, and files of topics with their judgments.

    Beside them, ``augmented.jsonl`` has both in one row, for training, and ``articles.tsv`` each
    passage's title, for ``evaluate controls --groups``.

    Parameters
    ----------
    output : Path
        A folder that is not there.
    corpus : sequence of mapping
        Rows of ``docid``, ``title`` and ``text``.
    queries : mapping
        By docid and language.
    topics : mapping of str to sequence of Asked
        By the name of the part, such as ``dev``: ``topics.dev.jsonl``, ``qrels.dev.txt`` and, with
        the same ids, ``translated.dev.jsonl``: what a perfect translator would make of the topics.
        All parts together are ``topics.jsonl`` and ``qrels.txt``.
    parts : mapping of str to sequence of Asked or None
        Further files, of topics that are among those.
    relevant : mapping of str to sequence of str or None
        By topic id, the docids, where a topic has more than its own.
    language : str
        Of the passages.
    distractors : Path or None
        A corpus of other passages; ``all.jsonl`` has those of the corpus, and these.

    Raises
    ------
    XqgError
        If the folder exists.
    """
    refuse_existing(output, False)
    work = output.with_name(f"{output.name}.partial")
    work.mkdir(parents=True, exist_ok=True)
    write_rows(work / "corpus.jsonl", corpus)
    if distractors:
        others = (parse_json(line.content, f"{distractors}:{line.number}")
                  for line in read_lines(distractors))  # fmt: skip
        write_rows(work / "all.jsonl", chain(corpus, others))
    with written_whole(work / "articles.tsv") as file:
        file.writelines(f"{row['docid']}\t{row['title']}\n" for row in corpus)
    write_rows(
        work / "queries.jsonl",
        ({"docid": docid, "generated_queries": of} for docid, of in queries.items()),
    )
    write_rows(
        work / "augmented.jsonl",
        (
            {**row, "generated_queries": queries[row["docid"]]}
            for row in corpus
            if queries[row["docid"]]
        ),
    )
    everything = [asked for part in topics.values() for asked in part]
    files = {f".{name}": part for name, part in {**topics, **(parts or {})}.items()}
    for name, part in {**files, "": everything}.items():
        write_rows(work / f"topics{name}.jsonl", (topic(a.qid, a.text, a.language) for a in part))
        write_rows(
            work / f"translated{name}.jsonl",
            (topic(a.qid, a.translated, language) for a in part),
        )
        with written_whole(work / f"qrels{name}.txt") as file:
            file.writelines(
                f"{asked.qid} 0 {docid} 1\n"
                for asked in part
                for docid in (relevant or {}).get(asked.qid, [asked.docid])
            )
    work.rename(output)


def parted(asked: Sequence[Asked], covered: Container[str]) -> dict[str, list[Asked]]:
    """The test topics by whether their passage has queries, as `parts` of `write_collection`."""
    return {
        "test.with-queries": [each for each in asked if each.docid in covered],
        "test.without-queries": [each for each in asked if each.docid not in covered],
    }


def read_squad(path: Path, expected: str) -> Any:
    """The articles of a file in SQuAD's form; `expected` names what it belongs to.

    Raises
    ------
    XqgError
        For a file that is missing or of another form.
    """
    if not path.is_file():
        raise XqgError(f"no such file: {path}; expected {expected}")
    try:
        return parsed_json(read_whole(path))["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise XqgError(f"{path}: not in SQuAD's form ({error!r}); expected {expected}") from None


def read_examples(path: Path, keys: Sequence[str], expected: str) -> list[Any]:
    """The examples of a file of IndicGenBench's, each of which has these keys.

    Raises
    ------
    XqgError
        For a file that is missing or of another form.
    """
    if not path.is_file():
        raise XqgError(f"no such file: {path}; expected {expected} of IndicGenBench")
    try:
        examples = parsed_json(read_whole(path))["examples"]
        for example in examples:
            for key in keys:
                example[key]
    except (ValueError, KeyError, TypeError) as error:
        raise XqgError(f"{path}: not a file of IndicGenBench's ({error!r})") from None
    return list(examples)


def topic(qid: str, text: str, language: str) -> dict[str, str]:
    """A row of a topics file."""
    return {"qid": qid, "title": text, "lang": language}


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSONL, whole or not at all."""
    with written_whole(path) as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def one_line(text: Any, where: str) -> str:
    """A question with its white space made single spaces.

    Raises
    ------
    XqgError
        If it is no text, or an empty one.
    """
    if not isinstance(text, str) or not text.split():
        raise XqgError(f"{where}: expected the text of a question, found {text!r}")
    return " ".join(text.split())
