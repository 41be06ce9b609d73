"""Put the shards of a store, or of a flat index, into one.

``python -m pyserini_xqg.merge --embeddings STORE [STORE ...] --output DIR``, or ``--indexes DIR
[DIR ...]``. Inputs are read block by block, in the order given; a killed merge goes on where it
stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import digest
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.collection.shards import BLOCK, check_same_settings
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.store.block import Block, cut, recut
from pyserini_xqg.store.sample import thinned
from pyserini_xqg.store.store import MANIFEST as STORE_MANIFEST
from pyserini_xqg.store.store import Store, joined_digest

# What shards must have in common beside what `Store` asks for itself.
_STORE_KEYS = ("fields", "dtype", "kept_queries", "batch_size")
_INDEX_KEYS = (
    "encoder", "dimension", "fields", "method", "alpha", "mu", "weights", "centred", "centres",
    "l2_norm",
)  # fmt: skip
# Counted over the whole input by each of its shards.
_INPUT_COUNTS = ("empty_texts", "empty_queries", "unknown_docids")
_TOGETHER = "index the stores together: python -m pyserini_xqg.index --embeddings STORE STORE ..."


def merge_stores(
    paths: Sequence[str | Path], output: str | Path, *, overwrite: bool = False
) -> None:
    """Stream shards of a store into one, its blocks cut anew.

    Parameters
    ----------
    paths : sequence of path-like
        All shards of one encode, in order; or stores of different corpora with the same encoder,
        languages and settings.
    output : path-like
        The store to make.
    overwrite : bool
        Replace an existing folder.

    Raises
    ------
    XqgError
        For shards that do not belong together, and a docid that occurs twice.
    """
    from pyserini_xqg.store.writer import StoreWriter

    together = Store(paths)
    shards = [Store([path]) for path in paths]
    manifests = [shard.manifest for shard in shards]
    _check_same(together.paths, manifests, _STORE_KEYS)
    facts = {**together.manifest, **_facts(together.paths, manifests)}
    keep, rates = bool(together.manifest["kept_queries"]), together.sample_rates
    with OutputFolder(output, STORE_MANIFEST, overwrite=overwrite) as folder:
        _check_docids(together.paths, folder.work)
        writer = StoreWriter(
            folder,
            {"stores": [manifest["digest"] for manifest in manifests]},
            rows=together.passages,
            dimension=together.dimension,
            languages=together.languages,
            dtype=together.manifest["dtype"],
            keep_queries=keep,
            sample_rates=rates,
        )
        for block in recut(_read_from(shards, folder.rows, keep, rates or {})):
            writer.append(block)
        writer.finish(facts)


def merge_indexes(
    paths: Sequence[str | Path], output: str | Path, *, overwrite: bool = False
) -> None:
    """Append flat FAISS indexes to each other: the bytes of indexing their stores together.

    Parameters
    ----------
    paths : sequence of path-like
        Flat indexes of ours with the same encoder and fusion settings, in order.
    output : path-like
        The index to make.
    overwrite : bool
        Replace an existing folder.

    Raises
    ------
    XqgError
        For indexes that are not flat or differ, a damaged one, and a docid that occurs twice.
    """
    from pyserini_xqg.index.flat import FlatIndexWriter
    from pyserini_xqg.index.manifest import MANIFEST, check_maps, read_manifest
    from pyserini_xqg.index.maps_file import MAPS

    folders = [Path(path) for path in paths]
    manifests = [read_manifest(path) for path in folders]
    for path, manifest in zip(folders, manifests, strict=True):
        _check_flat(path, manifest)
        # Whole, so that a manifest from before a field existed equals one that says its default.
        manifest["encoder"] = EncoderSpec.from_dict(manifest["encoder"], str(path)).to_dict()
    _check_same(folders, manifests, _INDEX_KEYS)
    for path, manifest in zip(folders, manifests, strict=True):
        check_maps(path, manifest, folders[0], manifests[0])
    facts = {
        **manifests[0],
        "passages": sum(manifest["passages"] for manifest in manifests),
        "languages": {
            language: sum(manifest["languages"].get(language, 0) for manifest in manifests)
            for language in manifests[0]["languages"]
        },
        **_facts(folders, manifests),
    }
    if all("covered" in manifest for manifest in manifests):
        facts["covered"] = {
            language: sum(manifest["covered"].get(language, 0) for manifest in manifests)
            for language in manifests[0]["covered"]
        }
    facts.pop("self_check", None)  # of one of them, not of all together
    if any(manifest.get("chosen") != facts.get("chosen") for manifest in manifests):
        facts.pop("chosen", None)
    if all("store" in manifest for manifest in manifests):
        facts["store"] = joined_digest([manifest["store"] for manifest in manifests])
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        _check_docids(folders, folder.work)
        if "maps" in facts:
            shutil.copyfile(folders[0] / MAPS, folder.partial / MAPS)
        plan = {"indexes": [digest((path / MANIFEST).read_bytes()) for path in folders]}
        writer = FlatIndexWriter(folder, plan, int(manifests[0]["dimension"]))
        for docids, vectors in _read_flat(folders, manifests, folder.blocks):
            writer.append(docids, vectors)
        writer.finish(facts)


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.merge",
        description=__doc__,
        example="--embeddings stores/shard-0 stores/shard-1 --output stores/all",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--embeddings", nargs="+", metavar="STORE", help="shards, in order")
    which.add_argument("--indexes", nargs="+", metavar="DIR", help="flat FAISS indexes, in order")
    parser.add_argument("--output", required=True, metavar="DIR", help="the folder to make")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that is there")
    args = parser.parse_args(argv)
    merge = merge_stores if args.embeddings else merge_indexes
    merge(args.embeddings or args.indexes, args.output, overwrite=args.overwrite)


def _facts(paths: Sequence[Path], manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the manifest says of the inputs: those of an unsharded encode, or of all."""
    inputs = [manifest.get("inputs") for manifest in manifests]
    if inputs[0] is None:  # an index made from a store, which answers for them
        return {}
    if any(other != inputs[0] for other in inputs):
        named = {
            f"{name} of {number}": value
            for number, of_one in enumerate(inputs)
            for name, value in (of_one or {}).items()
        }
        counts = {
            key: sum(manifest[key] for manifest in manifests)
            for key in _INPUT_COUNTS
            if key in manifests[0]
        }
        return {"inputs": named, "shard": [0, 1], **counts}
    number = manifests[0]["shard"][1]
    found = [manifest["shard"] for manifest in manifests]
    if found != [[shard, number] for shard in range(number)]:
        raise XqgError(
            f"{' '.join(map(str, paths))} are shards {' '.join(str(shard[0]) for shard in found)} "
            f"of {number}; give all of them, from 0 to {number - 1}, in this order"
        )
    return {"shard": [0, 1]}


