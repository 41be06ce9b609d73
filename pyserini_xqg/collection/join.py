"""Passages beside their generated queries: any order of either file, in bounded memory.

A first pass reads every row of both inputs, so that bad input is found in the first minutes. It
leaves a SQLite table from docid to place, by which each block of passages fetches its queries.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import Line, input_files, read_lines, unpacked
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.named import is_irds
from pyserini_xqg.collection.records import (
    QUERY_FIELDS,
    GeneratedQueries,
    Passage,
    PassageFormat,
    passage_of,
    queries_of,
)
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.collection.sources import corpus_in_files
from pyserini_xqg.collection.tables import CORPUS, QUERIES, Rows, rows_of

_INSERT_ROWS = 10_000
_SCHEMA = """
create table passages (docid text primary key, file int, line int) without rowid;
create table places (row int primary key, file int, line int, offset int);
create table queries (docid text, input int, part int, file int, line int, offset int,
                      primary key (docid, input, part)) without rowid;
"""


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
        For a broken row, a duplicate docid, an unknown one, or a language that no row has.
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
        self.passages = self.empty_texts = self.empty_queries = self.unknown = 0
        self.digests: dict[str, str] = {"language": language} if language else {}
        self.samples: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        table = work / "join.sqlite"
        table.unlink(missing_ok=True)
        self._db = sqlite3.connect(table, isolation_level=None)
        # The table is made anew at each start, so it needs no journal; 16 MB of cache bound memory
        # (256 MB were no faster at a million passages).
        self._db.executescript(
            "pragma journal_mode=off; pragma synchronous=off;pragma cache_size=-16384;" + _SCHEMA
        )
        self._db.execute("begin")
        self._read_corpus(corpus, work, corpus_name)
        for number, source in enumerate(queries):
            self._read_queries(number, source, work)
        self._db.execute("commit")
        self._check_unknown(ignore_unknown)
        self.languages = self._chosen(languages, bool(queries))

    def close(self) -> None:
        """Close the table and the files."""
        self._db.close()
        for file in self._open.values():
            file.close()

    def read_passages(self, start: int, stop: int) -> Iterator[Passage]:
        """The passages of rows `start` to `stop` (exclusive, counted from 0), in corpus order."""
        place = self._db.execute(
            "select row, file, line, offset from places where row <= ? order by row desc limit 1",
            (start,),
        ).fetchone()
        if place is None or start >= stop:
            return
        row, first, number, offset = place
        for index in range(first, len(self._sources)):
            source = self._sources[index]
            for line in read_lines(source.plain, offset, number):
                if source.rows.is_header(line):
                    continue
                if row >= stop:
                    return
                if row >= start:
                    yield self._passage(source, line)
                row += 1
            number, offset = 1, 0
            if row >= self.passages:
                return

    def query_rows(self, docids: Sequence[str]) -> Iterator[tuple[GeneratedQueries, bytes]]:
        """Each row of queries for these docids, with its line, in the order of the inputs.

        Where the row is of another form than ours, the line is what ours would be.
        """
        marks = ",".join("?" * len(docids))
        places = self._db.execute(
            f"select docid, file, line, offset from queries where docid in ({marks}) "
            "order by input, file, offset",
            list(docids),
        ).fetchall()
        for docid, index, number, offset in places:
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
        rows: list[tuple[str, int, int]] = []
        places: list[tuple[int, int, int, int]] = []

        def flush() -> None:
            self._insert("insert or ignore into passages values (?, ?, ?)", rows)
            self._db.executemany("insert into places values (?, ?, ?, ?)", places)
            rows.clear()
            places.clear()

        for index, source, line in self._first_pass("corpus", path, work, "corpus", called):
            if source.rows.is_header(line):
                continue
            passage = self._passage(source, line)
            self.empty_texts += not passage.text.strip()
            if passage.text.strip() and "und" not in self.samples:
                self.samples["und"] = " ".join(passage.text.split()[:12])
            if self.passages % BLOCK == 0:
                places.append((self.passages, index, line.number, line.offset))
            self.passages += 1
            rows.append((passage.docid, index, line.number))
            if len(rows) == _INSERT_ROWS:
                flush()
        flush()
        if not self.passages:
            raise XqgError(f"{path}: no passages in it")

    def _read_queries(self, number: int, path: str | Path, work: Path) -> None:
        rows: list[tuple[str, int, int, int, int, int]] = []
        statement = "insert or ignore into queries values (?, ?, ?, ?, ?, ?)"
        part = 0  # a passage has one row of JSON, and any number of those that hold one query
        for index, source, line in self._first_pass(f"queries {number}", path, work, "queries"):
            if source.rows.is_header(line):
                continue
            row, _ = self._queries(source, line)
            part += source.rows.table is not None
            for language, texts in row.queries.items():
                blank = sum(not text.strip() for text in texts)
                if language not in self.samples and blank < len(texts):
                    self.samples[language] = next(text for text in texts if text.strip())
                self.empty_queries += blank
                self.counts[language] += len(texts) - blank
            rows.append((row.docid, number, part, index, line.number, line.offset))
            if len(rows) == _INSERT_ROWS:
                self._insert(statement, rows)
                rows.clear()
        self._insert(statement, rows)

    def _first_pass(
        self, key: str, path: str | Path, work: Path, label: str, called: Path | None = None
    ) -> Iterator[tuple[int, _Source, Line]]:
        """Each line of an input, digesting it on the way."""
        files = corpus_in_files(path, work) if label == "corpus" else input_files(path)
        sha = hashlib.sha256()
        plain = [unpacked(file, work / "unpacked") for file in files]
        total = sum(file.stat().st_size for file in plain)
        with Progress(total, f"checking {label}", "bytes", aside=True) as bar:
            for name, file in zip(files, plain, strict=True):
                kind = CORPUS if label == "corpus" else QUERIES
                source = _Source(
                    called or (Path(path) if is_irds(path) else name),
                    file,
                    rows_of(file, kind, name),
                )
                index = len(self._sources)
                self._sources.append(source)
                for line in read_lines(file):
                    sha.update(line.content)
                    bar.update(len(line.content))
                    yield index, source, line
        self.digests[key] = sha.hexdigest()

    def _insert(self, statement: str, rows: Sequence[tuple[str | int, ...]]) -> None:
        """Insert rows; where one of them was there already, say which and where."""
        if not rows or self._db.executemany(statement, rows).rowcount == len(rows):
            return
        table, columns = ("passages", 1) if "into passages" in statement else ("queries", 3)
        for row in rows:
            key = row[:columns]
            where = "docid = ?" if columns == 1 else "docid = ? and input = ? and part = ?"
            file, line = self._db.execute(
                f"select file, line from {table} where {where}", key
            ).fetchone()
            if (file, line) != tuple(row[columns : columns + 2]):
                here, there = self._sources[int(row[columns])].name, self._sources[file].name
                raise XqgError(
                    f"{here}:{row[columns + 1]}: duplicate docid {row[0]!r}, first seen "
                    f"at {there}:{line}; docids must be unique"
                )

    def _check_unknown(self, ignore: bool) -> None:
        unknown = "from queries where docid not in (select docid from passages)"
        self.unknown = self._db.execute(f"select count(*) {unknown}").fetchone()[0]
        if self.unknown and not ignore:
            docid, file, line = self._db.execute(
                f"select docid, file, line {unknown} order by file, line limit 1"
            ).fetchone()
            raise XqgError(
                f"{self._sources[file].name}:{line}: docid {docid!r} is not in the corpus "
                f"({self.unknown} such row(s)); --ignore-unknown leaves them out"
            )

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
