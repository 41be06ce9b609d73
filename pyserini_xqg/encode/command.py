"""What the options of ``python -m pyserini_xqg.encode`` ask for, here or on Ray."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files
from pyserini_xqg.base.refusing import refuse_existing, refuse_inside
from pyserini_xqg.collection.shards import shard_range
from pyserini_xqg.collection.sources import check_corpus, form_from
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encode.groups import Groups, encoder_from
from pyserini_xqg.index.settings import Fusion, fusion_from

if TYPE_CHECKING:
    from pyserini_xqg.collection.records import PassageFormat
    from pyserini_xqg.encode.vector_sources import VectorSource


def encode_here(groups: Groups) -> None:
    """Do what the options say, in this process."""
    source, output, model, xqg = groups
    fusion = fusion_from(xqg) if xqg else Fusion()
    if not output.to_faiss and fusion != Fusion():
        raise XqgError(
            "xqg --method, --alpha, --mu and --weights go with output --to-faiss; a store keeps "
            "every choice open: give them to python -m pyserini_xqg.index"
        )
    if output.to_faiss and (output.dtype != "float32" or (xqg and xqg.keep_queries)):
        raise XqgError(
            "output --to-faiss writes the fused float32 vectors only; leave --dtype and "
            "--keep-queries out, or leave --to-faiss out to make a store"
        )

    if output.price_per_hour is not None and not output.dry_run:
        raise XqgError("output --price-per-hour goes with --dry-run")

    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.encode.estimate import estimate
    from pyserini_xqg.encode.same_encoder import check_backend

    # What is there, and what is not, is found before a model is loaded.
    if not (output.dry_run or model.check_backend):
        refuse_existing(output.embeddings, output.overwrite)
        refuse_inside(output.embeddings)
    if source.corpus is not None:
        check_corpus(source.corpus)
    for path in xqg.queries if xqg else ():
        input_files(path)
    form = form_from(source)
    vectors = vectors_from(source, form)
    if vectors and (output.dry_run or model.check_backend):
        raise XqgError(
            "--dry-run and --check-backend measure how passages are encoded, which --vectors "
            "leaves out"
        )
    encoder = encoder_from(
        model, xqg.generated_queries_as if xqg else None, vectors and vectors.encoder
    )
    queries = xqg.queries if xqg else ()
    reading: dict[str, Any] = {
        "form": form,
        "languages": xqg.languages if xqg else None,
        "language": xqg.language if xqg else None,
        "ignore_unknown": bool(xqg and xqg.ignore_unknown),
    }
    shard = {"shard_id": source.shard_id, "shard_num": source.shard_num}
    keep_queries = bool(xqg and xqg.keep_queries)
    if output.dry_run or model.check_backend:
        with tempfile.TemporaryDirectory() as work:
            join = Join(source.corpus, queries, Path(work), **reading)
            if model.check_backend:
                rows = shard_range(join.passages, **shard)
                print(check_backend(join, encoder, model.fields or ["text"], *rows))
            else:
                cost = estimate(
                    join,
                    encoder,
                    model.fields or ["text"],
                    **shard,
                    dtype=output.dtype,
                    keep_queries=keep_queries,
                    to_faiss=output.to_faiss,
                )
                print("\n".join(cost.lines(output.price_per_hour)))
            join.close()
        return
    encode_corpus(
        source.corpus,
        output.embeddings,
        encoder,
        vectors=vectors,
        queries=queries,
        fields=model.fields,
        **shard,
        dtype=output.dtype,
        keep_queries=keep_queries,
        to_faiss=fusion if output.to_faiss else None,
        add=bool(xqg and xqg.add),
        overwrite=output.overwrite,
        **reading,
    )


def vectors_from(source: argparse.Namespace, form: PassageFormat) -> VectorSource | None:
    """The vectors that ``input --vectors`` names.

    Raises
    ------
    XqgError
        If they cannot be read, and if there is neither a corpus nor vectors.
    """
    if source.vectors is None:
        if source.corpus is None:
            raise XqgError("no passages: give input --corpus, or --vectors")
        if source.docids or source.vector_field:
            raise XqgError("input --docids and --vector-field go with --vectors")
        return None
    from pyserini_xqg.encode.vector_sources import open_vectors

    return open_vectors(source.vectors, source.docids, form, source.vector_field)


def encode_on_ray(groups: Groups) -> None:
    from pyserini_xqg.base import ray_engine as ray
    from pyserini_xqg.encode.command import (
        encode_here,  # never as __main__, which tasks cannot import
    )

    source, output, model, xqg = groups
    vectors = vectors_from(source, form_from(source))
    inputs = [*([source.corpus] if source.corpus else []), *(vectors.files if vectors else [])]
    sample = bool(output.dry_run or model.check_backend)
    shards = []
    for number in ray.shard_numbers(source, sample=sample):
        path = ray.shard_path(output.embeddings, number)
        given = groups._replace(
            input=ray.changed(source, shard_id=number), output=ray.changed(output, embeddings=path)
        )
        shards.append(ray.Shard(path, given))
    ray.run_on_ray(
        encode_here,
        shards,
        source,
        output=output.embeddings,
        settings={
            f"{group} {name}": value
            for group, options in groups._asdict().items()
            if options is not None
            for name, value in ray.settings_of(options).items()
        },
        inputs=[*inputs, *(xqg.queries if xqg else ())],
        overwrite=output.overwrite,
        sample=sample,
    )
