"""Writes an embedding store; `pyserini_xqg.store` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import digest
from pyserini_xqg.base.leftovers import LOG
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.columns import Column, headers_of
from pyserini_xqg.store.store import FORMAT


class StoreWriter:
    """Writes blocks into an `OutputFolder` as a store.

    Parameters
    ----------
    folder : OutputFolder
        Entered, not yet started.
    plan : mapping
        What decides the bytes; a resumed run must bring the same.
    rows, dimension : int
        Passages of this shard, and components of a vector.
    languages : sequence of str
    dtype : {"float32", "float16"}
    keep_queries : bool
        Store every query's vector too.
    sample_rates : mapping of language to float
        What the blocks' samples were drawn at; empty stores none.

    Raises
    ------
    XqgError
        If a value does not fit into float16.
    """

    def __init__(
        self,
        folder: OutputFolder,
        plan: Mapping[str, Any],
        *,
        rows: int,
        dimension: int,
        languages: Sequence[str],
        dtype: str = "float32",
        keep_queries: bool = False,
        sample_rates: Mapping[str, float] | None = None,
    ) -> None:
        self._folder = folder
        self._dtype = np.dtype(dtype)
        self._keep = keep_queries
        self._rates = dict(sample_rates or {})
        self._shape = (rows, dimension)
        self._languages = list(languages)
        self._begin = partial(headers_of, rows, dimension, self._dtype, keep_queries=keep_queries)
        self._headers = self._begin(dict.fromkeys(languages, 0), dict.fromkeys(self._rates, 0))
        folder.start({**plan, "format": FORMAT}, self._headers)

    def append(self, block: Block) -> None:
        """Commit one block."""
        parts = {
            "docid": "".join(docid + "\n" for docid in block.docids).encode(),
            "passages.npy": self._cast(block.passages),
        }
        for language in self._languages:
            parts[f"queries.{language}.sum.npy"] = self._cast(block.sums[language])
            parts[f"queries.{language}.count.npy"] = block.counts[language].astype("<i4").tobytes()
            if self._keep and block.queries is not None:
                parts[f"queries.{language}.npy"] = self._cast(block.queries[language])
        rows = np.arange(self._folder.rows, self._folder.rows + len(block.docids), dtype="<i8")
        for language in self._rates:
            sampled = (block.sample or {})[language]
            parts[f"sample.{language}.npy"] = self._cast(sampled.vectors)
            parts[f"sample.{language}.row.npy"] = np.repeat(rows, sampled.counts).tobytes()
        self._folder.append(len(block.docids), parts)

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Complete the headers, count the queries, and write the manifest."""
        totals, drawn = {}, {}
        for language in self._languages:
            counts = Column(self._folder.partial / f"queries.{language}.count.npy", 1)
            totals[language] = counts.sum(self._shape[0])
            counts.close()
        for language in self._rates:
            name = f"sample.{language}.row.npy"
            size = (self._folder.partial / name).stat().st_size - len(self._headers[name])
            drawn[language] = size // 8
        sample = {code: {"rate": self._rates[code], "queries": of} for code, of in drawn.items()}
        self._folder.finish(
            {
                "format": FORMAT,
                **manifest,
                "passages": self._shape[0],
                "dimension": self._shape[1],
                "dtype": str(self._dtype),
                "queries": totals,
                "kept_queries": self._keep,
                **({"sample": sample} if sample else {}),
                "blocks": self._folder.blocks,
                "digest": digest((self._folder.partial / LOG).read_bytes()),
            },
            self._begin(totals, drawn),
        )

    def _cast(self, vectors: NDArray[np.float32]) -> bytes:
        with np.errstate(over="ignore"):
            stored = vectors.astype(self._dtype)
        if not np.isfinite(stored).all():
            raise XqgError(f"a vector does not fit into {self._dtype}; use output --dtype float32")
        return stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
