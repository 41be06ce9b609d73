"""Whether two encoders agree: on vectors that exist, and with another backend or dtype.

A few passages are encoded again, and compared; ``encoder --check-backend`` prints a table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.encode.blocks import texts_of
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.probes import MIN_COSINE, agree, compare, same_length
from pyserini_xqg.encoder.spec import POOLINGS


class Sample(NamedTuple):
    """A passage with its text and the vector that it came with."""

    passage: Passage
    vector: NDArray[np.float32]


def check_encoder(
    encoder: Encoder, fields: Sequence[str], samples: Sequence[Sample], where: str
) -> dict[str, Any] | None:
    """Encode a few passages again and compare with the vectors that are there.

    Parameters
    ----------
    encoder : Encoder
    fields : sequence of str
        What is encoded of a passage.
    samples : sequence of Sample
    where : str
        The vectors, for the message.

    Returns
    -------
    dict or None
        How many were ``compared`` and the least ``cosine``; None without texts.

    Raises
    ------
    XqgError
        If a cosine is below `MIN_COSINE`, or lengths differ; it says what would make them equal,
        where another pooling, norm, field or prefix does. A prefix after the title instead of
        before it, as `pyserini.encode` writes it, is taken and said.
    """
    samples = [sample for sample in samples if sample.passage.text.strip()]
    if not samples:
        return None
    passages = [sample.passage for sample in samples]
    expected = np.stack([sample.vector for sample in samples])
    cosines, ratio = compare(encoder.encode_passages(*texts_of(passages, fields)), expected)
    worst = int(cosines.argmin())
    if agree(cosines, ratio):
        return {"compared": len(samples), "cosine": round(float(cosines[worst]), 6)}
    if "title" in fields and encoder.spec.passage_prefix and not encoder.spec.add_sep:
        inside = compare(_with_prefix_after_title(encoder, fields, passages), expected)
        if agree(*inside):
            print(
                f"note: {where} has the prefix {encoder.spec.passage_prefix!r} between title and "
                "text, as pyserini.encode puts it; here it stands before the title: do not add "
                "passages that are encoded here to these",
                file=sys.stderr,
            )
            cosine = round(float(inside[0].min()), 6)
            return {"compared": len(samples), "cosine": cosine, "prefix": "after the title"}
    raise XqgError(
        f"{where} was not made by {encoder.spec.model} as it is used here: passage "
        f"{passages[worst].docid!r}, encoded again, has cosine {cosines[worst]:.4f} (expected at "
        f"least {MIN_COSINE}), length x{ratio:.3f}. {_remedy(encoder, fields, passages, expected)}"
    )


def _with_prefix_after_title(
    encoder: Encoder, fields: Sequence[str], passages: Sequence[Passage]
) -> NDArray[np.float32]:
    """The passages' vectors with the prefix where `pyserini.encode --prefix` puts it."""
    spec = encoder.spec
    texts, titles = texts_of(passages, fields)
    try:
        encoder.use(replace(spec, passage_prefix=""))
        return encoder.encode_passages([spec.passage_prefix + text for text in texts], titles)
    finally:
        encoder.use(spec)


def _remedy(
    encoder: Encoder,
    fields: Sequence[str],
    passages: Sequence[Passage],
    expected: NDArray[np.float32],
) -> str:
    """What to change, tried by encoding the passages with it."""
    spec = encoder.spec
    tried = product(
        dict.fromkeys((tuple(fields), ("text",), ("title", "text"))),
        dict.fromkeys((spec.passage_prefix, "", "passage: ")),
        dict.fromkeys((spec.pooling, *POOLINGS)),
    )
    try:
        for names, prefix, pooling in tried:
            encoder.use(replace(spec, pooling=pooling, passage_prefix=prefix))
            cosines, ratio = compare(encoder.encode_passages(*texts_of(passages, names)), expected)
            if cosines.min() < MIN_COSINE:
                continue
            options = [
                f"--fields {' '.join(names)}" * (names != tuple(fields)),
                f"--passage-prefix {prefix!r}" * (prefix != spec.passage_prefix),
                f"--pooling {pooling}" * (pooling != spec.pooling),
            ]
            if not same_length(ratio):
                options.append("vectors of length 1" if spec.l2_norm else "--l2-norm")
            return f"What agrees: {' '.join(filter(None, options))}"
    finally:
        encoder.use(spec)
    return (
        "No pooling, prefix or field that we tried gives these vectors: give the encoder that made "
        "them, with --encoder, and its --max-length"
    )


