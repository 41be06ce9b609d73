"""Runs beside a baseline: one primary test, then every difference, by language and pooled."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import (
    BY,
    Collection,
    check_judged,
    read_clusters,
    read_collection,
)
from pyserini_xqg.collection.languages import add_languages_option
from pyserini_xqg.collection.runs import file_names, read_runs
from pyserini_xqg.collection.topics import add_language_option, read_topics
from pyserini_xqg.evaluate.by_query import read_by_query
from pyserini_xqg.evaluate.compare.differences import Comparison, System, system_of_run
from pyserini_xqg.evaluate.compare.tables import (
    changes_section,
    measure_section,
    methods_section,
    primary_section,
)
from pyserini_xqg.evaluate.from_store.coverage import coverage_note, with_caveat
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.report.sections import Section
from pyserini_xqg.evaluate.trec.measures import distinct_measures
from pyserini_xqg.store.store import Store

#: The default of ``--primary``.
PRIMARY = "RR@10"
#: The default of ``--measures``.
MEASURES = ("RR@10", "Success@1", "R@100")


def compare(
    collection: Collection,
    baseline: System,
    systems: Sequence[System],
    *,
    primary: str = PRIMARY,
    by: str = "lang",
    corpus: str | Path | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> list[Section]:
    """What ``evaluate compare`` prints.

    Parameters
    ----------
    collection : Collection
        Its topics are those compared. Its qrels are read only with `corpus`.
    baseline : System
        By each measure of its scores it is compared.
    systems : sequence of System
        The first one's is the primary test.
    primary : str
        The measure of the primary test: pooled, whole clusters randomised.
    by : str
        A key of `BY`.
    corpus : path-like or None
        Where the passages of the topics that changed most are.
    draws, seed : int
        Of the bootstrap and the randomisation test.

    Returns
    -------
    list of Section
        The primary test; a section a measure, the primary one first; the topics that changed most;
        how to read it all.

    Raises
    ------
    XqgError
        If a system lacks a measure or a topic.
    """
    comparison = Comparison(collection, baseline, draws=draws, seed=seed)
    topics, groups = list(collection.topics), collection.by(by)
    first = comparison.on(systems[0], primary, "all topics", topics)
    sections = [primary_section(comparison, primary, first)]
    for measure in dict.fromkeys([primary, *baseline.scores]):
        pooled = []
        for system in systems:
            pooled.append(comparison.on(system, measure, "all topics", topics))
            if len({len(qids) for qids in groups.values()}) > 1:  # else it is the same
                name = f"mean of {len(groups)}"
                pooled.append(comparison.of_means(system, measure, name, groups))
        grouped = [
            comparison.on(system, measure, group, qids)
            for group, qids in groups.items()
            for system in systems
        ]
        sections.append(measure_section(comparison, measure, by, pooled, grouped))
    sections.append(changes_section(comparison, systems, primary, corpus))
    sections.append(methods_section(comparison, by, len(groups) * len(systems)))
    return sections


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate compare",
        description=__doc__,
        example="--topics topics.jsonl --qrels qrels.txt --baseline bm25.run --runs dense.run "
        "--output report",
    )
    add = parser.add_argument
    add("--topics", required=True, help="JSONL or TSV")
    add_language_option(parser)
    add_languages_option(parser, "compare on the topics in these only")
    add("--qrels", help="in TREC format")
    add("--baseline", required=True, metavar="RUN", help="the run that the others are held against")
    add("--runs", nargs="+", required=True, metavar="RUN", help="the first is the primary test's")
    add(
        "--scores",
        action="store_true",
        help="baseline and runs are CSV files of scores by topic, as --by-query writes them",
    )
    add("--primary", help=f"measure of the primary test ({PRIMARY}; --scores: the first measure)")
    add("--measures", nargs="+", help=f"({' '.join(MEASURES)}; --scores: all of the baseline)")
    add("--clusters", metavar="FILE", help="topic id and cluster a line (by relevant passage)")
    add("--by", default="lang", choices=BY, help="what topics are grouped by")
    add("--corpus", help="shows the passages of the topics that changed most")
    add(
        "--embeddings",
        nargs="+",
        metavar="STORE",
        help="that a run's index was made from: says where relevant passages have queries more "
        "often than others",
    )
    add("--draws", type=int, default=10_000, help="of bootstrap and randomisation")
    add("--seed", type=int, default=0, help="of everything that is drawn")
    add_output_options(parser)
    args = parser.parse_args(argv)
    if args.draws < 1:
        raise XqgError(f"--draws {args.draws}: expected at least 1")
    if args.corpus and args.scores:
        raise XqgError("--corpus shows what runs return: leave it out with --scores")
    if args.embeddings and not args.qrels:
        raise XqgError("--embeddings tells relevant passages from others by --qrels: give it, too")
    if not args.qrels and not args.scores:
        raise XqgError("runs need --qrels; only --scores do without")
    collection, systems = (_scored if args.scores else _ranked)(args)
    baseline, *others = systems
    sections = compare(
        collection,
        baseline,
        others,
        primary=next(iter(baseline.scores)),
        by=args.by,
        corpus=args.corpus,
        draws=args.draws,
        seed=args.seed,
    )
    if args.embeddings:
        store = Store(args.embeddings)
        note = coverage_note(store, store.languages, collection.qrels)
        sections[0] = with_caveat(sections[0], note)
    title = f"{', '.join(system.name for system in others)} against {baseline.name}"
    publish(sections, args.output, title, overwrite=args.overwrite, full=args.full)


def _ranked(args: argparse.Namespace) -> tuple[Collection, list[System]]:
    """The collection, and the systems with their primary measure first."""
    collection = read_collection(args.topics, args.qrels, args.clusters, args.language)
    collection = _in_languages(collection, args.languages)
    measures = distinct_measures([args.primary or PRIMARY, *(args.measures or MEASURES)])
    runs = read_runs([args.baseline, *args.runs])
    return collection, [
        system_of_run(name, run, collection, measures) for name, run in runs.items()
    ]


def _scored(args: argparse.Namespace) -> tuple[Collection, list[System]]:
    """The same from scores by topic."""
    paths = [args.baseline, *args.runs]
    scores = {
        name: read_by_query(path)
        for name, path in zip(file_names(paths, ".csv"), paths, strict=True)
    }
    of_baseline = next(iter(scores.values()))
    measures = list(dict.fromkeys([*filter(None, [args.primary]), *(args.measures or of_baseline)]))
    if missing := [name for name in measures if name not in of_baseline]:
        raise XqgError(
            f"{args.baseline}: no scores by {missing[0]!r}; there are {', '.join(of_baseline)}"
        )
    scored = next(iter(of_baseline.values())).keys()
    if args.qrels:
        collection = read_collection(args.topics, args.qrels, args.clusters, args.language)
    else:
        topics = {t.qid: t for t in read_topics(args.topics, args.language) if t.qid in scored}
        bound = read_clusters(args.clusters, topics) if args.clusters else {q: q for q in topics}
        collection = Collection(topics, {}, bound)
    if missing := sorted(scored - collection.topics.keys()):
        example = f"e.g. {missing[0]!r}"
        said = f"{args.topics}: lacks {len(missing)} topic(s) of {args.baseline}, {example}"
        if len(missing) == len(scored):
            raise XqgError(said)
        left = len(scored) - len(missing)
        warnings.warn(f"{said}; compared over the other {left}", stacklevel=2)
    collection = _in_languages(collection.only(scored), args.languages)
    return collection, [
        System(name, {m: of[m] for m in measures if m in of}) for name, of in scores.items()
    ]


def _in_languages(collection: Collection, languages: Sequence[str] | None) -> Collection:
    if languages is None:
        return collection
    there = collection.by()
    chosen = check_judged(languages, there, "--languages")
    return collection.only(qid for code in chosen for qid in there[code])
