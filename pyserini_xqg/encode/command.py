"""What the options of ``python -m pyserini_xqg.encode`` ask for, here or on Ray."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.encode.groups import Groups, encoder_from
from pyserini_xqg.index.settings import Fusion, fusion_from


def encode_here(groups: Groups) -> None:
    """Do what the options say, in this process."""
    source, output, model, xqg = groups
    fusion = fusion_from(xqg) if xqg else Fusion()
    if not output.to_faiss and fusion != Fusion():
        raise XqgError(
            "xqg --method, --alpha and --weights go with output --to-faiss; a store keeps "
            "every choice open: give them to python -m pyserini_xqg.index"
        )
    if output.to_faiss and (output.dtype != "float32" or (xqg and xqg.keep_queries)):
        raise XqgError(
            "output --to-faiss writes the fused float32 vectors only; leave --dtype and "
            "--keep-queries out, or leave --to-faiss out to make a store"
        )

    if output.price_per_hour is not None and not output.dry_run:
        raise XqgError("output --price-per-hour goes with --dry-run")

    from pyserini_xqg.base.files import input_files
    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.collection.records import PassageFormat
    from pyserini_xqg.collection.shards import shard_range
    from pyserini_xqg.encode.check_backend import check_backend
    from pyserini_xqg.encode.estimate import estimate

    for path in (source.corpus, *(xqg.queries if xqg else ())):
        input_files(path)  # a missing file is found before a model is loaded
    encoder = encoder_from(model, xqg.generated_queries_as if xqg else None)
    form = PassageFormat(
        source.fields,
        source.docid_field,
        source.delimiter.replace("\\n", "\n").replace("\\t", "\t"),
    )
    queries = xqg.queries if xqg else ()
    reading: dict[str, Any] = {
        "form": form,
        "languages": xqg.languages if xqg else None,
        "ignore_unknown": bool(xqg and xqg.ignore_unknown),
    }
    shard = {"shard_id": source.shard_id, "shard_num": source.shard_num}
    keep_queries = bool(xqg and xqg.keep_queries)
    if output.dry_run or model.check_backend:
        with tempfile.TemporaryDirectory() as work:
            join = Join(source.corpus, queries, Path(work), **reading)
            if model.check_backend:
                rows = shard_range(join.passages, **shard)
                print(check_backend(join, encoder, model.fields, *rows))
            else:
                cost = estimate(
                    join,
                    encoder,
                    model.fields,
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
        queries=queries,
        fields=model.fields,
        **shard,
        dtype=output.dtype,
        keep_queries=keep_queries,
        to_faiss=fusion if output.to_faiss else None,
        overwrite=output.overwrite,
        **reading,
    )


def encode_on_ray(groups: Groups) -> None:
    from pyserini_xqg.base import ray_engine as ray
    from pyserini_xqg.encode.command import (
        encode_here,  # never as __main__, which tasks cannot import
    )

    source, output, model, xqg = groups
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
        inputs=[source.corpus, *(xqg.queries if xqg else ())],
        overwrite=output.overwrite,
        sample=sample,
    )
