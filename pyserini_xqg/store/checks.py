"""Vectors that no working encoder gives, refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.base.errors import XqgError

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
