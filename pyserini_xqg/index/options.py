"""How an index is written, where its kind asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyserini_xqg.index.recall import Queries


@dataclass(frozen=True)
class Options:
    """How, where a target asks for it.

    Attributes
    ----------
    index_type : str
        Of FAISS: ``flat``, ``hnsw``, or a factory string.
    m, ef_construction : int
        Of Lucene's HNSW: neighbours of a node, and candidates for them.
    threads : int
        Of Lucene.
    queries : Queries or None
        What the recall of an approximate index is measured with; by default some passages.
    """

    index_type: str = "flat"
    m: int = 16
    ef_construction: int = 100
    threads: int = 1
    queries: Queries | None = None
