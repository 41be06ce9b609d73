"""Blocks of a store: what they hold, what is refused of them, and how they are cut anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import BLOCK


class Sampled(NamedTuple):
    """Some of a block's single queries in one language.

    Attributes
    ----------
    counts : array, shape (n,), int32
        Of each passage: all of its queries, or none.
    vectors : array, shape (sum of counts, d), float32
        In passage order, then query order.
    """

    counts: NDArray[np.int32]
    vectors: NDArray[np.float32]


class Block(NamedTuple):
    """Vectors of up to `BLOCK` passages, in corpus order.

    Attributes
    ----------
    docids : list of str
    passages : array, shape (n, d), float32
    sums : dict of language to array, shape (n, d), float32
    counts : dict of language to array, shape (n,), int32
    queries : dict of language to array, shape (sum of counts, d), float32, or None
        Every query's own vector, in passage order then query order, where they are kept.
    sample : dict of language to Sampled, or None
        Those of the passages that were drawn.
    """

    docids: list[str]
    passages: NDArray[np.float32]
    sums: dict[str, NDArray[np.float32]]
    counts: dict[str, NDArray[np.int32]]
    queries: dict[str, NDArray[np.float32]] | None = None
    sample: dict[str, Sampled] | None = None


def recut(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same passages in blocks of `BLOCK`, the last one shorter."""
    rest: Block | None = None
    for block in blocks:
        rest = block if rest is None else _glue(rest, block)
        while len(rest.docids) >= BLOCK:
            yield cut(rest, 0, BLOCK)
            rest = cut(rest, BLOCK, len(rest.docids))
    if rest is not None and rest.docids:
        yield rest


def cut(block: Block, start: int, stop: int) -> Block:
    """The passages from `start` to `stop`."""

    def kept(counts: NDArray[np.int32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        ends = np.concatenate([[0], np.cumsum(counts)])
        return vectors[ends[start] : ends[stop]]

    return Block(
        block.docids[start:stop],
        block.passages[start:stop],
        {language: sums[start:stop] for language, sums in block.sums.items()},
        {language: counts[start:stop] for language, counts in block.counts.items()},
        block.queries
        and {code: kept(block.counts[code], of) for code, of in block.queries.items()},
        block.sample
        and {
            code: Sampled(of.counts[start:stop], kept(of.counts, of.vectors))
            for code, of in block.sample.items()
        },
    )


def _glue(first: Block, second: Block) -> Block:
    def both(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
        return {name: np.concatenate([one[name], two[name]]) for name in one}

    return Block(
        first.docids + second.docids,
        np.concatenate([first.passages, second.passages]),
        both(first.sums, second.sums),
        both(first.counts, second.counts),
        None
        if first.queries is None or second.queries is None
        else both(first.queries, second.queries),
        None
        if first.sample is None or second.sample is None
        else {
            code: Sampled(
                *(np.concatenate(pair) for pair in zip(of, second.sample[code], strict=True))
            )
            for code, of in first.sample.items()
        },
    )


def check_vectors(vectors: NDArray[np.float32], docids: Sequence[str]) -> None:
    """Refuse what no working encoder gives for a block of passages: NaN, or one vector for all.

    Raises
    ------
    XqgError
        Saying which.
    """
    check_finite(vectors, docids)
    if len(vectors) > 1 and (vectors == vectors[0]).all():
        raise XqgError(
            f"all {len(vectors)} passages from {docids[0]!r} on have the same vector; the encoder "
            "is broken or pooled in a way that it was not trained for: see --pooling"
        )


def check_finite(vectors: NDArray[np.float32], docids: Sequence[str]) -> None:
    """Refuse NaN and infinity, which FAISS would index and never find.

    Raises
    ------
    XqgError
        Naming the first docid.
    """
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise XqgError(
            f"the vector of passage {docids[bad[0]]!r} holds NaN or infinity ({len(bad)} "
            "in this block); the encoder's weights or dtype are broken: try --dtype "
            "float32"
        )
