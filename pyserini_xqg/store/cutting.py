"""Blocks cut anew: where those of a store's shards end elsewhere than those of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.store.block import Block, Sampled

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
