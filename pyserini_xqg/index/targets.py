"""What a store can be written as: the choices of ``index --to`` that hold vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pyserini_xqg.index.options import Options

if TYPE_CHECKING:
    from pyserini_xqg.base.output import OutputFolder
    from pyserini_xqg.index.fused import Fused


#: Fills an entered folder and finishes it with a manifest, to which it may add; the first mapping
#: is the plan that a resumed run must bring again.
Target = Callable[["OutputFolder", "Fused", Mapping[str, Any], Mapping[str, Any], Options], None]


def _faiss(
    folder: OutputFolder,
    fused: Fused,
    plan: Mapping[str, Any],
    manifest: Mapping[str, Any],
    options: Options,
) -> None:
    from pyserini_xqg.index.flat import FlatIndexWriter
    from pyserini_xqg.index.in_memory import write_in_memory

    plan = {**plan, "type": options.index_type}
    manifest = {**manifest, "type": options.index_type}
    if options.index_type != "flat":
        write_in_memory(folder, fused, plan, manifest, options)
        return
    writer = FlatIndexWriter(folder, plan, fused.dimension)
    for docids, vectors in fused.blocks("indexing", start=folder.blocks):
        writer.append(docids, vectors)
    writer.finish(manifest)


def _lucene(
    folder: OutputFolder,
    fused: Fused,
    plan: Mapping[str, Any],
    manifest: Mapping[str, Any],
    options: Options,
) -> None:
    from pyserini_xqg.index.lucene import write_lucene

    write_lucene(folder, fused, plan, manifest, options)


def _export(
    folder: OutputFolder,
    fused: Fused,
    plan: Mapping[str, Any],
    manifest: Mapping[str, Any],
    options: Options,
) -> None:
    from pyserini_xqg.index.export import write_export

    write_export(folder, fused, plan, manifest)


TARGETS: dict[str, Target] = {
    "faiss": _faiss,
    "lucene-flat": _lucene,
    "lucene-hnsw": _lucene,
    "jsonl": _export,
    "parquet": _export,
}
