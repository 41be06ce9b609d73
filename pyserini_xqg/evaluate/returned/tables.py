"""The tables and plots of ``evaluate returned``: languages, overlap, hubs, kinds of misses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from pyserini_xqg.collection.judged import Qrels
from pyserini_xqg.collection.runs import Run
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.evaluate.returned.rankings import (
    OUTCOMES,
    PERSISTENCE,
    CollectionFacts,
    PassageFacts,
    jaccard,
    outcome,
    rank_biased_overlap,
    returns,
    skewness,
    top,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNKNOWN = PassageFacts()


class Returned(NamedTuple):
    """Runs, and what they are looked at by.

    Attributes
    ----------
    runs : dict of str to Run
        By name.
    languages : dict of str to list of str
        Topic ids by language.
    k : int
        Hits of a topic that are looked at.
    facts : CollectionFacts
        Of all passages among them, and of the relevant ones.
    """

    runs: Mapping[str, Run]
    languages: Mapping[str, Sequence[str]]
    k: int
    facts: CollectionFacts

    def groups(self) -> list[tuple[str, Sequence[str]]]:
        """Languages with their topics, and all topics where there is more than one language."""
        everything = [qid for qids in self.languages.values() for qid in qids]
        total = [("all", everything)] if len(self.languages) > 1 else []
        return [*self.languages.items(), *total]


def language_section(given: Returned) -> Section:
    """Passage languages and scripts among the first k, by topic language, in per cent."""
    text, tables, plots = [], [], []
    if not given.facts.languages:
        text.append("The corpus names no languages (field lang): passages are told by script.")
    for what, of_all in (("language", given.facts.languages), ("script", given.facts.scripts)):
        if not of_all:
            continue
        columns = [name for name, _ in of_all.most_common()]
        missing = given.facts.size - of_all.total()
        columns += ["unknown"] if missing else []
        if len(columns) == 1:
            text.append(f"All {given.facts.size:,} passages have one {what}: {columns[0]}.")
            continue
        everywhere = Counter({**of_all, "unknown": missing})
        shown = {("collection", ""): _shares(everywhere, columns)}
        for name, run in given.runs.items():
            for language, qids in given.groups():
                found = Counter(
                    getattr(given.facts.passages.get(docid, _UNKNOWN), what) or "unknown"
                    for qid in qids
                    for docid in top(run, qid, given.k)
                )
                shown[name, language] = _shares(found, columns)
        tables.append(
            Table(
                f"returned-{what}s",
                f"{what.capitalize()}s of the first {given.k} passages, % of those returned",
                ["run", "topics in", *columns],
                [[*key, *shares] for key, shares in shown.items()],
                dict.fromkeys(columns, ".1f"),
            )
        )
        plots.append(_bars(what, columns, shown, given.k))
    return Section("Languages of the passages returned", text, tables, plots)


def overlap_section(given: Returned, persistence: float = PERSISTENCE) -> Section:
    """How much each two runs return the same."""
    rows: list[list[Cell]] = []
    for one, other in combinations(given.runs, 2):
        for language, qids in given.groups():
            pairs = [
                (top(given.runs[one], q, given.k), top(given.runs[other], q, given.k)) for q in qids
            ]
            pairs = [pair for pair in pairs if any(pair)]
            row: list[Cell] = [f"{one} | {other}", language, len(pairs)]
            if pairs:
                row += [
                    sum(jaccard(*pair) for pair in pairs) / len(pairs),
                    sum(rank_biased_overlap(*pair, persistence) for pair in pairs) / len(pairs),
                ]
            rows.append(row if pairs else [*row, None, None])
    table = Table(
        "returned-overlap",
        f"Overlap of the first {given.k} passages, mean over topics",
        ["runs", "topics in", "n", "Jaccard", "RBO"],
        rows,
        {"Jaccard": ".3f", "RBO": ".3f"},
        note=f"RBO: rank-biased overlap, persistence {persistence:g}, extrapolated. n: topics for "
        "which either run returns something.",
    )
    return Section("Overlap of the runs", [], [table])


def hub_section(given: Returned, qrels: Qrels | None = None, largest: int = 10) -> Section:
    """How unevenly passages are returned, and which are returned most."""
    rows: list[list[Cell]] = []
    hubs: list[list[Cell]] = []
    curves: dict[str, list[int]] = {}
    language_of = {qid: code for code, qids in given.languages.items() for qid in qids}
    for name, run in given.runs.items():
        for language, qids in given.groups():
            counts = returns(run, qids, given.k)
            total, first = counts.total(), counts.most_common(largest)
            rows.append(
                [
                    name,
                    language,
                    len(qids),
                    100 * (1 - len(counts) / given.facts.size),
                    100 * max(0.0, 1 - len(qids) * given.k / given.facts.size),
                    skewness(counts, given.facts.size),
                    first[0][1] if first else 0,
                    100 * sum(count for _, count in first) / total if total else None,
                ]
            )
        everywhere = returns(run, language_of, given.k)
        curves[name] = sorted(everywhere.values(), reverse=True)
        for docid, count in everywhere.most_common(largest):
            asked = [qid for qid in language_of if docid in top(run, qid, given.k)]
            languages = Counter(language_of[qid] for qid in asked).most_common()
            wanted = sum(qrels.get(qid, {}).get(docid, 0) > 0 for qid in asked) if qrels else None
            hubs.append(
                [
                    name,
                    docid,
                    given.facts.passages.get(docid, _UNKNOWN).title,
                    count,
                    100 * count / len(language_of),
                    wanted,
                    " ".join(f"{code} {n}" for code, n in languages),
                ]
            )
    never, share = "never returned, %", f"share of {largest} largest, %"
    unevenness = Table(
        "returned-hubness",
        f"How often passages are among the first {given.k} (N_k)",
        ["run", "topics in", "n", never, "at least, %", "skewness", "largest N_k", share],
        rows,
        {never: ".1f", "at least, %": ".1f", "skewness": ".2f", share: ".1f"},
        note=f"Over the collection's {given.facts.size:,} passages. At least: the share that n "
        "topics cannot but leave out. Skewness grows with the collection: compare runs on one "
        "collection and set of topics.",
    )
    listed = Table(
        "returned-hubs",
        f"The {largest} passages returned most",
        ["run", "docid", "title", "N_k", "% of topics", "relevant for", "topics in"],
        hubs,
        {"% of topics": ".1f"},
    )
    return Section("Hubs", [], [unevenness, listed], [_curves(curves, given.k)])


def miss_section(given: Returned, qrels: Qrels) -> Section:
    """What became of the topics, and of the misses, how many were in the right document."""
    rows: list[list[Cell]] = []
    passages = given.facts.passages
    titles = any(facts.title for facts in passages.values())
    for name, run in given.runs.items():
        for language, qids in given.groups():
            found: Counter[str] = Counter()
            near = 0
            for qid in qids:
                hits = [hit.docid for hit in run.get(qid, [])]
                relevant = {docid for docid, value in qrels[qid].items() if value > 0}
                kind = outcome(hits, given.k, relevant)
                found[kind] += 1
                wanted = {passages.get(docid, _UNKNOWN).title for docid in relevant} - {""}
                near += kind != "hit" and any(
                    passages.get(docid, _UNKNOWN).title in wanted for docid in hits[: given.k]
                )
            counts: list[Cell] = [found[kind] for kind in OUTCOMES]
            rows.append([name, language, len(qids), *counts, near if titles else None])
    table = Table(
        "returned-misses",
        f"What became of the topics, k = {given.k}",
        ["run", "topics in", "n", *OUTCOMES, "right title"],
        rows,
        note="Below k: a relevant passage is in the run, further down. Right title: of the misses "
        "of all three kinds, those with a passage among the first k that has a relevant one's "
        "title." + ("" if titles else " The passages have no titles."),
    )
    return Section("Misses by kind", [], [table])


def _shares(found: Counter[str], columns: Sequence[str]) -> list[Cell]:
    total = found.total()
    return [100 * found[column] / total if total else None for column in columns]


def _bars(
    what: str, columns: Sequence[str], shown: Mapping[tuple[str, str], Sequence[Cell]], k: int
) -> Plot:
    def draw(axes: Axes) -> None:
        names = [", ".join(filter(None, key)) for key in shown]
        left = [0.0] * len(names)
        for number, column in enumerate(columns):
            widths = [float(shares[number] or 0) for shares in shown.values()]
            axes.barh(names, widths, left=left, label=column)
            left = [start + width for start, width in zip(left, widths, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel(f"% of the first {k} passages")
        axes.legend(frameon=False, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    title = f"{what.capitalize()}s of the passages returned"
    return Plot(f"returned-{what}s", title, draw, (8.0, max(2.5, 1 + 0.2 * len(shown))))


def _curves(curves: Mapping[str, Sequence[int]], k: int) -> Plot:
    def draw(axes: Axes) -> None:
        for name, counts in curves.items():
            axes.plot(range(1, len(counts) + 1), counts, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("passages, most returned first")
        axes.set_ylabel(f"topics with it among the first {k}")
        axes.legend(frameon=False)

    return Plot("returned-hubness", "How often each passage is returned, by rank", draw)
