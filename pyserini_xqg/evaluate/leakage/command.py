"""Leakage: topics that generated queries or training questions nearly repeat, and scores without.

A generator or encoder that has seen a test question in training may know its passage by heart.
"""

from __future__ import annotations

from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping, Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection, read_collection
from pyserini_xqg.collection.runs import Run, read_runs
from pyserini_xqg.collection.topics import Topic, add_language_option, read_topics
from pyserini_xqg.evaluate.leakage.contamination import contamination_section, spec_of
from pyserini_xqg.evaluate.leakage.near_duplicates import (
    LENGTH,
    THRESHOLD,
    Scan,
    scan,
    stream_questions,
)
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.evaluate.trec.measures import check_answers, distinct_measures, score_by_topic


def near_duplicate_section(
    topics: Mapping[str, Topic],
    languages: Mapping[str, Sequence[str]],
    scans: Mapping[str, Scan],
    threshold: float,
    length: int = LENGTH,
    examples: int = 10,
) -> Section:
    """Topics with near-duplicates, counted by language, and the worst of them.

    Parameters
    ----------
    topics : mapping of str to Topic
    languages : mapping of str to sequence of str
        Topic ids by language.
    scans : mapping of str to Scan
        By what the questions are: ``generated``, ``training``.
    threshold, length
        What the scans were made with.
    examples : int
        Shown of each scan.
    """
    columns = ["topics in", "n"]
    for name in scans:
        columns += [f"{name}: equal", f"{name}: own language", f"{name}: other only"]
    rows: list[list[Cell]] = []
    for language, qids in [*languages.items(), ("all", list(topics))]:
        row: list[Cell] = [language, len(qids)]
        for found in scans.values():
            worst = found.worst
            row += [
                sum(qid in worst and worst[qid].equal for qid in qids),
                sum(qid in found.same for qid in qids),
                sum(qid in found.other and qid not in found.same for qid in qids),
            ]
        rows.append([*row, len(_flagged(scans.values()).intersection(qids))])
    counted = Table(
        "leakage-counts",
        "Topics with a near-duplicate",
        [*columns, "any"],
        rows,
        note="Equal: the same letters and digits, in any language. Own language: equal ones "
        "included. Other only: near-duplicates in other or unknown languages alone.",
    )
    shown: list[list[Cell]] = []
    codes: dict[tuple[int, int], str] = {}
    for name, found in scans.items():
        matches = sorted(found.worst.values(), key=lambda m: (*m.rank, m.topic.qid), reverse=True)
        for match in matches[:examples]:
            codes[len(shown), 2] = match.topic.language
            codes[len(shown), 3] = match.asked.language
            asked = match.asked
            shown.append(
                [
                    name,
                    match.topic.qid,
                    match.topic.text,
                    " ".join(asked.text.split()),
                    asked.language or "unknown",
                    asked.where,
                    match.jaccard,
                ]
            )
    listed = Table(
        "leakage-examples",
        f"The worst of them, at most {examples} of a kind",
        ["questions", "topic", "asks", "resembles", "in", "where", "Jaccard"],
        shown,
        {"Jaccard": ".2f"},
        languages={place: code for place, code in codes.items() if code},
    )
    read = [
        f"{name}: {found.read:,} questions compared"
        + (f", {found.untold:,} of them in an unknown language." if found.untold else ".")
        for name, found in scans.items()
    ]
    how = (
        f"Near-duplicates: letters, marks and digits are equal after NFKC and case folding, or the "
        f"Jaccard coefficient of their character {length}-grams is at least {threshold:g}. "
        "Translations and paraphrases are not found."
    )
    tables = [counted, listed] if shown else [counted]
    return Section("Near-duplicates of the topics", [how, *read], tables)


