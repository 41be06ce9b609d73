"""Controls: generated queries given to other passages, and topics sent to other routes.

Queries go with their sums and counts together. Without an oracle, topics are routed by detection;
and to wrong indexes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_file, read_lines
from pyserini_xqg.collection.languages import detect_language
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.evaluate.from_store.controls_tables import REAL, averaged
from pyserini_xqg.evaluate.from_store.retrieval import Part, System, everyone, parts_of, routed
from pyserini_xqg.evaluate.from_store.subject import ByTopic, Subject, minus
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.evaluate.trec.measures import file_name
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.rows import read_docids, take_rows
from pyserini_xqg.store.store import Store

#: Chunks of `BLOCK` rows that are shuffled together; below twice as many are in memory.
CHUNKS = 8


def shuffled_parts(
    store: Store, languages: Sequence[str], seed: Sequence[int], *, chunk: int = BLOCK
) -> Iterator[Part]:
    """Each passage with another's queries, all languages together, drawn at random.

    The rows are cut into chunks; the chunks are dealt at random into groups of `CHUNKS` to
    ``2 * CHUNKS - 1``; inside a group one random cycle says whose queries each passage gets. So
    every passage's queries are used exactly once and never by itself; a store of up to that many
    chunks is one group, and every cycle of its passages equally likely.

    Parameters
    ----------
    store : Store
    languages : sequence of str
    seed : sequence of int
    chunk : int
        Rows of a chunk.

    Raises
    ------
    XqgError
        For a store of one passage.
    """
    if store.passages < 2:
        raise XqgError(f"{store.paths[0]}: one passage has none to exchange queries with")
    rng = np.random.default_rng(seed)
    starts = rng.permutation(np.arange(0, store.passages, chunk))
    for group in np.array_split(starts, max(1, len(starts) // CHUNKS)):
        rows = np.concatenate(
            [np.arange(start, min(start + chunk, store.passages)) for start in np.sort(group)]
        )
        held = take_rows(store, rows, languages)
        cycle = rng.permutation(len(rows))
        source = np.empty_like(cycle)
        source[cycle] = np.roll(cycle, 1)
        for start in range(0, len(rows), chunk):
            here = slice(start, start + chunk)
            yield Part(
                rows[here],
                Block(
                    [],
                    held.passages[here],
                    {code: sums[source[here]] for code, sums in held.sums.items()},
                    {code: counts[source[here]] for code, counts in held.counts.items()},
                ),
            )


def neighbour_parts(
    store: Store, languages: Sequence[str], source: NDArray[np.int64], *, chunk: int = BLOCK
) -> Iterator[Part]:
    """Each passage with the queries of the row that `source` names for it."""
    for start in range(0, store.passages, chunk):
        rows = np.arange(start, min(start + chunk, store.passages))
        other = take_rows(store, source[rows], languages)
        yield Part(rows, other._replace(passages=take_rows(store, rows, []).passages))


def next_rows(passages: int) -> NDArray[np.int64]:
    """For each row the one after it; for the last, the first."""
    return np.roll(np.arange(passages), -1)


def next_in_group(store: Store, path: Path) -> tuple[NDArray[np.int64], int]:
    """For each row the next one of its group; for a group's last, its first.

    Parameters
    ----------
    store : Store
    path : Path
        Docid and group (the rest of the line, such as a title), a passage a line. It is held in
        memory.

    Returns
    -------
    source : array of int64, shape (passages,)
    alone : int
        Passages alone in their group, which get the next row of the store instead.

    Raises
    ------
    XqgError
        For a line without a group, a docid that comes twice, and a passage without a line.
    """
    groups = _read_groups(path)
    source = next_rows(store.passages)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for row, docid in enumerate(read_docids(store)):
        if docid not in groups:
            raise XqgError(f"{path}: no group for passage {docid!r} of {store.paths[0]}")
        group = groups[docid]
        if group in last:
            source[last[group]] = row
        first.setdefault(group, row)
        last[group] = row
    alone = 0
    for group, row in last.items():
        if row == first[group]:
            alone += 1
        else:
            source[row] = first[group]
    return source, alone


def _read_groups(path: Path) -> dict[str, str]:
    groups: dict[str, str] = {}
    for line in read_lines(input_file(path)):
        try:
            docid, group = line.content.decode().strip().split(maxsplit=1)
        except ValueError:
            raise XqgError(f"{path}:{line.number}: expected docid and group") from None
        if docid in groups:
            raise XqgError(f"{path}:{line.number}: {docid!r} comes twice")
        groups[docid] = group
    return groups


DETECTED = "routed by detection"
MISROUTED = "misrouted"
UNROUTED = "not routed"


def route_scores(
    subject: Subject, fusion: Fusion, measures: Sequence[str], *, draws: int = 5, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores by system, measure and topic of `DETECTED`, `MISROUTED` and `UNROUTED`.

    Parameters
    ----------
    subject : Subject
    fusion : Fusion
    measures : sequence of str
    draws, seed : int
        Of misrouting, whose scores are averaged by topic.
    """
    languages = list(subject.languages)
    system = System(fusion, routed(languages))
    found = _asked_as(subject, detected(subject)).score(
        parts_of(subject.store, languages),
        {DETECTED: system, UNROUTED: System(fusion, everyone(languages))},
        measures,
    )
    if len(languages) == 1:
        return found
    wrong = [
        _asked_as(subject, misrouted(subject, [seed, draw])).score(
            parts_of(subject.store, languages), {MISROUTED: system}, measures
        )[MISROUTED]
        for draw in range(draws)
    ]
    return found | {
        MISROUTED: {name: averaged([draw[name] for draw in wrong]) for name in measures}
    }


