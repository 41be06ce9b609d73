"""Passages with their generated queries on the way through the filter, read and written.

What models and searches have answered is kept, so that a killed run does not ask them again.
"""

from __future__ import annotations

import gzip
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from pyserini_xqg.base.files import read_lines, sync
from pyserini_xqg.base.leftovers import LOG
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import GeneratedQueries, Passage, parse_json, parse_queries
from pyserini_xqg.collection.shards import BLOCK

T = TypeVar("T")


class Row(NamedTuple):
    """A passage with its queries.

    Attributes
    ----------
    passage : Passage
    queries : dict of language to list of str
    scores : dict of language to list of float or None
        As long as the queries, for the languages that have scores.
    fields : dict of str to Any
        The row as it was read, its other fields with it.
    line : bytes
        The line that was read, while it still says the same; else empty.
    """

    passage: Passage
    queries: dict[str, list[str]]
    scores: dict[str, list[float | None]]
    fields: dict[str, Any]
    line: bytes = b""

    def keep(self, verdicts: Mapping[str, Sequence[bool]]) -> Row:
        """The row with only those queries (and their scores) that have a true verdict."""

        def chosen(texts: Mapping[str, list[T]]) -> dict[str, list[T]]:
            return {
                language: [text for text, good in zip(of, verdicts[language], strict=True) if good]
                for language, of in texts.items()
            }

        if all(all(of_language) for of_language in verdicts.values()):
            return self
        return self._replace(queries=chosen(self.queries), scores=chosen(self.scores), line=b"")

    def to_json(self) -> bytes:
        """The row as a line of output: byte for byte as it was read where nothing has changed."""
        if self.line:
            return self.line
        fields = {**self.fields, "generated_queries": self.queries}
        if self.scores:
            fields["scores"] = self.scores
        return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def read_rows(join: Join, start: int = 0, stop: int | None = None) -> Iterator[Row]:
    """The rows of all inputs for passages `start` to `stop`, united by docid, in their order."""
    stop = join.passages if stop is None else stop
    with Progress(stop - start, "filtering") as bar:
        for row_number in range(start, stop, BLOCK):
            passages = list(join.read_passages(row_number, min(row_number + BLOCK, stop)))
            found: dict[str, Row] = {}
            docids = [passage.docid for passage in passages]
            by_docid = dict(zip(docids, passages, strict=True))
            for queries, line in join.query_rows(docids):
                row = _row(by_docid[queries.docid], queries, line)
                first = found.get(queries.docid)
                found[queries.docid] = row if first is None else _united(first, row)
            yield from (found[docid] for docid in docids if docid in found)
            bar.update(len(passages))


def read_written(path: Path) -> Iterator[Row]:
    """The rows that `write_rows` wrote; their passages have nothing but the docid."""
    for line in read_lines(path):
        queries = parse_queries(line.content, f"{path}:{line.number}")
        yield _row(Passage(queries.docid, "", ""), queries, line.content)


def write_rows(rows: Iterable[Row], path: Path, *, packed: bool = False) -> None:
    """Write rows as JSONL, packed with gzip where asked for, and bring them to the disk."""
    with open(path, "wb") as file:
        # Without a name and a time in its header, the same rows give the same bytes.
        stream: IO[bytes] | gzip.GzipFile = (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) if packed else file
        )
        for row in rows:
            stream.write(row.to_json())
        if packed:
            stream.close()
        sync(file)


def batches(items: Iterable[T], size: int = BLOCK) -> Iterator[list[T]]:
    """Lists of up to `size` items."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _row(passage: Passage, queries: GeneratedQueries, line: bytes) -> Row:
    fields = parse_json(line, "queries")
    same = (fields["generated_queries"], fields.get("scores")) == (queries.queries, queries.scores)
    if not queries.scores:
        fields.pop("scores", None)
    line = line.removeprefix(BOM_UTF8).strip() + b"\n" if same else b""
    return Row(passage, queries.queries, queries.scores or {}, fields, line)


def _united(first: Row, second: Row) -> Row:
    """Two rows of one passage: queries and scores one after the other, fields of the first win."""
    queries, scores = dict(first.queries), {}
    for language, texts in second.queries.items():
        queries[language] = queries.get(language, []) + texts
    for language in queries:
        if language in first.scores or language in second.scores:
            scores[language] = [
                score
                for row in (first, second)
                for score in row.scores.get(language, [None] * len(row.queries.get(language, ())))
            ]
    return Row(first.passage, queries, scores, {**second.fields, **first.fields})


#: From how to ask to what was answered.
Recall = Callable[[Callable[[], list[T]]], list[T]]

SCORES, FOUND = "scores.jsonl", "found.jsonl"


class Answers:
    """The answers of the dear steps, batch by batch, in the files of an `OutputFolder`.

    A run that is taken up does the cheap steps again, which leads it to the same batches.

    Parameters
    ----------
    folder : OutputFolder
        Entered, not yet started.
    plan : mapping
        What decides the answers; while none is kept, a run may begin with another.
    """

    def __init__(self, folder: OutputFolder, plan: Mapping[str, Any]) -> None:
        self._folder = folder
        if not are_kept(folder):
            (folder.partial / "plan.json").unlink(missing_ok=True)
        folder.start(plan, {SCORES: b"", FOUND: b""})

    def recall(self, name: str) -> Recall[Any]:
        """Gives the answers in `name` one after the other, then asks and keeps what is new."""
        before = read_lines(self._folder.partial / name)  # it ends before the first new one

        def answer(ask: Callable[[], list[Any]]) -> list[Any]:
            line = next(before, None)
            if line is not None:
                kept: list[Any] = json.loads(line.content)
                return kept
            found = ask()
            self._folder.append(len(found), {name: json.dumps(found).encode() + b"\n"})
            return found

        return answer


def are_kept(folder: OutputFolder) -> bool:
    """Whether an earlier run has left answers."""
    log = folder.partial / LOG
    return log.exists() and log.stat().st_size > 0


def asked(ask: Callable[[], list[T]]) -> list[T]:
    """A `Recall` that keeps nothing."""
    return ask()