def _check_same(
    paths: Sequence[Path], manifests: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> None:
    for path, manifest in zip(paths, manifests, strict=True):
        facts, expected = ({key: of.get(key) for key in keys} for of in (manifest, manifests[0]))
        check_same_settings("merged", path, facts, paths[0], expected)


def _check_flat(path: Path, manifest: Mapping[str, Any]) -> None:
    if manifest["kind"] == "routed":
        raise XqgError(f"{path} is routed: merge each of its routes ({path}/LANG), or {_TOGETHER}")
    if manifest["kind"] != "faiss":
        raise XqgError(
            f"{path} is a {manifest['kind']} index, which has no vectors to append; index the "
            "corpora together"
        )
    if manifest["type"] == "flat" and "blocks" not in manifest:
        raise XqgError(f"{path} was built by an earlier version; build it again")
    if manifest["type"] != "flat":
        raise XqgError(
            f"{path} is of type {manifest['type']}: its structure (a graph, trained centroids or "
            f"codes) was built over its own vectors and cannot be appended to; {_TOGETHER}"
        )


def _check_docids(paths: Sequence[Path], work: Path) -> None:
    from pyserini_xqg.collection.places import find_duplicates

    for duplicate in find_duplicates([path / "docid" for path in paths], work):
        raise XqgError(
            f"{duplicate.again}: duplicate docid {duplicate.docid!r}, first seen at "
            f"{duplicate.first}; docids must be unique"
        )


def _read_from(
    shards: Sequence[Store], row: int, keep: bool, rates: Mapping[str, float]
) -> Iterator[Block]:
    for shard in shards:
        if row < shard.passages:
            for block in shard.blocks(start=row // BLOCK, keep=keep, sample=bool(rates)):
                if block.sample:
                    sample = {
                        code: thinned(of, block.docids, rates[code])
                        for code, of in block.sample.items()
                    }
                    block = block._replace(sample=sample)
                yield cut(block, row % BLOCK, len(block.docids))
                row = 0
        row = max(row - shard.passages, 0)


def _read_flat(
    paths: Sequence[Path], manifests: Sequence[Mapping[str, Any]], done: int
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """The blocks of several indexes, those that were `done` left out."""
    from pyserini_xqg.index.flat import block_rows, read_flat

    for path, manifest in zip(paths, manifests, strict=True):
        blocks = block_rows(manifest)
        yield from read_flat(path, manifest, blocks, start=done)
        done = max(done - len(blocks), 0)


if __name__ == "__main__":
    run_command(main)
