"""From an embedding store to what Pyserini searches: fuse, and write FAISS or Lucene indexes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.errors import XqgError, run_command
from pyserini_xqg.in_memory import TYPES, build_in_memory
from pyserini_xqg.languages import check_language
from pyserini_xqg.manifest import FORMAT, MANIFEST, index_manifest
from pyserini_xqg.settings import Fusion, add_fusion_options, fusion_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store import Store

#: The route for topics whose language has no index of its own.
FALLBACK = "all"


def build_index(
    store: Store,
    output: str | Path,
    fusion: Fusion,
    *,
    languages: Sequence[str] | None = None,
    index_type: str = "flat",
    overwrite: bool = False,
) -> None:
    """Fuse a store and write a FAISS folder: ``index``, ``docid``, and ``xqg.json`` last.

    Parameters
    ----------
    store : Store
    output : path-like
    fusion : Fusion
    languages : sequence of str or None
        Those to fold in; all of the store's by default.
    index_type : str
        A key of `TYPES`, or a FAISS factory string. Flat ones are written block by block and
        resumed; others are built in memory.
    overwrite : bool
        Replace an existing folder.

    Raises
    ------
    XqgError
        For settings that do not fit the store, and for vectors that are not finite.
    """
    from pyserini_xqg.blocks import with_bar
    from pyserini_xqg.flat import FlatIndexWriter
    from pyserini_xqg.output import OutputFolder

    chosen = store.choose(languages)
    fusion.check(chosen)
    plan = _plan(store, fusion, chosen, index_type)
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        centres = corpus_centres(store, chosen) if fusion.centre else None
        manifest = index_manifest(
            kind="faiss",
            type=index_type,
            fusion=fusion,
            encoder=store.encoder.to_dict(),
            queries={language: store.queries[language] for language in chosen},
            passages=store.passages,
            dimension=store.dimension,
            store=store.digest,
            probes=store.manifest["probes"],
            centres=centres,
        )
        if index_type == "flat":
            writer = FlatIndexWriter(folder, plan, store.dimension)
            left = store.blocks(chosen, start=folder.blocks)
            for block in with_bar(left, store.passages, "indexing", done=folder.rows):
                writer.append(block.docids, fusion.apply(block, centres))
            writer.finish(manifest)
            return
        folder.start(plan, {"docid": b"", "index": b""})
        build_in_memory(store, folder.partial, fusion, chosen, index_type, centres)
        folder.finish(manifest, keep_log=False)


def build_routed(
    store: Store,
    output: str | Path,
    fusion: Fusion,
    *,
    languages: Sequence[str] | None = None,
    index_type: str = "flat",
    overwrite: bool = False,
) -> None:
    """One index a query language and one over all, in one folder: ``DIR/te/``, ``DIR/all/``.

    Each is an index of its own for stock Pyserini; ``DIR/xqg.json``, last, holds the routes.

    Parameters and errors are those of `build_index`.
    """
    from pyserini_xqg.output import OutputFolder, tidy

    chosen = store.choose(languages)
    if not chosen:
        raise XqgError("--routed needs generated queries; encode with xqg --queries")
    plan = _plan(store, fusion, chosen, index_type)
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        folder.start(plan, {})
        for route in [*chosen, FALLBACK]:
            if (folder.partial / route).is_dir():  # finished before the process was killed
                tidy(folder.partial / route)
                continue
            members = chosen if route == FALLBACK else [route]
            weights = {code: weight for code, weight in fusion.weights.items() if code in members}
            build_index(
                store,
                folder.partial / route,
                replace(fusion, weights=weights),
                languages=members,
                index_type=index_type,
            )
        folder.finish(
            {
                "format": FORMAT,
                "kind": "routed",
                "routes": {code: code for code in chosen},
                "fallback": FALLBACK,
                "encoder": store.encoder.to_dict(),
                "probes": store.manifest["probes"],
                "store": store.digest,
            },
            keep_log=False,
        )


def corpus_centres(store: Store, languages: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The mean vector of each language's queries over all shards, summed in float64.

    Raises
    ------
    XqgError
        If the store is in float16, whose sums are too coarse for it.
    """
    if store.manifest["dtype"] != "float32":
        raise XqgError("--centre needs a float32 store; encode again with output --dtype float32")
    sums = {language: np.zeros(store.dimension) for language in languages}
    for block in store.blocks(languages):
        for language in languages:
            sums[language] += block.sums[language].sum(axis=0, dtype=np.float64)
    return {
        language: (total / max(store.queries[language], 1)).astype(np.float32)
        for language, total in sums.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m pyserini_xqg.index", description=__doc__)
    parser.add_argument(
        "--embeddings", nargs="+", metavar="STORE", help="one store, or its shards in order"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="the index folder to make")
    parser.add_argument(
        "--to",
        default="faiss",
        choices=("faiss", "bm25"),
        help="faiss (default), or bm25: Lucene over the text of passages and generated queries",
    )
    add_fusion_options(parser)
    parser.add_argument("--languages", nargs="+", help="fold in these only")
    parser.add_argument(
        "--centre", action="store_true", help="subtract each language's mean query vector"
    )
    parser.add_argument(
        "--type", default="flat", help=f"{', '.join(TYPES)}, or a FAISS factory string"
    )
    parser.add_argument(
        "--routed", action="store_true", help="one index a query language, and one over all"
    )
    text = parser.add_argument_group("--to bm25")
    text.add_argument("--corpus", help="passages: JSONL or TSV, file or folder")
    text.add_argument(
        "--queries", nargs="+", default=[], help="generated queries; none indexes passages only"
    )
    text.add_argument("--fields", nargs="+", default=["title", "text"], choices=("title", "text"))
    text.add_argument(
        "--analyzer",
        default="ngrams",
        help="ngrams (default: character 3- and "
        "4-grams, any language) or the code of a language that Anserini analyzes",
    )
    text.add_argument("--threads", type=int, default=1)
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args(argv)
    fusion = fusion_from(args)
    if args.to == "bm25":
        if args.embeddings or fusion != Fusion() or args.routed:
            raise XqgError(
                "--to bm25 reads text, not vectors: give --corpus and --queries, and leave "
                "--embeddings, --routed and the fusion options out"
            )
        if not args.corpus:
            raise XqgError("--to bm25 needs --corpus")
        from pyserini_xqg.bm25 import build_bm25

        build_bm25(
            args.corpus,
            args.output,
            queries=args.queries,
            languages=args.languages,
            fields=args.fields,
            analyzer=args.analyzer,
            threads=args.threads,
            overwrite=args.overwrite,
        )
        return
    if not args.embeddings or args.corpus or args.queries:
        raise XqgError(
            "give --embeddings (a store made by python -m pyserini_xqg.encode); --corpus "
            "and --queries go with --to bm25"
        )
    from pyserini_xqg.store import Store

    languages = args.languages and [check_language(code, "--languages") for code in args.languages]
    build = build_routed if args.routed else build_index
    build(
        Store(args.embeddings),
        args.output,
        fusion,
        languages=languages,
        index_type=args.type,
        overwrite=args.overwrite,
    )


def _plan(
    store: Store, fusion: Fusion, languages: Sequence[str], index_type: str
) -> dict[str, Any]:
    """What decides the bytes of an index."""
    return {
        "store": store.digest,
        "fusion": asdict(fusion),
        "languages": languages,
        "type": index_type,
    }


if __name__ == "__main__":
    run_command(main)
