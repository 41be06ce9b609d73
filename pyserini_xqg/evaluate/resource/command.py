"""Which languages gain: the difference of two runs against what each language has.

Pre-training text, training questions, tokens a word, and the baseline's own score: "low-resource"
is not one thing, and there are no groups but those that the user names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import BY, check_judged, read_collection
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.collection.runs import read_run
from pyserini_xqg.collection.topics import add_language_option
from pyserini_xqg.evaluate.leakage.contamination import spec_of
from pyserini_xqg.evaluate.leakage.near_duplicates import stream_questions
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.report.sections import Section
from pyserini_xqg.evaluate.resource.ceiling import by_cluster
from pyserini_xqg.evaluate.resource.gains import factors_of, gain_of, token_counter
from pyserini_xqg.evaluate.resource.tables import (
    group_section,
    measures_table,
    resource_section,
)
from pyserini_xqg.evaluate.trec.measures import check_answers, score_by_topic


def parse_groups(given: Sequence[str], there: Iterable[str]) -> dict[str, list[str]]:
    """Languages by group, from ``low=bn,te``.

    Raises
    ------
    XqgError
        For an argument of another form, a group named twice, or a language without topics.
    """
    groups: dict[str, list[str]] = {}
    for argument in given:
        name, equals, codes = argument.partition("=")
        if not name or not equals or not codes:
            raise XqgError(f"--groups {argument}: expected a name and languages, as in low=bn,te")
        if name in groups:
            raise XqgError(f"--groups: {name!r} is named twice")
        groups[name] = check_judged(codes.split(","), there, f"--groups {argument}")
    return groups


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate resource",
        description=__doc__.partition("\n")[0],
        example="--topics topics.jsonl --qrels qrels.txt --baseline passages.run --run "
        "routed.run --encoder stores/mine",
    )
    add = parser.add_argument
    add("--topics", required=True, help="JSONL or TSV")
    add("--qrels", required=True, help="in TREC format")
    add_language_option(parser)
    add("--clusters", help="topic id and cluster, a topic a line")
    add(
        "--languages",
        nargs="+",
        type=code_of("--languages"),
        help="those to look at (default: all)",
    )
    add("--baseline", required=True, metavar="RUN", help="the run that the others are held against")
    add("--run", required=True, metavar="RUN", help="the run that gains")
    add(
        "--measures",
        nargs="+",
        default=["RR@10"],
        help="such as R@100 or recall.100; plots are of the first",
    )
    add("--encoder", help="a preset, store, index or model: adds tokens a word")
    add("--train", nargs="+", help="adds training questions by language")
    add("--groups", nargs="+", default=[], metavar="NAME=LANGUAGES", help="such as low=bn,te")
    add("--by", default="lang", choices=BY, help="what topics are grouped by")
    add_output_options(parser)
    args = parser.parse_args(argv)
    collection = read_collection(args.topics, args.qrels, args.clusters, args.language)
    languages = collection.by("lang")
    if args.languages:
        chosen = check_judged(args.languages, languages, "--languages")
        languages = {code: languages[code] for code in chosen}
        collection = collection.only(qid for qids in languages.values() for qid in qids)
    groups = parse_groups(args.groups, languages)
    count_tokens = token_counter(spec_of(args.encoder)) if args.encoder else None
    trained = _trained(args.train, list(languages)) if args.train else None
    grouped = collection.by(args.by)
    runs = [read_run(path) for path in (args.baseline, args.run)]
    for run, path in zip(runs, (args.baseline, args.run), strict=True):
        check_answers(run, collection, path)
    scores = [score_by_topic(collection.qrels, run, args.measures) for run in runs]
    found = {}
    for measure in args.measures:
        pair = scores[0][measure], scores[1][measure]
        found[measure] = (
            {name: gain_of(collection, qids, *pair) for name, qids in grouped.items()},
            gain_of(collection, list(collection.topics), *pair),
            by_cluster(collection, grouped, *pair),
        )
    first = args.measures[0]
    gains, everything, clusters = found[first]
    factors = factors_of(collection, gains, count_tokens, trained)
    what = {"lang": "language"}.get(args.by, args.by)
    sections = [resource_section(gains, everything, factors, clusters, first, what)]
    if len(found) > 1:
        sections.append(Section("Other measures", [], [measures_table(found)]))
    if groups:
        of_groups = {
            name: (
                codes,
                gain_of(
                    collection,
                    [qid for code in codes for qid in languages[code]],
                    scores[0][first],
                    scores[1][first],
                ),
            )
            for name, codes in groups.items()
        }
        sections.append(group_section(of_groups, first))
    publish(sections, args.output, "Gain and resources", overwrite=args.overwrite, full=args.full)


def _trained(paths: Sequence[str], languages: Sequence[str]) -> Counter[str]:
    codes = [code for code in languages if code != "unknown"]
    return Counter(asked.language for asked in stream_questions(paths, codes))
