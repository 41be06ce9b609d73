"""Runs in TREC format, and the passages that they name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import written_whole
from pyserini_xqg.base.packed import plain_name
from pyserini_xqg.collection.columns import finite_number, read_columns, whole_number
from pyserini_xqg.collection.records import Passage, PassageFormat, passage_of
from pyserini_xqg.collection.sources import corpus_files, named_corpus
from pyserini_xqg.collection.tables import CORPUS, read_rows


class Hit(NamedTuple):
    """A passage that was returned for a topic."""

    docid: str
    score: float


#: A run's columns by their number; three are as Tevatron writes them.
_FORMS = {6: "topic id, Q0, docid, rank, score, tag", 3: "topic id, docid, score"}

#: Hits by topic id, best first.
Run = Mapping[str, list[Hit]]


def read_run(path: str | Path) -> dict[str, list[Hit]]:
    """The hits of a run's topics, in the order of its ranks.

    Parameters
    ----------
    path : path-like
        Six columns: topic id, Q0, docid, rank, score, tag. Or three, as Tevatron writes them: topic
        id, docid, score, best first.

    Raises
    ------
    XqgError
        If the file is missing, a line is not of that form, scores of a file of three columns rise,
        or a docid stands twice for one topic.
    """
    ranked: dict[str, dict[str, tuple[int, float]]] = {}
    for cells, where in read_columns(path, _FORMS):
        six = len(cells) == 6
        qid, docid, score = (cells[0], cells[2], cells[4]) if six else cells
        of_topic = ranked.setdefault(qid, {})
        place = (
            whole_number(cells[3], "column 4 (rank)", where) if six else len(of_topic),
            finite_number(score, f"column {5 if six else 3} (score)", where),
        )
        if docid in of_topic:
            raise XqgError(f"{where}: {docid!r} is returned twice for topic {qid!r}")
        if not six and of_topic and place[1] > next(reversed(of_topic.values()))[1]:
            raise XqgError(
                f"{where}: the score rises; three columns are topic id, docid and score, best "
                "first (a file of ranks must be made a TREC run)"
            )
        of_topic[docid] = place
    return {
        qid: [
            Hit(docid, score)
            for docid, (_, score) in sorted(of_topic.items(), key=lambda item: item[1][0])
        ]
        for qid, of_topic in ranked.items()
    }


def read_runs(paths: Sequence[str | Path]) -> dict[str, dict[str, list[Hit]]]:
    """Runs by name, as `file_names` has it.

    Raises
    ------
    XqgError
        For a broken run, or one that is given twice.
    """
    names = file_names(paths, ".run")
    return {name: read_run(path) for name, path in zip(names, paths, strict=True)}


def file_names(paths: Sequence[str | Path], suffix: str) -> list[str]:
    """What tables call files: their names without the suffix; the path where two share a name.

    Raises
    ------
    XqgError
        If a file is given twice.
    """
    short = [plain_name(Path(path).name).removesuffix(suffix) for path in paths]
    names = [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, paths, strict=True)
    ]
    if twice := [name for name in names if names.count(name) > 1]:
        raise XqgError(f"{twice[0]} is given twice")
    return names


def write_run(
    path: str | Path,
    run: Run | Iterable[tuple[str, Sequence[Hit]]],
    tag: str,
    form: str = "trec",
) -> None:
    """Write a run whole or not at all, topic by topic, as Pyserini's writers do.

    Parameters
    ----------
    path : path-like
    run : mapping of topic id to hits, or iterable of both
    tag : str
    form : {"trec", "msmarco"}
        Six columns with ranks from 1 and scores of six decimals, or topic id, docid and rank.
    """
    line = FORMS[form]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with written_whole(Path(path)) as file:
        for qid, hits in run.items() if isinstance(run, Mapping) else run:
            file.writelines(line(qid, hit, rank, tag) for rank, hit in enumerate(hits, 1))


#: The choices of ``--output-format``.
FORMS: dict[str, Callable[[str, Hit, int, str], str]] = {
    "trec": lambda qid, hit, rank, tag: f"{qid} Q0 {hit.docid} {rank} {hit.score:.6f} {tag}\n",
    "msmarco": lambda qid, hit, rank, tag: f"{qid}\t{hit.docid}\t{rank}\n",
}


def read_passages(corpus: str | Path, docids: Collection[str]) -> dict[str, Passage]:
    """The passages with these docids, streamed from a corpus.

    Raises
    ------
    XqgError
        For a broken row, and for docids that the corpus lacks.
    """
    found = {
        row.passage.docid: row.passage
        for row in stream_corpus(corpus)
        if row.passage.docid in docids
    }
    if missing := set(docids) - found.keys():
        raise XqgError(f"{len(missing)} docid(s) are not in {corpus}, e.g. {min(missing)!r}")
    return found


class CorpusRow(NamedTuple):
    """A passage, and the language that its row names, empty where it names none."""

    passage: Passage
    language: str


def stream_corpus(corpus: str | Path, form: PassageFormat | None = None) -> Iterator[CorpusRow]:
    """The passages of a corpus, in its order, one at a time.

    Parameters
    ----------
    corpus : path-like
        As for encoding; a row's field ``lang`` or ``language`` is its language.
    form : PassageFormat or None
        How its rows are read.

    Raises
    ------
    XqgError
        For a broken row.
    """
    form = form or PassageFormat()
    named = named_corpus(corpus)
    rows = (
        ((str(corpus), row) for row in named)
        if named is not None
        else read_rows(corpus_files(corpus), CORPUS)
    )
    for where, row in rows:
        code = row.get("lang", row.get("language"))
        yield CorpusRow(passage_of(row, where, form), code.strip() if isinstance(code, str) else "")
