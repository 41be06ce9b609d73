"""Topics in, a run out: ``python -m pyserini_xqg.search`` over any index, ours or stock."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.collection.runs import FORMS, write_run
from pyserini_xqg.collection.topics import add_language_option, read_topics
from pyserini_xqg.encoder.hub import add_trust_option
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.manifest import kind_of_stock
from pyserini_xqg.search.joining import add_join_options, check_join
from pyserini_xqg.search.routing import add_detect_option, detected
from pyserini_xqg.search.searcher import Searcher, open_searcher, search_topics
from pyserini_xqg.search.stock import (
    add_stock_options,
    at_hand,
    open_side,
    refuse_stock_options,
)


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.search",
        description=__doc__,
        example="--index indexes/mine --topics topics.jsonl --output dense.run --hits 100",
    )
    add = parser.add_argument
    add(
        "--index",
        required=True,
        nargs="+",
        metavar="DIR",
        help="FAISS, Lucene, routed or BM25; several dense ones (shards) are searched as one; or "
        "one of stock Pyserini, a folder or the name of a prebuilt one",
    )
    add("--topics", required=True, help="JSONL or TSV")
    add_language_option(parser)
    add_detect_option(parser)
    add("--output", required=True, metavar="RUN", help="the file to write")
    add("--output-format", default="trec", choices=FORMS, help="of the run")
    add("--runtag", default="xqg", help="last column of the run")
    add("--hits", type=int, default=1000, help="passages a topic")
    add("--batch-size", type=int, default=64, help="texts at a time")
    add(
        "--threads",
        type=int,
        default=1,
        help="in all; several indexes are then searched in processes, at most one an index",
    )
    add(
        "--encoder",
        help="another place of the model that the index was built with; of a stock one, its model",
    )
    add("--device", help="of the encoder; by default the first accelerator there is")
    add_trust_option(parser)
    add("--ef-search", type=int, help="of an HNSW index")
    add("--nprobe", type=int, help="of an index with inverted lists (IVF)")
    add_join_options(parser)
    add("--overwrite", action="store_true", help="replace an output that is there")
    add_stock_options(parser)
    args = parser.parse_args(argv)
    if min(args.hits, args.batch_size, args.threads) < 1:
        raise XqgError("--hits, --batch-size and --threads are at least 1")
    output = Path(args.output)
    args.index = [at_hand(path) for path in args.index]
    topics = detected(args, read_topics(args.topics, args.language), args.index)
    check_join(args, topics, args.topics)
    searcher = _open(args)
    found = search_topics(
        searcher,
        topics,
        hits=args.hits,
        batch_size=args.batch_size,
        threads=args.threads,
        join=args.join,
        query_weight=args.query_weight,
    )
    write_run(output, found, args.runtag, args.output_format)


def _open(args: argparse.Namespace) -> Searcher:
    """An index of ours, several as one, or one of stock Pyserini.

    Raises
    ------
    XqgError
        For a stock one among several, and options that the index has no use for.
    """
    effort = Effort(args.ef_search, args.nprobe)
    stock = [path for path in args.index if kind_of_stock(path)]
    if stock and len(args.index) > 1:
        raise XqgError(
            f"{stock[0]} is of stock Pyserini, and so not to be told from another encoder's: "
            "search it alone"
        )
    if stock:
        return open_side(stock[0], args, effort)
    refuse_stock_options(args, args.index[0])
    return open_searcher(
        args.index,
        encoder=args.encoder,
        device=args.device,
        processes=args.threads,
        effort=effort,
        detect=False,
        trust_remote_code=args.trust_remote_code,
    )


if __name__ == "__main__":
    run_command(main)
