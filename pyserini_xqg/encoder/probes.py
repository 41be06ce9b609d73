"""Probes: a text a language with its vector, by which an index knows its encoder again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pyserini_xqg.base.errors import XqgError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.spec import EncoderSpec

#: Below this cosine the encoder is another one. Another batch size or another CPU stays above
#: 0.99999, bfloat16 beside float32 above 0.999.
MIN_COSINE = 0.999


def make_probes(encoder: Encoder, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """What to record of each language: text, token ids and query-side vector, in JSON types."""
    languages = sorted(texts)
    vectors = encoder.encode_queries([texts[language] for language in languages])
    return [
        {
            "language": language,
            "text": texts[language],
            "tokens": encoder.token_ids(texts[language]),
            "vector": [float(value) for value in vector],
        }
        for language, vector in zip(languages, vectors, strict=True)
    ]


class QuerySide(Protocol):
    """What makes vectors of topics."""

    @property
    def spec(self) -> EncoderSpec: ...

    def encode_queries(self, texts: Sequence[str], /) -> NDArray[np.float32]: ...

    def token_ids(self, text: str, /) -> list[int]: ...

    def use(self, spec: EncoderSpec, /) -> None:
        """Take other pooling or norm with the weights already loaded."""
        ...


def check_probes(encoder: QuerySide, probes: Sequence[Mapping[str, Any]], where: str) -> None:
    """Encode the probes again and compare.

    Parameters
    ----------
    encoder : QuerySide
        The one that is about to answer queries.
    probes : sequence of mapping
        As `make_probes` recorded them.
    where : str
        The index, for the message.

    Raises
    ------
    XqgError
        If a cosine is below `MIN_COSINE` or lengths differ; the message says which part of the
        encoder differs: dimension, tokenizer, pooling, norm, or weights.
    """
    if not probes:
        return
    expected = np.array([probe["vector"] for probe in probes], dtype=np.float32)
    texts = [probe["text"] for probe in probes]
    vectors = encoder.encode_queries(texts)
    if expected.shape != vectors.shape:
        raise XqgError(
            f"{where} was built with vectors of dimension {expected.shape[1]}; the "
            f"encoder {encoder.spec.model} has {vectors.shape[1]}. Give the encoder it "
            "was built with, with --encoder"
        )
    cosines, ratio = compare(vectors, expected)
    worst = int(cosines.argmin())
    if agree(cosines, ratio):
        return
    probe = probes[worst]
    raise XqgError(
        f"{where} was built with another encoder than {encoder.spec.model}: the probe in "
        f"{probe['language']} has cosine {cosines[worst]:.4f} (expected at least {MIN_COSINE}), "
        f"length x{ratio:.3f}. {_difference(encoder, probes, expected)}. Give the encoder it was "
        "built with, with --encoder, or build the index again"
    )


def compare(
    vectors: NDArray[np.float32], expected: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    """The cosine of each pair of rows, and how much longer the first are in all."""
    norms = np.linalg.norm(vectors, axis=1), np.linalg.norm(expected, axis=1)
    product = norms[0] * norms[1]
    dots = (vectors * expected).sum(axis=1)
    # A text of which the encoder knows no token may have a zero vector: equal if both have.
    cosines = np.where(product > 0, dots / np.where(product > 0, product, 1), norms[0] == norms[1])
    total = float(norms[1].sum())
    return cosines, float(norms[0].sum()) / total if total else 1.0


def same_length(ratio: float) -> bool:
    """Whether vectors are as long as expected, by the ratio of `compare`."""
    return 0.99 <= ratio <= 1.01


def agree(cosines: NDArray[np.float32], ratio: float) -> bool:
    """Whether vectors that `compare` has compared are an encoder's own."""
    return bool(cosines.min() >= MIN_COSINE) and same_length(ratio)


def _difference(
    encoder: QuerySide, probes: Sequence[Mapping[str, Any]], expected: NDArray[np.float32]
) -> str:
    if any(encoder.token_ids(probe["text"]) != probe["tokens"] for probe in probes):
        return (
            "What differs is the tokenizer or the query prefix: the token ids are others "
            "(another model, or a tokenizer file or library that changed)"
        )
    texts = [probe["text"] for probe in probes]
    spec = encoder.spec
    try:
        for pooling in ("cls", "mean", "last"):
            encoder.use(replace(spec, pooling=pooling))
            cosines, _ = compare(encoder.encode_queries(texts), expected)
            if cosines.min() >= MIN_COSINE:
                if pooling != spec.pooling:
                    return f"What differs is the pooling: {spec.pooling} here, {pooling} there"
                return "What differs is the L2 norm: the directions agree, the lengths do not"
    finally:
        encoder.use(spec)
    return "What differs is the weights: tokens agree, and no pooling gives these vectors"