_PASSAGES, _QUERIES = 500, 50  # the latter of each language
_TOP = 100


class Agreement(NamedTuple):
    """How near two encoders' vectors of the same texts are.

    Attributes
    ----------
    texts : str
        ``passages``, or a language of queries.
    size : int
    least, mean : float
        Of the cosines.
    overlap : float or None
        The part of a query's best passages that both find, on average; None for passages.
    """

    texts: str
    size: int
    least: float
    mean: float
    overlap: float | None = None


def check_backend(
    join: Join, encoder: Encoder, fields: Sequence[str], start: int, stop: int
) -> str:
    """A table of cosines and overlap between an encoder and itself in torch and float32.

    The parameters are those of `encode_corpus`. The rank up to which overlap
    counts is 100, or a fifth of the passages in the sample where these are fewer than 500.

    Raises
    ------
    XqgError
        If the encoder is torch in float32 already.
    """
    plain = replace(encoder.spec, backend="torch", dtype="float32")
    if plain == encoder.spec:
        raise XqgError(
            "--check-backend compares with torch in float32, which is what was chosen; choose "
            "another --backend or --dtype"
        )
    rows = np.unique(np.linspace(start, stop - 1, min(_PASSAGES, stop - start), dtype=int))
    passages = [next(join.read_passages(int(row), int(row) + 1)) for row in rows]
    texts, titles = texts_of(passages, fields)
    of_passages = join.queries_of([passage.docid for passage in passages])
    chosen = {
        language: [text for queries in of_passages for text in queries.get(language, ())]
        for language in join.languages
    }
    reference = Encoder(
        plain,
        device=encoder.device,
        batch_size=encoder.batch_size,
        trust_remote_code=encoder.trust_remote_code,
    )
    both = (reference, encoder)
    documents = [one.encode_passages(texts, titles) for one in both]
    depth = min(_TOP, -(-len(passages) // 5))
    found = [_agreement("passages", documents)]
    for language, queries in chosen.items():
        some = queries[:: max(1, -(-len(queries) // _QUERIES))]
        if not some:  # the language has queries, and none of them for these passages
            continue
        vectors = [one.encode_generated_queries(some) for one in both]
        overlap = top_overlap(vectors[0] @ documents[0].T, vectors[1] @ documents[1].T, depth)
        found.append(_agreement(language, vectors)._replace(overlap=overlap))
    spec = encoder.spec
    lines = [
        f"{spec.backend} in {spec.dtype} beside torch in float32: {spec.model}",
        f"{'texts':<12}{'count':>6}  {'cosine min':>10}  {'mean':>8}  top-{depth} overlap",
    ]
    for row in found:
        both_find = "" if row.overlap is None else f"{row.overlap:.4f}"
        lines.append(
            f"{row.texts:<12}{row.size:>6}  {row.least:>10.6f}  {row.mean:>8.6f}  {both_find}"
        )
    return "\n".join(line.rstrip() for line in lines)


def top_overlap(one: NDArray[np.float32], other: NDArray[np.float32], depth: int) -> float:
    """The mean, over rows of scores, of the part of the best `depth` columns that both share."""
    best = [np.argsort(-scores, axis=1, kind="stable")[:, :depth] for scores in (one, other)]
    shared = [len(np.intersect1d(*rows)) for rows in zip(*best, strict=True)]
    return float(np.mean(shared)) / depth


def _agreement(texts: str, pair: Sequence[NDArray[np.float32]]) -> Agreement:
    one, other = (vectors.astype(np.float64) for vectors in pair)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = (one * other).sum(axis=1) / np.where(norms > 0, norms, 1)
    return Agreement(texts, len(one), float(cosines.min()), float(cosines.mean()))
