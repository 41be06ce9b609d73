"""Leakage: topics that generated queries or training questions nearly repeat, and scores without.

A generator or encoder that has seen a test question in training may know its passage by heart.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection, read_collection
from pyserini_xqg.collection.runs import read_runs
from pyserini_xqg.collection.topics import add_language_option, read_topics
from pyserini_xqg.evaluate.leakage.contamination import contamination_section, spec_of
from pyserini_xqg.evaluate.leakage.near_duplicates import LENGTH, THRESHOLD, scan
from pyserini_xqg.evaluate.leakage.questions import stream_questions
from pyserini_xqg.evaluate.leakage.tables import near_duplicate_section, score_section
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.trec.measures import check_answers, distinct_measures


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate leakage",
        description=__doc__.partition("\n")[0],
        example="--topics topics.jsonl --queries queries.jsonl",
    )
    parser.add_argument("--topics", help="JSONL or TSV")
    add_language_option(parser)
    parser.add_argument("--queries", nargs="+", help="generated queries, as the encoder took them")
    parser.add_argument(
        "--train",
        nargs="+",
        help="training questions: JSONL with question (XOR-TyDi) or query (Tevatron), or TSV of "
        "language and question",
    )
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="Jaccard coefficient")
    parser.add_argument("--ngram", type=int, default=LENGTH, help="characters of an n-gram")
    parser.add_argument("--runs", nargs="+", metavar="RUN", help="scored again; needs --qrels")
    parser.add_argument("--qrels", help="in TREC format; only judged topics are looked at")
    parser.add_argument(
        "--measures",
        nargs="+",
        default=["RR@10"],
        help="such as R@100 or recall.100",
    )
    parser.add_argument("--encoder", help="a preset, store, index or model: its training data")
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