def score_section(
    collection: Collection,
    runs: Mapping[str, Run],
    measures: Sequence[str],
    scans: Mapping[str, Scan],
) -> Section:
    """Every score of every run, over all topics and over those without near-duplicates."""
    title = "Scores without near-duplicates"
    if not _flagged(scans.values()):
        return Section(title, ["No topic has one: every score stands as it is."])
    without = {f"without {name}": _flagged([found]) for name, found in scans.items()}
    if len(scans) > 1:
        without["without either"] = _flagged(scans.values())
    left = {"all topics": set[str](), **without}
    columns = ["run", "measure", "topics in"]
    for name in left:
        columns += [f"n, {name}", name]
    rows: list[list[Cell]] = []
    groups = collection.by("lang")
    for run, hits in runs.items():
        for measure, scores in score_by_topic(collection.qrels, hits, measures).items():
            figures = {
                name: [_mean(scores, set(qids) - out) for qids in groups.values()]
                for name, out in left.items()
            }
            for number, language in enumerate(groups):
                cells = [cell for name in left for cell in figures[name][number]]
                rows.append([run, measure, language, *cells])
            pooled = [cell for out in left.values() for cell in _mean(scores, set(scores) - out)]
            rows.append([run, measure, "all", *pooled])
            if len(groups) > 1:
                means = [cell for of in figures.values() for cell in _mean_of(of)]
                rows.append([run, measure, "mean of languages", *means])
    table = Table(
        "leakage-scores",
        "Scores with and without topics that have near-duplicates, %",
        columns,
        rows,
        dict.fromkeys(left, ".2f"),
        note="A topic is left out for a near-duplicate in any language. That shifts the weight of "
        "each language in all; the mean of languages weighs them as before, and is empty where one "
        "has no topics left.",
    )
    return Section(title, [], [table])


def _flagged(scans: Iterable[Scan]) -> set[str]:
    return {qid for found in scans for qid in found.same | found.other}


def _mean(scores: Mapping[str, float], qids: Container[str]) -> tuple[int, float | None]:
    """Topics and their mean, in per cent."""
    return len(qids), 100 * sum(scores[qid] for qid in qids) / len(qids) if qids else None


def _mean_of(groups: Sequence[tuple[int, float | None]]) -> tuple[int, float | None]:
    """Topics and the mean of means; none if a group is empty, for it would be of other groups."""
    means = [mean for _, mean in groups if mean is not None]
    complete = len(means) == len(groups)
    return sum(n for n, _ in groups), sum(means) / len(means) if complete else None


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate leakage",
        description=__doc__.partition("\n")[0],
        example="--topics topics.jsonl --queries queries.jsonl",
    )
    add = parser.add_argument
    add("--topics", help="JSONL or TSV")
    add_language_option(parser)
    add("--queries", nargs="+", help="generated queries, as the encoder took them")
    add(
        "--train",
        nargs="+",
        help="training questions: JSONL with question (XOR-TyDi) or query (Tevatron), or TSV of "
        "language and question",
    )
    add("--threshold", type=float, default=THRESHOLD, help="Jaccard coefficient")
    add("--ngram", type=int, default=LENGTH, help="characters of an n-gram")
    add("--runs", nargs="+", metavar="RUN", help="scored again; needs --qrels")
    add("--qrels", help="in TREC format; only judged topics are looked at")
    add(
        "--measures",
        nargs="+",
        default=["RR@10"],
        help="such as R@100 or recall.100",
    )
    add("--encoder", help="a preset, store, index or model: its training data")
    add_output_options(parser)
    args = parser.parse_args(argv)
    sections = [contamination_section(spec_of(args.encoder))] if args.encoder else []
    sources = {"generated": args.queries, "training": args.train}
    given = {name: paths for name, paths in sources.items() if paths}
    if given and not args.topics:
        raise XqgError("--queries and --train need --topics to be compared with")
    if not given and not args.encoder:
        raise XqgError("nothing to look for: give --queries, --train or --encoder")
    if bool(args.runs) != bool(args.qrels) or (args.runs and not given):
        raise XqgError("--runs and --qrels need each other, and --queries or --train")
    if given:
        collection = (
            read_collection(args.topics, args.qrels, language=args.language)
            if args.qrels
            else Collection({t.qid: t for t in read_topics(args.topics, args.language)}, {}, {})
        )
        runs = read_runs(args.runs or [])
        for name, run in runs.items():
            check_answers(run, collection, name)
        topics = list(collection.topics.values())
        codes = sorted({topic.language for topic in topics} - {""})
        scans = {
            name: scan(topics, stream_questions(paths, codes), args.threshold, args.ngram)
            for name, paths in given.items()
        }
        sections.append(
            near_duplicate_section(
                collection.topics, collection.by("lang"), scans, args.threshold, args.ngram
            )
        )
        if runs:
            measures = distinct_measures(args.measures)
            sections.append(score_section(collection, runs, measures, scans))
    publish(sections, args.output, "Leakage", overwrite=args.overwrite, full=args.full)
