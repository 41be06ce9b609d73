"""Scores of runs by language and over all, computed by ir_measures and checked by trec_eval."""

from __future__ import annotations

from collections.abc import Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import BY, check_judged, read_collection
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.collection.runs import read_runs
from pyserini_xqg.collection.topics import add_language_option
from pyserini_xqg.evaluate.by_query import write_by_query
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.report.sections import Section
from pyserini_xqg.evaluate.trec.measures import (
    check_answers,
    distinct_measures,
    file_name,
    score_by_topic,
)
from pyserini_xqg.evaluate.trec.scores import means_plot, scores_of, scores_table
from pyserini_xqg.evaluate.trec.trec_eval import check_with_trec_eval

#: The defaults of ``--measures``.
MEASURES = ("RR@10", "nDCG@10", "R@100", "P@10", "Success@1")


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate trec",
        description=__doc__,
        example="--topics topics.jsonl --qrels qrels.txt --runs dense.run bm25.run",
    )
    add = parser.add_argument
    add("--topics", required=True, help="JSONL or TSV")
    add_language_option(parser)
    add("--qrels", required=True, help="in TREC format")
    add("--runs", nargs="+", required=True, help="TREC runs")
    add("--clusters", help="topic id and cluster, a topic a line")
    add(
        "--measures",
        nargs="+",
        default=list(MEASURES),
        help="such as R@100 or recall.100",
    )
    add("--by", default="lang", choices=BY, help="what topics are grouped by")
    add(
        "--languages",
        nargs="+",
        type=code_of("--languages"),
        help="those of the mean (default: all); with --by lang",
    )
    add("--by-query", metavar="CSV", help="write every topic's scores (one run)")
    add("--no-check", action="store_true", help="do not compute them again by Pyserini's trec_eval")
    add_output_options(parser)
    args = parser.parse_args(argv)
    if args.by_query and len(args.runs) > 1:
        raise XqgError(f"--by-query writes one run's scores; found {len(args.runs)} runs")
    if args.languages and args.by != "lang":
        raise XqgError(f"--languages names languages: leave it out with --by {args.by}")
    measures = distinct_measures(args.measures)
    collection = read_collection(args.topics, args.qrels, args.clusters, args.language)
    mean_of = list(collection.by(args.by))
    if args.languages:
        mean_of = check_judged(args.languages, mean_of, "--languages")
    text = [f"{len(collection.topics)} topics; one without results counts as 0."]
    scores = {}
    runs = read_runs(args.runs)
    for name, run in runs.items():
        check_answers(run, collection, name)
        scores[name] = score_by_topic(collection.qrels, run, measures)
        if unanswered := sum(not run.get(qid) for qid in collection.topics):
            text.append(f"{name}: {unanswered} without results.")
    text.append(
        "Not checked against trec_eval (--no-check)."
        if args.no_check
        else check_with_trec_eval(collection.qrels, runs, scores)
    )
    found = {
        measure: {
            name: scores_of(collection, of_run[measure], mean_of, args.by)
            for name, of_run in scores.items()
        }
        for measure in measures
    }
    tables = [
        scores_table(f"{measure}, %", file_name(measure), of, collection, mean_of, args.by)
        for measure, of in found.items()
    ]
    first = measures[0]
    plots = [means_plot(file_name(first), f"{first}, %", found[first])]
    if args.by_query:
        write_by_query(args.by_query, next(iter(scores.values())))
    title = f"Scores by {'language' if args.by == 'lang' else args.by}"
    publish(
        [Section(title, text, tables, plots)],
        args.output,
        title,
        overwrite=args.overwrite,
        full=args.full,
    )
