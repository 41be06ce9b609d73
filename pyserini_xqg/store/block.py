"""Blocks: passages beside the sums of their generated queries' vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
