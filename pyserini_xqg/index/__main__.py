"""From an embedding store to what Pyserini searches: fuse, and write FAISS or Lucene indexes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.refusing import refuse_inside
from pyserini_xqg.collection.languages import add_languages_option
from pyserini_xqg.collection.topics import add_language_option
from pyserini_xqg.encoder.hub import add_trust_option
from pyserini_xqg.index.auto import Chosen, complete, is_open
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.faiss_vectors import TYPES
from pyserini_xqg.index.maps_file import load_maps
from pyserini_xqg.index.recall import encode_topics
from pyserini_xqg.index.settings import Fusion, add_fusion_options, fusion_from
from pyserini_xqg.index.targets import TARGETS

# Values of --type whose recall needs no measuring.
_EXACT = (None, "flat")


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.index",
        description=__doc__,
        example="--embeddings stores/mine --output indexes/mine",
    )
    add = parser.add_argument
    add("--embeddings", nargs="+", metavar="STORE", help="one store, or its shards in order")
    add("--output", required=True, metavar="DIR", help="the index folder to make")
    add(
        "--to",
        default="faiss",
        choices=(*TARGETS, "bm25"),
        help="faiss (default); lucene-flat or lucene-hnsw: Lucene's dense vectors; jsonl or "
        "parquet: vectors for other software; bm25: Lucene over the text of passages and queries",
    )
    add_fusion_options(parser, routes=True)
    add_languages_option(parser, "fold in these only")
    add("--centre", action="store_true", help="subtract each language's mean query vector")
    add("--type", help=f"of FAISS: {', '.join(TYPES)} (default flat), or a factory string")
    add("--M", type=int, help="of lucene-hnsw: neighbours of a node (default: 16)")
    add("--efC", type=int, help="of lucene-hnsw: candidates for them (default: 100)")
    add(
        "--topics",
        help="measure the recall of an approximate index with these, not with some passages; with "
        "--qrels, choose alpha and mu by their dev half, not by generated queries",
    )
    add("--qrels", help="of --topics, in TREC format")
    add("--seed", type=int, default=0, help="of the halves of --topics, and of what is drawn")
    add_trust_option(parser)
    add("--threads", type=int, default=1, help="of Lucene")
    add(
        "--routed",
        action=argparse.BooleanOptionalAction,
        help="one index a query language, and one over all; the default where --alpha is left open",
    )
    add(
        "--maps",
        metavar="INDEX",
        help="with --mu: not maps of these passages, but those of an earlier index, for passages "
        "that arrive later",
    )
    text = parser.add_argument_group("--to bm25")
    text.add_argument("--corpus", help="passages: JSONL or TSV, file or folder")
    text.add_argument(
        "--queries", nargs="+", default=[], help="generated queries; none indexes passages only"
    )
    add_language_option(text, "of queries whose rows do not say theirs: plain lists, TSV")
    text.add_argument(
        "--fields",
        nargs="+",
        default=["title", "text"],
        choices=("title", "text"),
        help="what is indexed of a passage",
    )
    text.add_argument(
        "--analyzer",
        default="ngrams",
        help="ngrams (default: character 3- and 4-grams, any language) or the code of a language "
        "that Anserini analyzes; with --routed also own: each language's, or n-grams",
    )
    text.add_argument("--passage-times", type=int, default=1, help="how often a text counts")
    text.add_argument("--query-times", type=int, default=1, help="and a query")
    add("--overwrite", action="store_true", help="replace an output that is there")
    args = parser.parse_args(argv)
    fusion = fusion_from(args)
    if args.to == "bm25":
        if args.embeddings or fusion != Fusion():
            raise XqgError(
                "--to bm25 reads text, not vectors: give --corpus and --queries, and leave "
                "--embeddings and the fusion options out"
            )
        if not args.corpus:
            raise XqgError("--to bm25 needs --corpus")
        from pyserini_xqg.index.bm25 import build_bm25
        from pyserini_xqg.index.bm25_routed import build_routed_bm25

        (build_routed_bm25 if args.routed else build_bm25)(
            args.corpus,
            args.output,
            queries=args.queries,
            languages=args.languages,
            language=args.language,
            fields=args.fields,
            analyzer=args.analyzer,
            passage_times=args.passage_times,
            query_times=args.query_times,
            threads=args.threads,
            overwrite=args.overwrite,
        )
        return
    if not args.embeddings or args.corpus or args.queries or args.language:
        raise XqgError(
            "give --embeddings (a store made by python -m pyserini_xqg.encode); --corpus, "
            "--queries and --language go with --to bm25"
        )
    _check_options(args)
    from pyserini_xqg.store.store import Store

    refuse_inside(args.output)
    store = Store(args.embeddings)
    opened = bool(store.choose(args.languages)) and fusion.method in (None, "mean")
    if opened and fusion.alpha is None and not fusion.alphas and args.mu is None:
        fusion = replace(fusion, mu=None)
    opened &= is_open(fusion)
    routed = opened if args.routed is None else args.routed
    if args.qrels and not opened:
        raise XqgError("--qrels chooses alpha and mu: leave one of them out, or say auto")
    if args.maps and (opened or not fusion.mu):
        raise XqgError("--maps go with the --alpha and --mu of the index that they are from")
    found = Chosen(fusion)
    if opened:
        found = complete(
            store,
            fusion,
            routed=routed,
            languages=args.languages,
            judged=(args.topics, args.qrels) if args.qrels else None,
            trust_remote_code=args.trust_remote_code,
            seed=args.seed,
        )
    approximate = _is_approximate(args)
    build = build_routed if routed else build_index
    build(
        store,
        args.output,
        found.fusion,
        maps=load_maps(args.maps) if args.maps else found.maps,
        chosen_by=found.record,
        to=args.to,
        languages=args.languages,
        overwrite=args.overwrite,
        index_type=args.type or "flat",
        m=args.M or 16,
        ef_construction=args.efC or 100,
        threads=args.threads,
        queries=encode_topics(args.topics, store.encoder, trust_remote_code=args.trust_remote_code)
        if approximate and args.topics
        else None,
    )


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that the target would not look at."""
    if args.type and args.to != "faiss":
        raise XqgError(f"--type is of FAISS; leave it out with --to {args.to}")
    if (args.M or args.efC) and args.to != "lucene-hnsw":
        raise XqgError(
            "--M and --efC go with --to lucene-hnsw; FAISS takes M in its --type, as in HNSW64"
        )
    if args.qrels and not args.topics:
        raise XqgError("--qrels judges --topics; give both, or none")
    if args.topics and not args.qrels and not _is_approximate(args):
        raise XqgError(
            "--topics measures the recall of an approximate index; this is an exact one. To choose "
            "alpha and mu by them, give --qrels, too"
        )


def _is_approximate(args: argparse.Namespace) -> bool:
    return args.to == "lucene-hnsw" or (args.to == "faiss" and args.type not in _EXACT)


if __name__ == "__main__":
    run_command(main)
