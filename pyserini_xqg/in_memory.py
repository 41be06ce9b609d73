"""FAISS indexes of the types that cannot be written block by block: HNSW, IVF, quantised ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.blocks import with_bar
from pyserini_xqg.errors import XqgError
from pyserini_xqg.flat import check_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.settings import Fusion
    from pyserini_xqg.store import Store

#: Names for ``--type``; anything else is handed to FAISS as a factory string.
TYPES = {"flat": "Flat", "hnsw": "HNSW32"}
# FAISS asks for 39 to 256 training vectors a centroid; more than this many adds nothing but time.
_TRAINING_ROWS = 262_144


def build_in_memory(
    store: Store,
    folder: Path,
    fusion: Fusion,
    languages: Sequence[str],
    index_type: str,
    centres: Mapping[str, NDArray[np.float32]] | None,
) -> None:
    """Build ``index`` and ``docid`` of a type that FAISS must hold whole, in `folder`.

    The parameters are those of `pyserini_xqg.index.build_index`.

    Raises
    ------
    XqgError
        For a type that FAISS does not know or cannot train on so few passages, and for vectors
        that are not finite.
    """
    import faiss

    try:
        index = faiss.index_factory(
            store.dimension, TYPES.get(index_type, index_type), faiss.METRIC_INNER_PRODUCT
        )
    except RuntimeError:
        raise XqgError(
            f"--type {index_type!r} is none of {', '.join(TYPES)} and no FAISS factory "
            f"string for dimension {store.dimension}"
        ) from None
    if not index.is_trained:
        step = max(1, math.ceil(store.passages / _TRAINING_ROWS))
        sample = [fusion.apply(block, centres)[::step] for block in store.blocks(languages)]
        try:
            index.train(np.concatenate(sample))
        except RuntimeError as error:
            raise XqgError(
                f"--type {index_type!r} cannot be trained on {store.passages} passages: "
                f"{str(error).splitlines()[-1]}"
            ) from None
    with open(folder / "docid", "w", encoding="utf-8") as docids:
        for block in with_bar(store.blocks(languages), store.passages, "indexing"):
            vectors = fusion.apply(block, centres)
            check_finite(vectors, block.docids)
            index.add(np.ascontiguousarray(vectors))
            docids.writelines(docid + "\n" for docid in block.docids)
    faiss.write_index(index, str(folder / "index"))
