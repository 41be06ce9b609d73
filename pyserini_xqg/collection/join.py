"""Passages beside their generated queries: any order of either file, in bounded memory.

A first pass reads every row of both inputs, so that bad input is found in the first minutes. It
leaves a SQLite table from docid to place, by which each block of passages fetches its queries.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import Line, input_files, read_lines, unpacked
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.places import Places
from pyserini_xqg.collection.records import (
    QUERY_FIELDS,
    GeneratedQueries,
    Passage,
    PassageFormat,
    passage_of,
    queries_of,
)
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.collection.sources import corpus_in_files, is_irds
from pyserini_xqg.collection.tables import CORPUS, QUERIES, Kind, Rows, rows_of


class _Source(NamedTuple):
    name: Path  # as the user gave it, for messages
    plain: Path  # what is read: the same, or unpacked
    rows: Rows


class Join:
    """The corpus and its generated queries, checked and joined.

    Parameters
    ----------
    corpus : path-like
        A JSONL or TSV file, ``.gz`` or not, or a folder of them.
    queries : sequence of path-like
        Files or folders of generated queries; several unite by docid.
    work : Path
        A folder for the table and for unpacked files; the caller removes it.
    form : PassageFormat
        How corpus rows are read.
    languages : sequence of str or None
        The languages to keep; all that occur by default.
    ignore_unknown : bool
        Count queries whose docid the corpus lacks instead of refusing them.
    corpus_name : Path or None
        What messages call the corpus where it stands for another file, row for line.
    language : str or None
        Of queries whose rows do not name theirs: plain lists, and TSV.

    Attributes
    ----------
    passages : int
        Rows of the corpus.
    languages : list of str
        Sorted codes of the languages kept.
    digests : dict of str to str
        SHA-256 of the corpus and of each input of queries, unpacked; and the language given.
    counts : Counter of str to int
        Queries in the input by language, blank ones left out.
    samples : dict of str to str
        The first query of each language, and the first passage's beginning under ``und``.
    empty_texts, empty_queries, unknown : int
        Passages without text (they are encoded as they are), blank queries (left out), and
        rows of queries for docids that the corpus lacks.

    Raises
    ------
    XqgError
        For a broken row, a duplicate docid, an unknown one, a language that no row has, or the
        same queries twice.
    """

    def __init__(
        self,
        corpus: str | Path,
        queries: Sequence[str | Path],
        work: Path,
        *,
        form: PassageFormat | None = None,
        languages: Sequence[str] | None = None,
        ignore_unknown: bool = False,
        corpus_name: Path | None = None,
        language: str | None = None,
    ) -> None:
        self._form = form or PassageFormat()
        self._language = language
        self._sources: list[_Source] = []
        self._open: dict[int, IO[bytes]] = {}
        self.passages = self.empty_texts = self.empty_queries = 0
        self.digests: dict[str, str] = {"language": language} if language else {}
        self.samples: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self._places = Places(work / "join.sqlite")
        self._read_corpus(corpus, work, corpus_name)
        for number, source in enumerate(queries):
            self._read_queries(number, source, work)
            self._check_new(queries[: number + 1])
        self.unknown = self._places.finish(ignore_unknown)
        self.languages = self._chosen(languages, bool(queries))

    def close(self) -> None:
        """Close the table and the files."""
        self._places.close()
        for file in self._open.values():
            file.close()

    def read_passages(self, start: int, stop: int) -> Iterator[Passage]:
        """The passages of rows `start` to `stop` (exclusive, counted from 0), in corpus order."""
        place = self._places.block_before(start)
        if place is None:
            return
        row, first, number, offset = place
        rows = self._rows_from(first, number, offset)
        for source, line in islice(rows, start - row, stop - row):
            yield self._passage(source, line)

    def _rows_from(self, first: int, number: int, offset: int) -> Iterator[tuple[_Source, Line]]:
        """The rows of the corpus from a place in its file of this number on."""
        for source in self._sources[first : self._corpus_files]:
            for line in read_lines(source.plain, offset, number):
                if not source.rows.is_header(line):
                    yield source, line
            number, offset = 1, 0

    def query_rows(self, docids: Sequence[str]) -> Iterator[tuple[GeneratedQueries, bytes]]:
        """Each row of queries for these docids, with its line, in the order of the inputs.

        Where the row is of another form than ours, the line is what ours would be.
        """
        for docid, index, number, offset in self._places.queries_of(docids):
            file = self._open.get(index)
            if file is None:
                file = self._open[index] = open(self._sources[index].plain, "rb")  # noqa: SIM115
            file.seek(offset)
            line = Line(number, offset, file.readline())
            row, fields = self._queries(self._sources[index], line)
            if row.docid != docid:
                where = f"{self._sources[index].name}:{number}"
                raise XqgError(f"{where}: the file changed while it was read; start again")
            yield row, line.content if fields is None else _line(row, fields)

    def queries_of(self, docids: Sequence[str]) -> list[dict[str, list[str]]]:
        """For each docid its generated queries by language, blank ones left out."""
        found: dict[str, dict[str, list[str]]] = {docid: {} for docid in docids}
        for row, _ in self.query_rows(docids):
            for language, texts in row.queries.items():
                kept = [text for text in texts if text.strip()]
                if kept and language in self.languages:
                    found[row.docid].setdefault(language, []).extend(kept)
        return [found[docid] for docid in docids]

    def _read_corpus(self, path: str | Path, work: Path, called: Path | None) -> None:
        for index, source, line in self._first_pass("corpus", path, work, "corpus", CORPUS, called):
            if source.rows.is_header(line):
                continue
            passage = self._passage(source, line)
            self.empty_texts += not passage.text.strip()
            if passage.text.strip() and "und" not in self.samples:
                self.samples["und"] = " ".join(passage.text.split()[:12])
            if self.passages % BLOCK == 0:
                self._places.add_block(self.passages, index, line)
            self.passages += 1
            self._places.add_passage(passage.docid, index, line)
        self._places.flush()
        self._corpus_files = len(self._sources)
        if not self.passages:
            raise XqgError(f"{path}: no passages in it")

    def _read_queries(self, number: int, path: str | Path, work: Path) -> None:
        found = self._first_pass(f"queries {number}", path, work, "queries", QUERIES)
        for count, (index, source, line) in enumerate(found):
            if source.rows.is_header(line):
                continue
            row, _ = self._queries(source, line)
            # A passage has one row of JSON, and any number of those that hold one query.
            part = count * (source.rows.table is not None)
            for language, texts in row.queries.items():
                blank = sum(not text.strip() for text in texts)
                if language not in self.samples and blank < len(texts):
                    self.samples[language] = next(text for text in texts if text.strip())
                self.empty_queries += blank
                self.counts[language] += len(texts) - blank
            self._places.add_queries(row.docid, number, part, index, line)
        self._places.flush()

    def _check_new(self, queries: Sequence[str | Path]) -> None:
        """Refuse queries that were read before, under whatever name: each would count twice."""
        last = self.digests[f"queries {len(queries) - 1}"]
        for number, earlier in enumerate(queries[:-1]):
            if self.digests[f"queries {number}"] == last:
                raise XqgError(
                    f"{queries[-1]} holds the same queries as {earlier}, and each would count "
                    "twice; give them once"
                )

    def _first_pass(
        self,
        key: str,
        path: str | Path,
        work: Path,
        label: str,
        kind: Kind,
        called: Path | None = None,
    ) -> Iterator[tuple[int, _Source, Line]]:
        """Each line of an input, digesting it on the way."""
        files = corpus_in_files(path, work) if kind is CORPUS else input_files(path)
        sha = hashlib.sha256()
        plain = [unpacked(file, work / "unpacked") for file in files]
        total = sum(file.stat().st_size for file in plain)
        with Progress(total, f"checking {label}", "bytes", aside=True) as bar:
            for name, file in zip(files, plain, strict=True):
                source = _Source(
                    called or (Path(path) if is_irds(path) else name),
                    file,
                    rows_of(file, kind, name),
                )
                index = len(self._sources)
                self._sources.append(source)
                self._places.names.append(source.name)
                for line in read_lines(file):
                    sha.update(line.content)
                    bar.update(len(line.content))
                    yield index, source, line
        self.digests[key] = sha.hexdigest()

    def _chosen(self, languages: Sequence[str] | None, any_queries: bool) -> list[str]:
        present = sorted(language for language, count in self.counts.items() if count)
        if languages is None:
            if any_queries and not present:
                raise XqgError(
                    "the query files hold no queries in any language; leave --queries "
                    "out to encode passages only"
                )
            return present
        chosen = sorted({check_language(code, "--languages") for code in languages})
        if missing := [code for code in chosen if code not in present]:
            raise XqgError(
                f"--languages: no generated queries in {' '.join(missing)}; found "
                f"{' '.join(present) or 'none'}"
            )
        return chosen

    def _passage(self, source: _Source, line: Line) -> Passage:
        where = f"{source.name}:{line.number}"
        form = self._form if source.rows.table is None else PassageFormat()
        return passage_of(source.rows.row(line, where), where, form)

    def _queries(
        self, source: _Source, line: Line
    ) -> tuple[GeneratedQueries, dict[str, Any] | None]:
        """A row of queries, and its fields where it is not of our own form."""
        where = f"{source.name}:{line.number}"
        fields = source.rows.row(line, where)
        row = queries_of(fields, where, language=self._language)
        return row, None if isinstance(fields.get(QUERY_FIELDS[0]), dict) else fields


def _line(row: GeneratedQueries, fields: Mapping[str, Any]) -> bytes:
    """A row of another form in our own, with its other fields."""
    others = {name: value for name, value in fields.items() if name not in (*QUERY_FIELDS, "lang")}
    others["generated_queries"] = row.queries
    return json.dumps({"docid": row.docid, **others}, ensure_ascii=False).encode() + b"\n"
