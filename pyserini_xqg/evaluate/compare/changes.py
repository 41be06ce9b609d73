"""The topics that changed most from a baseline to a run, and what was found for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import Run, read_passages
from pyserini_xqg.evaluate.compare.differences import Comparison, System
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.evaluate.trec.measures import trec_order

# Characters of a passage that are shown: enough to see what it is about.
_EXCERPT = 200


def most_changed(changes: Mapping[str, float], count: int) -> list[str]:
    """Topic ids by the size of their change, largest first; those that did not change left out."""
    changed = [qid for qid, change in changes.items() if change]
    return sorted(changed, key=lambda qid: (-abs(changes[qid]), qid))[:count]


def changes_section(
    comparison: Comparison,
    systems: Sequence[System],
    measure: str,
    corpus: str | Path | None = None,
    count: int = 10,
) -> Section:
    """The topics that changed most, for each run; with a corpus, their passages too."""
    topics = comparison.collection.topics
    before = comparison.baseline.scores[measure]
    found: dict[str, list[str]] = {}
    rows: list[list[Cell]] = []
    for system in systems:
        changes = comparison.changes(system, measure)
        found[system.name] = most_changed(changes, count)
        rows += [
            [
                system.name,
                qid,
                topics[qid].language,
                100 * before[qid],
                100 * system.scores[measure][qid],
                100 * changes[qid],
                topics[qid].text,
            ]
            for qid in found[system.name]
        ]
    numbers = dict.fromkeys(("baseline", "score"), ".1f") | {"change": "+.1f"}
    table = Table(
        "compare-changed",
        f"{measure} in percent: the {count} topics of each run that changed most",
        ["run", "topic", "lang", *numbers, "question"],
        rows,
        numbers,
        languages={(r, 6): topics[str(row[1])].language for r, row in enumerate(rows)},
    )
    tables = [table]
    if corpus is not None:
        tables.append(_passages(comparison, systems, found, corpus))
    return Section("Topics that changed most", tables=tables)


def _passages(
    comparison: Comparison,
    systems: Sequence[System],
    changed: Mapping[str, Sequence[str]],
    corpus: str | Path,
) -> Table:
    places = [
        (qid, what, docid)
        for system in systems
        for qid in changed[system.name]
        for what, docid in _docids(comparison, system, qid)
    ]
    # Several runs change the same topics: their baseline and relevant passages stand here once.
    places = list(dict.fromkeys(places))
    passages = read_passages(corpus, {docid for _, _, docid in places})
    return Table(
        "compare-passages",
        "Their relevant passages, and the first ones before and after",
        ["topic", "what", "docid", "passage"],
        [[qid, what, docid, _excerpt(passages[docid])] for qid, what, docid in places],
    )


def _docids(comparison: Comparison, system: System, qid: str) -> Iterator[tuple[str, str]]:
    for docid, relevance in comparison.collection.qrels[qid].items():
        if relevance > 0:
            yield "relevant", docid
    for one in (comparison.baseline, system):
        if first := _first(one.run, qid):
            yield f"first of {one.name}", first


def _first(run: Run | None, qid: str) -> str | None:
    hits = run.get(qid) if run else None
    return trec_order(hits)[0].docid if hits else None


def _excerpt(passage: Passage) -> str:
    text = f"{passage.title}: {passage.text}" if passage.title else passage.text
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
