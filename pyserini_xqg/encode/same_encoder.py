"""Whether an encoder made vectors that exist: a few passages are encoded again, and compared."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.encode.blocks import texts_of
from pyserini_xqg.encoder.probes import MIN_COSINE, agree, compare, same_length
from pyserini_xqg.encoder.spec import POOLINGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.encoder.encoder import Encoder


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
