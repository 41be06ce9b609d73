"""From topics to a fused run: ``python -m pyserini_xqg.hybrid``, a dense and a BM25 index at once.

The weight of the dense run is given, or chosen on dev topics: on the collections we have seen,
equal weights throw away much of the better run.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.collection.judged import Qrels, read_collection
from pyserini_xqg.collection.runs import Run, write_run
from pyserini_xqg.collection.topics import Topic, add_language_option, read_topics
from pyserini_xqg.encoder.hub import add_trust_option
from pyserini_xqg.index.bm25_text import is_bm25
from pyserini_xqg.search.joining import FOR_BM25, add_join_options, check_join, fuse_runs
from pyserini_xqg.search.routing import add_detect_option, detected
from pyserini_xqg.search.searcher import search_topics
from pyserini_xqg.search.stock import (
    add_stock_options,
    at_hand,
    manifest_of,
    open_dense_side,
    open_sparse_side,
)

#: What a weight is chosen among: 0 is BM25 alone, 1 the dense run alone.
WEIGHTS = tuple(round(step / 20, 2) for step in range(21))


def choose_weight(
    dense: Run, sparse: Run, qrels: Qrels, measure: str
) -> tuple[float, dict[float, float]]:
    """The weight of `WEIGHTS` with the best mean over all topics, and each weight's mean.

    Of equals, the one nearest to an even share is taken.
    """
    from pyserini_xqg.evaluate.trec.measures import score_by_topic

    means = {}
    for weight in WEIGHTS:
        scores = score_by_topic(qrels, fuse_runs(dense, sparse, weight), [measure])[measure]
        means[weight] = sum(scores.values()) / len(scores)
    return max(means, key=lambda weight: (means[weight], -abs(weight - 0.5))), means


def check_sides(dense: str | Path, sparse: str | Path) -> None:
    """Refuse indexes on the wrong side, of which one would be searched for both.

    Raises
    ------
    XqgError
        Naming the kinds that were found.
    """
    kinds = {path: manifest_of(path) for path in (dense, sparse)}
    texts = {path: is_bm25(manifest) for path, manifest in kinds.items()}
    if texts[dense] and not texts[sparse]:
        raise XqgError(f"--dense {dense} is a BM25 index, --sparse {sparse} is none: swap the two")
    for option, path, of_text in (("--dense", dense, False), ("--sparse", sparse, True)):
        if texts[path] != of_text:
            kind = "a BM25" if texts[path] else f"a {kinds[path]['kind']}"
            wanted = "one of --to bm25" if of_text else "a dense one"
            raise XqgError(f"{option} {path} is {kind} index; expected {wanted}")


def apart(dense: Run, sparse: Run) -> str:
    """What to say where two runs have no passage in common; empty where they have some."""
    of_dense, of_sparse = (
        {hit.docid for found in run.values() for hit in found} for run in (dense, sparse)
    )
    if not of_dense or not of_sparse:
        return "one of them finds nothing for any topic" if of_dense or of_sparse else ""
    if of_dense & of_sparse:
        return ""
    return (
        f"no passage comes from both, such as {min(of_dense)!r} and {min(of_sparse)!r}; are they "
        "indexes of the same passages?"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.hybrid",
        description=__doc__,
        example="--dense indexes/mine --sparse indexes/bm25 --weight 0.8 --topics topics.jsonl "
        "--output hybrid.run",
    )
    add = parser.add_argument
    add(
        "--dense",
        required=True,
        metavar="DIR",
        help="an index of ours, or a FAISS folder of stock Pyserini with its --encoder",
    )
    add(
        "--sparse",
        required=True,
        metavar="DIR",
        help="a BM25 index, of ours or of stock Pyserini; both may be names of prebuilt ones",
    )
    add("--topics", required=True, help="JSONL or TSV")
    add_language_option(parser)
    add_detect_option(parser)
    add("--output", required=True, metavar="RUN", help="the file to write")
    add("--runtag", default="xqg-hybrid", help="last column of the run")
    add("--hits", type=int, default=1000, help="passages a topic")
    add("--weight", type=float, help="of the dense run, 0 to 1")
    add("--dev-topics", help="choose the weight on these instead")
    add("--dev-qrels", help="their judgments")
    add("--measure", default="RR@10", help="to choose by, such as recall.100")
    add_join_options(parser, "; with mean, BM25, which has no vectors, takes one text")
    add("--batch-size", type=int, default=64, help="texts at a time")
    add("--threads", type=int, default=1, help="of the search")
    add("--encoder", help="another place of the dense index's model; of a stock one, its model")
    add("--device", help="of the encoder; by default the first accelerator")
    add_trust_option(parser)
    add("--overwrite", action="store_true", help="replace an output that is there")
    add_stock_options(parser)
    args = parser.parse_args(argv)
    if min(args.hits, args.batch_size, args.threads) < 1:
        raise XqgError("--hits, --batch-size and --threads are at least 1")
    on_dev = (args.dev_topics, args.dev_qrels)
    if (args.weight is None) != all(on_dev) or any(on_dev) != all(on_dev):
        raise XqgError("give --weight, or --dev-topics and --dev-qrels to choose it on")
    output = Path(args.output)
    args.dense, args.sparse = at_hand(args.dense), at_hand(args.sparse)
    check_sides(args.dense, args.sparse)
    both = (args.dense, args.sparse)
    topics = detected(args, read_topics(args.topics, args.language), both)
    check_join(args, topics, args.topics)
    dev = None
    if args.weight is None:
        dev = read_collection(args.dev_topics, args.dev_qrels, language=args.language)
        check_join(args, list(dev.topics.values()), args.dev_topics)
    searchers = [
        (open_dense_side(args.dense, args), args.join),
        (open_sparse_side(args.sparse, args), FOR_BM25.get(args.join, args.join)),
    ]

    def search(asked: Sequence[Topic]) -> tuple[Run, Run]:
        dense, sparse = (
            dict(
                search_topics(
                    searcher,
                    asked,
                    hits=args.hits,
                    batch_size=args.batch_size,
                    threads=args.threads,
                    join=join,
                    query_weight=args.query_weight,
                )
            )
            for searcher, join in searchers
        )
        return dense, sparse

    weight = args.weight
    if dev:
        dense, sparse = search(detected(args, list(dev.topics.values()), both))
        weight, means = choose_weight(dense, sparse, dev.qrels, args.measure)
        for tried, mean in means.items():
            chosen = "  chosen" if tried == weight else ""
            print(f"weight {tried:4.2f}  {args.measure} {mean:.4f} on dev{chosen}")
    dense, sparse = search(topics)
    if said := apart(dense, sparse):
        warnings.warn(f"--dense {args.dense}, --sparse {args.sparse}: {said}", stacklevel=2)
    write_run(output, fuse_runs(dense, sparse, weight, args.hits), args.runtag)


if __name__ == "__main__":
    run_command(main)
