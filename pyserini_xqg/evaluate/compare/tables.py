"""Differences from a baseline as tables, a plot, and the words to read them by.

The topics that changed most from a baseline to a run come with what was found for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.runs import read_passages
from pyserini_xqg.evaluate.compare.differences import Comparison, Difference, System
from pyserini_xqg.evaluate.compare.significance import RULE, bonferroni, holm
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.evaluate.trec.measures import file_name, trec_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Marks a difference that is significant after Holm's correction.
DAGGER = "†"
LEVEL = 0.05

_FORMATS = {"baseline": ".1f", "score": ".1f", "difference": "+.1f", "d_z": "+.2f"}
_P = ".3g"


def primary_section(comparison: Comparison, measure: str, found: Difference) -> Section:
    """The one test that decides, in words."""
    low, high = found.interval
    return Section(
        "Primary test",
        [
            f"Primary: {measure} over all {found.topics} topics in {found.clusters} clusters, "
            f"{found.run} against {comparison.baseline.name}; randomisation of whole clusters.",
            f"{found.baseline:.1f} -> {found.score:.1f}: {found.difference:+.1f} points, 95 % "
            f"interval {low:+.1f} to {high:+.1f}, p = {found.p:{_P}}; {found.verdict}.",
            "Everything below is secondary.",
        ],
    )


def measure_section(
    comparison: Comparison,
    measure: str,
    by: str,
    pooled: Sequence[Difference],
    grouped: Sequence[Difference],
) -> Section:
    """One measure: pooled, by language (or script) with its tests, and as a plot."""
    tables = [_pooled_table(measure, pooled), *_group_tables(measure, by, grouped)]
    plot = Plot(
        f"compare-{file_name(measure)}",
        f"Difference in {measure} from {comparison.baseline.name}, with 95 % intervals",
        partial(_draw, grouped, measure),
        (8.0, 1.5 + 0.3 * len(grouped)),
    )
    return Section(f"{measure}, in percent", tables=tables, plots=[plot])


def methods_section(comparison: Comparison, by: str, cells: int) -> Section:
    """How the figures were made; `cells` is the size of a family of tests."""
    clusters = len(set(comparison.collection.clusters.values()))
    return Section(
        "How to read this",
        [
            f"Baseline: {comparison.baseline.name}. Intervals: 95 %, percentile bootstrap of "
            f"{comparison.draws:,} resamples of whole clusters of topics ({clusters} clusters of "
            f"{len(comparison.collection.topics)} topics), seed {comparison.seed}.",
            "Randomisation: two-sided, signs flipped for whole clusters; all patterns if there are "
            f"no more than {comparison.draws:,}, else so many draws.",
            "t-test, paired, and McNemar's exact test (where all scores are 0 or 1) take topics "
            "for independent: their p-values are too small where topics share a cluster, so there "
            "are none over all topics.",
            f"Bonferroni corrects the t-tests, Holm the randomisation tests; the family of either: "
            f"every {by} and run of one measure, {cells} tests. p-values over all topics are not "
            f"corrected. {DAGGER}: p < {LEVEL} after Holm.",
            "d_z: Cohen's effect size by topic, the mean difference over the standard deviation of "
            "the differences. Wins, ties and losses are topics.",
            RULE,
            "All of this covers the choice of topics alone, not that of generated queries or of a "
            "training run: for these, compare several seeds.",
        ],
    )


def _pooled_table(measure: str, pooled: Sequence[Difference]) -> Table:
    columns = ["run", "over", "topics", "clusters", *_FORMATS, *_COUNTS, "p", "verdict"]
    rows: list[list[Cell]] = [
        [d.run, d.group, d.topics, d.clusters, *_numbers(d), *d.counts, d.p, d.verdict]
        for d in pooled
    ]
    return Table(
        f"compare-{file_name(measure)}-pooled",
        f"{measure} over all topics",
        columns,
        rows,
        {**_FORMATS, "p": _P},
        note="p: randomisation of whole clusters, not corrected.",
        intervals=_intervals(columns, pooled),
        interval_format=_INTERVAL,
    )


def _group_tables(measure: str, by: str, grouped: Sequence[Difference]) -> list[Table]:
    holms = holm([d.p for d in grouped])
    marked = [row for row, p in enumerate(holms) if p < LEVEL]
    columns = [by, "run", "topics", "clusters", *_FORMATS, *_COUNTS, "verdict"]
    effects = Table(
        f"compare-{file_name(measure)}-by-{by}",
        f"{measure} by {by}",
        columns,
        [
            [d.group, d.run, d.topics, d.clusters, *_numbers(d), *d.counts, d.verdict]
            for d in grouped
        ],
        _FORMATS,
        {(row, columns.index("difference")): DAGGER for row in marked},
        note=f"{DAGGER} p < {LEVEL} after Holm, over {len(grouped)} tests.",
        intervals=_intervals(columns, grouped),
        interval_format=_INTERVAL,
    )
    corrected = bonferroni([1.0 if d.t_test is None else d.t_test for d in grouped])
    p_values: dict[str, list[float | None]] = {
        "t-test": [d.t_test for d in grouped],
        "Bonferroni": [
            None if d.t_test is None else float(p) for d, p in zip(grouped, corrected, strict=True)
        ],
        "randomisation": [d.p for d in grouped],
        "Holm": [float(p) for p in holms],
    }
    if all(d.mcnemar is not None for d in grouped):
        p_values["McNemar"] = [d.mcnemar for d in grouped]
    tests = Table(
        f"compare-{file_name(measure)}-tests",
        f"{measure} by {by}: p-values",
        [by, "run", "topics", *p_values],
        [
            [d.group, d.run, d.topics, *(of[row] for of in p_values.values())]
            for row, d in enumerate(grouped)
        ],
        dict.fromkeys(p_values, _P),
        {(row, 3 + list(p_values).index("Holm")): DAGGER for row in marked},
        note="Bonferroni corrects the t-test, Holm the randomisation, each over "
        f"{len(grouped)} tests.",
    )
    return [effects, tests]


_COUNTS = ("wins", "ties", "losses")
_INTERVAL = "[{:+.1f}, {:+.1f}]"


def _numbers(d: Difference) -> list[float | None]:
    """In the order of `_FORMATS`."""
    return [d.baseline, d.score, d.difference, d.dz]


def _intervals(
    columns: Sequence[str], found: Sequence[Difference]
) -> dict[tuple[int, int], tuple[float, float]]:
    column = columns.index("difference")
    return {(row, column): d.interval for row, d in enumerate(found)}


def _draw(grouped: Sequence[Difference], measure: str, axes: Axes) -> None:
    runs = list(dict.fromkeys(d.run for d in grouped))
    groups = list(dict.fromkeys(d.group for d in grouped))
    for number, run in enumerate(runs):
        of_run = [d for d in grouped if d.run == run]
        # Runs of one group stand close together, below each other.
        places = [groups.index(d.group) + 0.6 * (number + 0.5) / len(runs) - 0.3 for d in of_run]
        reach = [
            [d.difference - d.interval[0] for d in of_run],
            [d.interval[1] - d.difference for d in of_run],
        ]
        values = [d.difference for d in of_run]
        axes.errorbar(values, places, xerr=reach, fmt="o", markersize=4, label=run)
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.set_yticks(range(len(groups)), groups)
    axes.invert_yaxis()
    axes.set_xlabel(f"difference in {measure}, percentage points")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))


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
        if hits := one.run and one.run.get(qid):
            yield f"first of {one.name}", trec_order(hits)[0].docid


def _excerpt(passage: Passage) -> str:
    text = f"{passage.title}: {passage.text}" if passage.title else passage.text
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
