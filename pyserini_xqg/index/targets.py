"""What a store can be written as: the choices of ``index --to`` that hold vectors."""

from __future__ import annotations

from collections.abc import Callable

from pyserini_xqg.index.options import Job

#: Fills a folder and finishes it with a manifest.
Target = Callable[[Job], None]


def _faiss(job: Job) -> None:
    from pyserini_xqg.index.faiss_vectors import write_in_memory
    from pyserini_xqg.index.flat import FlatIndexWriter

    about = {"type": job.options.index_type}
    job = job._replace(plan={**job.plan, **about}, manifest={**job.manifest, **about})
    if job.options.index_type != "flat":
        write_in_memory(job)
        return
    writer = FlatIndexWriter(job.folder, job.plan, job.fused.dimension)
    for docids, vectors in job.fused.blocks("indexing", start=job.folder.blocks):
        writer.append(docids, vectors)
    writer.finish(job.manifest)


def _lucene(job: Job) -> None:
    from pyserini_xqg.index.lucene import write_lucene

    write_lucene(job)


def _export(job: Job) -> None:
    from pyserini_xqg.index.export import write_export

    write_export(job)


TARGETS: dict[str, Target] = {
    "faiss": _faiss,
    "lucene-flat": _lucene,
    "lucene-hnsw": _lucene,
    "jsonl": _export,
    "parquet": _export,
}