def detected(subject: Subject) -> dict[str, str]:
    """By topic id, the language that its text seems to be in."""
    return {qid: detect_language(topic.text) for qid, topic in subject.collection.topics.items()}


def misrouted(subject: Subject, seed: Sequence[int]) -> dict[str, str]:
    """By topic id, one of the languages folded in that is not its own, drawn at random."""
    rng = np.random.default_rng(seed)
    return {
        qid: str(rng.choice([code for code in subject.languages if code != topic.language]))
        for qid, topic in subject.collection.topics.items()
    }


def route_sections(
    subject: Subject, scores: Mapping[str, Mapping[str, ByTopic]], measures: Sequence[str]
) -> list[Section]:
    """How well routes are found, and what is lost where they are not.

    Parameters
    ----------
    subject : Subject
    scores : mapping of system to mapping of measure to scores by topic
        Of `REAL`, which is routed by the topics' own languages, and what `route_scores` gives.
    measures : sequence of str
    """
    text = [
        "Routing by the language that a topic names is an oracle where users do not name one.",
        f"{DETECTED[0].upper() + DETECTED[1:]}: by the topic's text, among "
        "all languages that are listed; one without a route is not routed. Misrouted: each topic "
        "to the index of another language, drawn at random, mean of several draws.",
    ]
    tables = [_detection_table(subject)]
    tables += [_loss_table(subject, scores, measure) for measure in measures]
    return [Section("Routing", text, tables)]


def _detection_table(subject: Subject) -> Table:
    found = detected(subject)
    rows: list[list[Cell]] = []
    for language, qids in subject.groups().items():
        route = Counter[str]()
        for qid in qids:
            named = subject.collection.topics[qid].language
            if found[qid] == named:
                route["right"] += 1
            else:
                route["route" if found[qid] in subject.languages else "none"] += 1
        rows.append(
            [language, len(qids), 100 * route["right"] / len(qids), route["route"], route["none"]]
        )
    return Table(
        "controls-detection",
        "Languages detected",
        ["topics", "n", "right, %", "wrong, to another route", "wrong, not routed"],
        rows,
        formats={"right, %": ".1f"},
    )


def _loss_table(
    subject: Subject, scores: Mapping[str, Mapping[str, ByTopic]], measure: str
) -> Table:
    return subject.table(
        f"controls-routing-{file_name(measure)}",
        f"{measure}, points of 100: less routed by the language that a topic names",
        {
            name: minus(scores[name][measure], scores[REAL][measure])
            for name in (DETECTED, MISROUTED, UNROUTED)
            if name in scores
        },
        note="Under each figure: 95 % interval, differences paired.",
    )


def _asked_as(subject: Subject, languages: Mapping[str, str]) -> Subject:
    """The same topics, said to be in these languages."""
    topics = {
        qid: topic._replace(language=languages[qid])
        for qid, topic in subject.collection.topics.items()
    }
    return subject._replace(collection=subject.collection._replace(topics=topics))
