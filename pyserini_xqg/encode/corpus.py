"""Encode passages and their generated queries into an embedding store, or straight to an index.

``python -m pyserini_xqg.encode input ... output ... encoder ... [xqg ...]``: the groups and flags
of ``pyserini.encode``, and a fourth group for the generated queries.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.progress import duration, say, with_bar
from pyserini_xqg.base.versions import versions
from pyserini_xqg.index.manifest import MANIFEST as INDEX_MANIFEST
from pyserini_xqg.index.manifest import index_manifest
from pyserini_xqg.index.settings import Fusion, check_fusion

if TYPE_CHECKING:
    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.collection.records import PassageFormat
    from pyserini_xqg.encode.blocks import Passages
    from pyserini_xqg.encode.vector_sources import VectorSource
    from pyserini_xqg.encoder.encoder import Encoder


def encode_corpus(
    corpus: str | Path | None,
    output: str | Path,
    encoder: Encoder,
    *,
    vectors: VectorSource | None = None,
    queries: Sequence[str | Path] = (),
    languages: Sequence[str] | None = None,
    language: str | None = None,
    fields: Sequence[str] | None = None,
    form: PassageFormat | None = None,
    ignore_unknown: bool = False,
    shard_id: int = 0,
    shard_num: int = 1,
    dtype: str = "float32",
    keep_queries: bool = False,
    to_faiss: Fusion | None = None,
    add: bool = False,
    overwrite: bool = False,
) -> None:
    """Encode a corpus, with its generated queries, into an embedding store or a FAISS index.

    A run that was killed goes on at the block where it stopped when it is called again.

    Parameters
    ----------
    corpus : path-like or None
        Passages: a JSONL or TSV file, ``.gz`` or not, or a folder of them. Beside `vectors` it is
        where the texts are that the encoder is checked with.
    output : path-like
        The folder to make.
    encoder : Encoder
    vectors : VectorSource or None
        Take these for the passages' vectors, in their order, and encode queries only.
    queries : sequence of path-like
        Generated queries; none encodes passages only.
    languages : sequence of str or None
        Languages of queries to keep; all by default.
    language : str or None
        Of queries whose rows do not say theirs: plain lists, and TSV.
    fields : sequence of str or None
        What is encoded of a passage: ``text``, or ``title`` and ``text``. By default what the
        vectors say, and ``text``.
    form : PassageFormat or None
        How corpus rows are read.
    ignore_unknown : bool
        Count queries for passages that the corpus lacks instead of refusing them.
    shard_id, shard_num : int
        The part to encode, counted from 0.
    dtype : {"float32", "float16"}
        Of the store.
    keep_queries : bool
        Store every query's vector beside the sums.
    to_faiss : Fusion or None
        Write a flat FAISS index fused with these settings instead of a store.
    add : bool
        Keep the queries of the store that `vectors` are of, and add these to them.
    overwrite : bool
        Replace an existing folder.

    Raises
    ------
    XqgError
        For bad input, settings that do not fit, vectors that are not finite, or `vectors` that
        are not the encoder's.
    """
    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.collection.shards import BLOCK, shard_range
    from pyserini_xqg.encode.add import (
        check_not_there,
        facts_of_both,
        rates_of_both,
        store_to_add_to,
        with_old,
    )
    from pyserini_xqg.encode.adopt import adopt, in_blocks
    from pyserini_xqg.encode.blocks import encode_blocks
    from pyserini_xqg.encoder.probes import make_probes
    from pyserini_xqg.index.flat import FlatIndexWriter
    from pyserini_xqg.store.sample import sample_rates
    from pyserini_xqg.store.store import MANIFEST
    from pyserini_xqg.store.writer import StoreWriter

    if to_faiss is not None:
        check_fusion(to_faiss)
        if to_faiss.mu:
            raise XqgError(
                f"--mu {to_faiss.mu:g} rests on maps over the whole corpus, which --to-faiss has "
                "not seen when it writes: leave --to-faiss out, and give --mu to python -m "
                "pyserini_xqg.index"
            )
    known = vectors.fields if vectors else None
    if known and fields and list(fields) != list(known):
        raise XqgError(
            f"{vectors and vectors.path}: vectors of passages' {' '.join(known)}; found encoder "
            f"--fields {' '.join(fields)}: leave it out"
        )
    fields = fields or known or ("text",)
    before = store_to_add_to(vectors, encoder, keep_queries, to_faiss, shard_num) if add else None
    if before is not None:
        dtype = before.manifest["dtype"]
    began = time.monotonic()
    manifest_name = MANIFEST if to_faiss is None else INDEX_MANIFEST
    with OutputFolder(output, manifest_name, overwrite=overwrite) as folder:
        adopted = None
        if vectors is not None:
            adopted = adopt(vectors, encoder, folder.work, corpus, fields, form)
        passages = adopted.docids if adopted else corpus
        if passages is None:
            raise XqgError("no passages: give a corpus or vectors")
        join = Join(
            passages, queries, folder.work, form=None if adopted else form, languages=languages,
            language=language, ignore_unknown=ignore_unknown, corpus_name=vectors and vectors.path,
        )  # fmt: skip
        start, stop = shard_range(join.passages, shard_id, shard_num)
        facts: dict[str, Any] = {
            "encoder": encoder.spec.to_dict(),
            "inputs": {**join.digests, **({"corpus": adopted.digest} if adopted else {})},
            "fields": list(fields),
            "shard": [shard_id, shard_num],
            "batch_size": encoder.batch_size,
        }
        plan = {
            **facts,
            "languages": join.languages,
            "dtype": dtype,
            "versions": versions(),
            "keep_queries": keep_queries,
        }
        samples = {
            language: text
            for language, text in join.samples.items()
            if language in join.languages or language == "und"
        }
        facts["probes"] = make_probes(encoder, samples)
        if adopted:
            facts["adopted"] = adopted.facts
            if not adopted.has_text:
                join.empty_texts = 0  # unknown, not empty

        new = {code: join.counts[code] for code in join.languages}
        rates = sample_rates(new, join.passages)
        if before is not None:
            check_not_there(before, join)
            facts, rates = facts_of_both(before, facts), rates_of_both(before, new)
            plan["added_to"] = before.digest
        both = sorted({*join.languages, *(before.languages if before else ())})

        def given() -> Passages | None:
            first = start + folder.blocks * BLOCK
            return vectors and in_blocks(vectors, first, stop, folder.work)

        if to_faiss is None:
            writer = StoreWriter(
                folder,
                {**plan, "sample": rates},
                rows=stop - start,
                dimension=encoder.dimension,
                languages=both,
                dtype=dtype,
                keep_queries=keep_queries,
                sample_rates=rates,
            )
            blocks = encode_blocks(
                join, encoder, fields, start, stop, done=folder.blocks, keep_queries=keep_queries,
                given=given(), sample_rates={code: rates[code] for code in join.languages if rates},
            )  # fmt: skip
            if before is not None:
                blocks = with_old(blocks, before, rates, folder.blocks, keep_queries)
            for block in with_bar(blocks, stop - start, "encoding", done=folder.rows, last=False):
                writer.append(block)
            writer.finish(
                {
                    **facts,
                    "versions": versions(),
                    "empty_texts": join.empty_texts,
                    "empty_queries": join.empty_queries,
                    "unknown_docids": join.unknown,
                }
            )
        else:
            to_faiss.check(join.languages)
            flat = FlatIndexWriter(folder, {**plan, "fusion": asdict(to_faiss)}, encoder.dimension)
            counts, covered = _count_queries(join, start, start + folder.rows)
            blocks = encode_blocks(
                join, encoder, fields, start, stop, done=folder.blocks, given=given()
            )
            for block in with_bar(blocks, stop - start, "encoding", done=folder.rows, last=False):
                flat.append(block.docids, to_faiss.apply(block))
                for language, of_language in block.counts.items():
                    counts[language] += int(of_language.sum())
                    covered[language] += int((of_language > 0).sum())
            flat.finish(
                index_manifest(
                    kind="faiss",
                    type="flat",
                    fusion=to_faiss,
                    queries=counts,
                    covered=covered,
                    passages=stop - start,
                    dimension=encoder.dimension,
                    **facts,
                )
            )
        join.close()
    said = f"{stop - start:,} passages"
    if join.languages and shard_num == 1 and not join.unknown:  # of which some queries are
        said += f", {sum(join.counts[language] for language in join.languages):,} queries"
    say(f"{said} -> {output}, {duration(time.monotonic() - began)}")
    for count, what in (
        (join.empty_texts, "passages have no text and were encoded as they are"),
        (join.empty_queries, "queries were blank and left out"),
        (join.unknown, "rows of queries are for docids that the corpus lacks"),
    ):
        if count:
            print(f"note: {count} {what}", file=sys.stderr)


def _count_queries(join: Join, start: int, stop: int) -> tuple[dict[str, int], dict[str, int]]:
    """Queries, and passages that have some, by language: of rows that are encoded already."""
    from pyserini_xqg.collection.shards import BLOCK

    counts, covered = dict.fromkeys(join.languages, 0), dict.fromkeys(join.languages, 0)
    for row in range(start, stop, BLOCK):
        passages = join.read_passages(row, min(row + BLOCK, stop))
        for queries in join.queries_of([passage.docid for passage in passages]):
            for language, texts in queries.items():
                counts[language] += len(texts)
                covered[language] += bool(texts)
    return counts, covered
