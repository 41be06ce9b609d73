"""What encoding a corpus will take, from a sample: ``output --dry-run``."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.shards import shard_range
from pyserini_xqg.encode.blocks import encode_generated, texts_of
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.store.sample import sample_rates

_PLACES = 8  # from all over the shard: passages at its beginning may be short
_ROWS = 16  # passages at each of them
_MANY_ROWS = 128  # in all a block: where fewer took less than _ENOUGH seconds, as on a GPU
_ENOUGH = 5.0


class Estimate(NamedTuple):
    """The cost of encoding a shard.

    Attributes
    ----------
    sampled, passages, corpus : int
        Passages measured, in the shard, and in all shards.
    shards : int
    passages_per_second, queries_per_second : float
        Of this machine, each without the other; 0 where there are no queries.
    queries : float
        Of a passage, on average.
    disk, flat_index : int
        Bytes of the store or, with ``--to-faiss``, of the index; and of a flat index of the store,
        0 where there is no store.
    memory : int
        Bytes in use at the peak of the sample.
    """

    sampled: int
    passages: int
    corpus: int
    shards: int
    passages_per_second: float
    queries_per_second: float
    queries: float
    disk: int
    flat_index: int
    memory: int

    @property
    def hours(self) -> float:
        """Of the shard, on this machine."""
        seconds = 1 / self.passages_per_second
        if self.queries:
            seconds += self.queries / self.queries_per_second
        return self.passages * seconds / 3600

    def lines(self, price_per_hour: float | None = None) -> list[str]:
        """The estimate in words, one fact a line; the price is of one machine."""
        flat = self.flat_index / 1e9
        index = f", and {flat:,.3f} GB for a flat index of it" if flat else ""
        return [
            f"{self.sampled} of {self.passages} passages measured: {self.passages_per_second:,.1f} "
            f"passages/s and {self.queries_per_second:,.1f} queries/s; {self.queries:.1f} queries "
            "for a passage",
            f"{self.hours:,.2f} hours; {self.disk / 1e9:,.3f} GB on disk{index}; "
            f"{self.memory / 1e9:.1f} GB of memory",
            *in_all(
                self.hours, self.disk, self.corpus / self.passages, self.shards, price_per_hour
            ),
        ]


def in_all(
    hours: float, size: int, times: float, shards: int, price_per_hour: float | None
) -> list[str]:
    """Lines about all shards, where there are several, and about money, where its price is known.

    Parameters
    ----------
    hours : float
        Of one shard.
    size : int
        Its bytes on disk.
    times : float
        How often its passages go into the corpus.
    shards : int
    price_per_hour : float or None
        Of the machine that does a shard.
    """
    lines, hours = [], hours * times
    if shards > 1:
        lines.append(
            f"all {shards} shards: {hours:,.2f} machine hours, {size * times / 1e9:,.3f} GB on disk"
        )
    if price_per_hour is not None:
        lines.append(
            f"{hours:,.2f} machine hours at {price_per_hour:,.2f}: {hours * price_per_hour:,.2f}"
        )
    return lines


def estimate(
    join: Join,
    encoder: Encoder,
    fields: Sequence[str],
    *,
    shard_id: int = 0,
    shard_num: int = 1,
    dtype: str = "float32",
    keep_queries: bool = False,
    to_faiss: bool = False,
) -> Estimate:
    """Encode a few passages from all over a shard, and reckon with the rest.

    The parameters are those of `pyserini_xqg.encode.corpus.encode_corpus`.

    Raises
    ------
    XqgError
        If there is no such shard, or for a broken row.
    """
    start, stop = shard_range(join.passages, shard_id, shard_num)
    passages, of_passages, of_queries, count = _measure(join, encoder, fields, start, stop, _ROWS)
    if of_passages + of_queries < _ENOUGH and len(passages) < stop - start:
        passages, of_passages, of_queries, count = _measure(
            join, encoder, fields, start, stop, _MANY_ROWS
        )
    docid = sum(len(passage.docid.encode()) + 1 for passage in passages) / len(passages)
    flat = 4.0 * encoder.dimension + docid
    counts = {code: join.counts[code] for code in join.languages}
    queries = sum(counts.values()) / join.passages
    rates = sample_rates(counts, join.passages)
    sampled = sum(rates[code] * count for code, count in counts.items()) / join.passages
    vectors = 1.0 + len(join.languages) + (queries if keep_queries else 0) + sampled
    of_store = vectors * encoder.dimension * np.dtype(dtype).itemsize + docid
    of_store += 4.0 * len(join.languages) + 8.0 * sampled
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Estimate(
        sampled=len(passages),
        passages=stop - start,
        corpus=join.passages,
        shards=shard_num,
        passages_per_second=len(passages) / of_passages,
        queries_per_second=count / of_queries if count else 0.0,
        queries=queries,
        disk=int((stop - start) * (flat if to_faiss else of_store)),
        flat_index=0 if to_faiss else int((stop - start) * flat),
        memory=peak * (1 if sys.platform == "darwin" else 1024),  # bytes there, kilobytes here
    )


def _measure(
    join: Join, encoder: Encoder, fields: Sequence[str], start: int, stop: int, each: int
) -> tuple[list[Passage], float, float, int]:
    """Some passages, the seconds that they and their queries took, and how many these are."""
    places = [*np.linspace(start, stop, _PLACES, endpoint=False, dtype=int).tolist(), stop]
    passages = [
        passage
        for place, following in pairwise(places)
        for passage in join.read_passages(place, min(place + each, following))
    ]
    queries = join.queries_of([passage.docid for passage in passages])
    texts, titles = texts_of(passages, fields)
    encoder.encode_passages(texts[:2], titles and titles[:2])  # the first call also warms up
    began = time.perf_counter()
    encoder.encode_passages(texts, titles)
    between = time.perf_counter()
    encode_generated(queries, join.languages, encoder)
    count = sum(len(texts) for of in queries for texts in of.values())
    return passages, between - began, time.perf_counter() - between, count
