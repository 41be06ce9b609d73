"""Vectors that exist, taken instead of encoding passages: read through, checked, and cut in blocks.

Only queries are encoded then. Whether the encoder is the one that made the vectors is asked of a
few passages whose text is known: they are encoded again.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage, PassageFormat
from pyserini_xqg.collection.runs import stream_corpus
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.encode.blocks import Passages
from pyserini_xqg.encode.same_encoder import Sample, check_encoder
from pyserini_xqg.encode.vector_rows import Rows
from pyserini_xqg.encode.vector_sources import VectorSource
from pyserini_xqg.encoder.encoder import Encoder

# Passages that are encoded again.
_CHECKED = 16
# Words of a passage that are kept where it is not drawn.
_WORDS = 12


class Adopted(NamedTuple):
    """What one pass over the vectors found.

    Attributes
    ----------
    dimension : int
    digest : str
        SHA-256 of docids and vectors.
    docids : Path
        A corpus of the docids, in the order of the vectors, for `Join`.
    has_text : bool
        Whether texts came with the vectors.
    samples : list of Sample
        Drawn evenly from all rows; without text where `has_text` is false.
    facts : dict
        For the manifest: path, kind, and what the encoder's check found.
    """

    dimension: int
    digest: str
    docids: Path
    has_text: bool
    samples: list[Sample]
    facts: dict[str, Any]


def adopt(
    source: VectorSource,
    encoder: Encoder,
    work: Path,
    corpus: str | Path | None = None,
    fields: Sequence[str] = ("text",),
    form: PassageFormat | None = None,
) -> Adopted:
    """Read the vectors through and check that the encoder made them.

    Parameters
    ----------
    source : VectorSource
    encoder : Encoder
        It will encode the queries.
    work : Path
        A folder for the docids and unpacked files; the caller removes it.
    corpus : path-like or None
        Where texts are that did not come with the vectors.
    fields : sequence of str
        What was encoded of a passage.
    form : PassageFormat or None
        How rows of the corpus are read.

    Raises
    ------
    XqgError
        For broken rows, and for an encoder that gives other vectors.
    """
    adopted = read_through(source, work)
    if adopted.dimension != encoder.dimension:
        raise XqgError(
            f"{source.path}: vectors of dimension {adopted.dimension}; {encoder.spec.model} has "
            f"{encoder.dimension}: give the encoder that made them, with --encoder"
        )
    samples = adopted.samples
    if corpus is not None:
        samples = with_texts(samples, corpus, form or PassageFormat())
    checked = check_encoder(encoder, fields, samples, str(source.path))
    if checked is None:
        print(
            f"note: no text beside {source.path}: whether {encoder.spec.model} made these vectors "
            "could not be checked; input --corpus gives the texts",
            file=sys.stderr,
        )
    facts = {"path": str(source.path), "kind": source.kind, "checked": checked}
    return adopted._replace(facts=facts)


def read_through(source: VectorSource, work: Path) -> Adopted:
    """Read every row, so that bad ones are found in the first minutes.

    Raises
    ------
    XqgError
        For rows that are broken, hold NaN or infinity, or differ in dimension, and if there are
        none.
    """
    from tqdm import tqdm

    sha, draw = hashlib.sha256(), random.Random(0)
    samples: list[Sample] = []
    dimension, has_text, seen = 0, False, 0
    path = work / "docids.jsonl"
    with (
        open(path, "w", encoding="utf-8") as docids,
        tqdm(desc="checking vectors", unit="passage", disable=None) as bar,
    ):
        for rows in source.read(0, work):
            dimension = dimension or rows.vectors.shape[1]
            _check_rows(rows, dimension, source.path)
            sha.update("\n".join([*rows.docids, ""]).encode(errors="surrogateescape"))
            sha.update(np.ascontiguousarray(rows.vectors, dtype="<f4").data)
            for number, docid in enumerate(rows.docids):
                passage = rows.passages[number] if rows.passages else Passage(docid, "", "")
                beginning = " ".join(passage.text.split()[:_WORDS])
                docids.write(json.dumps({"docid": docid, "text": beginning}) + "\n")
                has_text = has_text or bool(passage.title or passage.text)
                seen += 1
                # Each of the first n rows stays with probability _CHECKED / n (Vitter, "Random
                # Sampling with a Reservoir", 1985, algorithm R).
                place = draw.randrange(seen)
                sample = Sample(passage, rows.vectors[number].copy())
                if len(samples) < _CHECKED:
                    samples.append(sample)
                elif place < _CHECKED:
                    samples[place] = sample
            bar.update(len(rows.docids))
    if not seen:
        raise XqgError(f"{source.path}: no vectors in it")
    return Adopted(dimension, sha.hexdigest(), path, has_text, samples, {})


def in_blocks(source: VectorSource, start: int, stop: int, work: Path) -> Passages:
    """Docids and vectors of rows `start` to `stop`, in blocks of `BLOCK`, the last one shorter."""
    docids: list[str] = []
    parts: list[NDArray[np.float32]] = []
    for rows in source.read(start, work):
        size = min(len(rows.docids), stop - rows.first)
        docids += rows.docids[:size]
        parts.append(rows.vectors[:size])
        ended = rows.first + size >= stop
        while len(docids) >= BLOCK or (ended and docids):
            vectors = np.concatenate(parts)
            yield docids[:BLOCK], vectors[:BLOCK]
            docids, parts = docids[BLOCK:], [vectors[BLOCK:]]
        if ended:
            return


def _check_rows(rows: Rows, dimension: int, path: Path) -> None:
    if rows.vectors.shape[1] != dimension:
        raise XqgError(
            f"{path}: row {rows.first + 1}: a vector of {rows.vectors.shape[1]} components, the "
            f"first has {dimension}"
        )
    bad = np.flatnonzero(~np.isfinite(rows.vectors).all(axis=1))
    if len(bad):
        raise XqgError(
            f"{path}: row {rows.first + bad[0] + 1}: the vector of passage "
            f"{rows.docids[bad[0]]!r} holds NaN or infinity ({len(bad)} in this block)"
        )
    if len(rows.docids) > 1 and not rows.passages and (rows.vectors == rows.vectors[0]).all():
        raise XqgError(
            f"{path}: all {len(rows.docids)} passages from {rows.docids[0]!r} on have the same "
            "vector; what made them was broken"
        )


def with_texts(samples: Sequence[Sample], corpus: str | Path, form: PassageFormat) -> list[Sample]:
    """The samples with their texts from a corpus.

    Raises
    ------
    XqgError
        If the corpus lacks one of them.
    """
    wanted = {sample.passage.docid: number for number, sample in enumerate(samples)}
    found = list(samples)
    for passage, _ in stream_corpus(corpus, form):
        number = wanted.pop(passage.docid, None)
        if number is not None:
            found[number] = samples[number]._replace(passage=passage)
        if not wanted:
            return found
    raise XqgError(
        f"{corpus}: no passage {next(iter(wanted))!r}, which --vectors has; give the corpus that "
        "was encoded, or leave --corpus out (then nothing can be checked)"
    )
