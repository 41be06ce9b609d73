"""Clean generated queries: each step is an option of its own, and none is on by default.

Rows pass through with their other fields, in the order of the corpus. At the end comes a report by
language: kept, dropped and why, lengths in characters, and a sample to read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import input_files, write_json
from pyserini_xqg.base.ray_engine import add_ray_options
from pyserini_xqg.base.refusing import refuse_existing
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.collection.shards import add_shard_options
from pyserini_xqg.collection.sources import check_corpus
from pyserini_xqg.collection.topics import add_language_option
from pyserini_xqg.encode.groups import add_encoder_options, encoder_from


def main(argv: Sequence[str] | None = None) -> None:
    args = _parser().parse_args(argv)
    (_filter_on_ray if args.engine == "ray" else filter_here)(args)


def filter_here(args: argparse.Namespace) -> None:
    """Do what the options say, in this process."""
    if args.round_trip_k is not None and args.round_trip is None:
        raise XqgError("--round-trip-k goes with --round-trip INDEX")
    if args.sample < 0 or args.batch_size < 1 or args.threads < 1:
        raise XqgError("--batch-size and --threads are at least 1, --sample at least 0")
    report = Path(args.report) if args.report else None
    if report:
        refuse_existing(report, args.overwrite)

    from pyserini_xqg.filter.pipeline import filter_queries
    from pyserini_xqg.filter.report import Tally

    check_corpus(args.corpus)  # a missing file is found before a model is loaded
    for source in args.queries:
        input_files(source)
    tally = filter_queries(
        args.queries,
        args.corpus,
        args.output,
        min_length=args.min_length,
        deduplicate=args.deduplicate,
        script=args.script,
        identify=args.identify,
        copies=args.copies,
        prompt=args.prompt,
        max_shared=args.max_shared,
        scorer=_scorer(args),
        min_score=args.min_score,
        keep_fraction=args.keep_fraction,
        round_trip=args.round_trip,
        round_trip_k=args.round_trip_k or 10,
        device=args.device,
        trust_remote_code=args.trust_remote_code,
        batch_size=args.batch_size,
        threads=args.threads,
        language=args.language,
        ignore_unknown=args.ignore_unknown,
        shard_id=args.shard_id,
        shard_num=args.shard_num,
        overwrite=args.overwrite,
        tally=Tally(args.sample, args.seed),
    )
    if tally.unknown:
        print(
            f"note: {tally.unknown} rows of queries are for docids that the corpus lacks",
            file=sys.stderr,
        )
    if report:
        write_json(report, tally.to_dict())
    print(tally.to_text())


def _filter_on_ray(args: argparse.Namespace) -> None:
    from pyserini_xqg.base import ray_engine as ray
    from pyserini_xqg.filter.__main__ import filter_here  # by the name that tasks import

    shards = []
    for number in ray.shard_numbers(args):
        path = ray.shard_path(args.output, number)
        report = args.report and ray.shard_path(args.report, number)
        given = ray.changed(args, shard_id=number, output=path, report=report)
        shards.append(ray.Shard(path, given))
    ray.run_on_ray(
        filter_here,
        shards,
        args,
        output=args.output,
        settings=ray.settings_of(args),
        inputs=[args.corpus, *args.queries],
        overwrite=args.overwrite,
    )


def _scorer(args: argparse.Namespace) -> Any:
    """What scores queries, or None where no model is given."""
    from pyserini_xqg.filter.relevance import CrossEncoderScorer, EncoderScorer

    if args.cross_encoder is not None:
        if args.encoder or args.preset or args.similarity:
            raise XqgError(
                "--cross-encoder scores by itself: leave --encoder, --preset, --similarity out"
            )
        return CrossEncoderScorer(
            args.cross_encoder,
            device=args.device,
            batch_size=args.batch_size,
            max_length=args.max_length or 512,
            fields=args.fields,
        )
    if not (args.encoder or args.preset):
        if args.similarity:
            raise XqgError("--similarity goes with --encoder or --preset")
        return None
    return EncoderScorer(encoder_from(args), args.fields, args.similarity or "dot")


def _parser() -> argparse.ArgumentParser:
    from pyserini_xqg.collection.scripts import OWN_SHARE
    from pyserini_xqg.filter.relevance import SIMILARITIES
    from pyserini_xqg.filter.steps import COPIED_SHARE

    parser = Parser(
        prog="python -m pyserini_xqg.filter",
        description=__doc__,
        example="--corpus corpus.jsonl --queries queries.jsonl --output clean.jsonl "
        "--min-length 4 --deduplicate --script",
    )
    add = parser.add_argument
    add("--queries", nargs="+", required=True, help="generated queries: JSONL files or folders")
    add_language_option(parser, "of queries whose rows do not say theirs: plain lists, TSV")
    add("--corpus", required=True, help="their passages; may be the same file")
    add("--output", required=True, metavar="FILE", help="JSONL; packed where it ends in .gz")
    add("--overwrite", action="store_true", help="replace an output that is there")
    add(
        "--ignore-unknown",
        action="store_true",
        help="count queries for docids that the corpus lacks instead of refusing them",
    )
    add_shard_options(parser)
    add("--engine", default="local", choices=("local", "ray"),
        help="ray: all shards, each a task of a Ray cluster, into FILE-0 and so on")  # fmt: skip
    add_ray_options(parser)
    add("--report", metavar="FILE", help="write the report as JSON too")
    add("--sample", type=int, default=5, help="queries to show by language and reason")
    add("--seed", type=int, default=0, help="of the sample")

    add = parser.add_argument_group("steps, in this order").add_argument
    add(
        "--min-length",
        type=int,
        metavar="N",
        help="drop queries of fewer letters and digits; 1 drops the empty ones",
    )
    add(
        "--deduplicate",
        action="store_true",
        help="drop what a passage has twice in a language, "
        "but for Unicode form, case and white space",
    )
    add(
        "--script",
        type=float,
        nargs="?",
        const=OWN_SHARE,
        metavar="SHARE",
        help="drop queries with less than this share of letters in their language's scripts "
        f"({OWN_SHARE}; the rest may be names), or with another language's",
    )
    add(
        "--identify",
        nargs="*",
        type=code_of("--identify"),
        metavar="CODE",
        help="drop queries that are rather in another language of the input, or in one of these "
        "(mostly the passages' own, such as en)",
    )
    add(
        "--copies",
        type=float,
        nargs="?",
        const=COPIED_SHARE,
        metavar="SHARE",
        help="drop queries that begin as the prompt does, or of which at least this share "
        f"({COPIED_SHARE}) is copied from the passage",
    )
    add(
        "--prompt",
        help="what the generator was told, with {lang}, {title} and {passage}; "
        "our own prompts by default",
    )
    add(
        "--max-shared", type=int, metavar="N", help="drop queries that more passages than this have"
    )
    add(
        "--min-score",
        type=float,
        metavar="X",
        help="drop queries that score lower, by a model below or by the scores that came with them",
    )
    add(
        "--keep-fraction", type=float, metavar="F", help="or keep this best part of each language's"
    )
    add(
        "--round-trip",
        metavar="INDEX",
        help="drop queries that do not find their passage in this "
        "index, which must not be built with them",
    )
    add("--round-trip-k", type=int, metavar="K", help="among the first K hits (default: 10)")
    add("--threads", type=int, default=1, help="of the search")

    group = parser.add_argument_group(
        "a model that scores queries against passages",
        "Scores are written beside the queries, so that thresholds can change without it.",
    )
    group.add_argument(
        "--cross-encoder",
        metavar="M",
        help="hub name or folder of a sequence "
        "classifier; takes --fields, --max-length (default: 512), --batch-size and --device",
    )
    group.add_argument(
        "--similarity", choices=SIMILARITIES, help="of an encoder's vectors (default: dot)"
    )
    add_encoder_options(group)
    return parser


if __name__ == "__main__":
    run_command(main)
