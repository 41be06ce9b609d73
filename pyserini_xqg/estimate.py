"""What encoding a corpus will take, from a sample: ``output --dry-run``."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyserini_xqg.blocks import encode_generated, texts_of

if TYPE_CHECKING:
    from pyserini_xqg.encoder import Encoder
    from pyserini_xqg.join import Join

_PLACES, _ROWS = 8, 16  # from all over the corpus: passages at its beginning may be short


class Estimate(NamedTuple):
    """The cost of encoding a shard.

    Attributes
    ----------
    sampled, passages : int
        Passages measured, and in the shard.
    rate : float
        Passages a second, with their queries.
    disk : int
        Bytes of the store, or of the index.
    memory : int
        Bytes in use at the peak of the sample.
    """

    sampled: int
    passages: int
    rate: float
    disk: int
    memory: int

    def __str__(self) -> str:
        hours = self.passages / self.rate / 3600
        return (
            f"{self.sampled} of {self.passages} passages measured: {self.rate:.1f} a second with "
            f"their queries, {hours:.2f} hours in all; {self.disk / 1e9:.3f} GB on disk; "
            f"{self.memory / 1e9:.1f} GB of memory"
        )


def estimate(
    join: Join,
    encoder: Encoder,
    fields: Sequence[str],
    start: int,
    stop: int,
    *,
    dtype: str = "float32",
    keep_queries: bool = False,
    to_faiss: bool = False,
) -> Estimate:
    """Encode a few passages from all over a shard, and reckon with the rest.

    The parameters are those of `pyserini_xqg.encode.encode_corpus`.
    """
    rows = sorted(
        {
            row
            for place in np.linspace(start, stop, _PLACES, endpoint=False, dtype=int)
            for row in range(int(place), min(int(place) + _ROWS, stop))
        }
    )
    passages = [next(join.read_passages(row, row + 1)) for row in rows]
    queries = join.queries_of([passage.docid for passage in passages])
    texts, titles = texts_of(passages, fields)
    encoder.encode_passages(texts[:2], titles and titles[:2])  # the first call also warms up
    began = time.perf_counter()
    encoder.encode_passages(texts, titles)
    encode_generated(queries, join.languages, encoder)
    elapsed = time.perf_counter() - began
    docids = sum(len(passage.docid) + 1 for passage in passages) / len(passages)
    if to_faiss:
        of_passage = 4.0 * encoder.dimension
    else:
        vectors = 1.0 + len(join.languages)
        if keep_queries:
            vectors += sum(join.counts[code] for code in join.languages) / join.passages
        of_passage = vectors * encoder.dimension * np.dtype(dtype).itemsize
        of_passage += 4.0 * len(join.languages)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Estimate(
        len(passages),
        stop - start,
        len(passages) / elapsed,
        int((stop - start) * (of_passage + docids)),
        peak * (1 if sys.platform == "darwin" else 1024),  # bytes there, kilobytes here
    )
