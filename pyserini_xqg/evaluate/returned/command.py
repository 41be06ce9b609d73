"""What comes back: languages of the passages returned, overlap of runs, hubs, kinds of misses.

In which languages the first passages are is what Wu, Ren and Verberne (arXiv 2408.11942) ask.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Qrels, read_collection
from pyserini_xqg.collection.runs import read_runs
from pyserini_xqg.collection.topics import add_language_option, read_topics
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.returned.rankings import PERSISTENCE, collection_facts, top
from pyserini_xqg.evaluate.returned.tables import (
    Returned,
    hub_section,
    language_section,
    miss_section,
    overlap_section,
)
from pyserini_xqg.evaluate.trec.measures import check_answers, trec_order


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate returned",
        description=__doc__.partition("\n")[0],
        example="--runs dense.run bm25.run --topics topics.jsonl --qrels qrels.txt --corpus "
        "corpus.jsonl",
    )
    add = parser.add_argument
    add("--runs", nargs="+", required=True, metavar="RUN", help="TREC runs")
    add("--topics", help="JSONL or TSV; their languages group the tables")
    add_language_option(parser)
    add("--qrels", help="adds kinds of misses; needs --topics")
    add("--corpus", help="titles, scripts, and languages where its rows have lang")
    add("--languages-of", metavar="FILE", help="docid and language a line, instead of --corpus")
    add("--k", type=int, default=10, help="hits of a topic to look at")
    add("--persistence", type=float, default=PERSISTENCE, help="of RBO")
    add_output_options(parser)
    args = parser.parse_args(argv)
    if args.k < 1:
        raise XqgError(f"--k {args.k}: expected at least 1")
    if not 0 < args.persistence < 1:
        raise XqgError(f"--persistence {args.persistence}: expected a number between 0 and 1")
    if args.qrels and not args.topics:
        raise XqgError("--qrels needs --topics")
    # As trec_eval ranks, so that a hit here is a hit by Success@k.
    runs = {
        name: {qid: trec_order(hits) for qid, hits in run.items()}
        for name, run in read_runs(args.runs).items()
    }
    qrels: Qrels | None = None
    if args.qrels:
        collection = read_collection(args.topics, args.qrels, language=args.language)
        qrels, languages = collection.qrels, collection.by("lang")
        for name, run in runs.items():
            check_answers(run, collection, name)
    else:
        languages = {}
        if args.topics:
            asked = {t.qid: t.language for t in read_topics(args.topics, args.language)}
        else:
            asked = {qid: "" for run in runs.values() for qid in run}
        for qid, code in sorted(asked.items()):
            languages.setdefault(code or "unknown", []).append(qid)
    wanted = {docid for run in runs.values() for qid in run for docid in top(run, qid, args.k)}
    wanted |= {docid for judged in (qrels or {}).values() for docid in judged}
    facts = collection_facts(wanted, args.corpus, args.languages_of)
    if missing := wanted - facts.passages.keys():
        source = args.corpus or args.languages_of
        raise XqgError(f"{len(missing)} docid(s) are not in {source}, e.g. {min(missing)!r}")
    given = Returned(runs, languages, args.k, facts)
    sections = [language_section(given)]
    if len(runs) > 1:
        sections.append(overlap_section(given, args.persistence))
    sections.append(hub_section(given, qrels))
    if qrels is not None:
        sections.append(miss_section(given, qrels))
    publish(sections, args.output, "What comes back", overwrite=args.overwrite, full=args.full)
