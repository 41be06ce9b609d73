"""What a backend or dtype changes, on a sample: ``encoder --check-backend``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.blocks import texts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.encoder.encoder import Encoder

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
    from pyserini_xqg.encoder.encoder import Encoder

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
