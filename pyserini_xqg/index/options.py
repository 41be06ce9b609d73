"""What is asked of an index's writers, and what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pyserini_xqg.base.output import OutputFolder
    from pyserini_xqg.index.fused import Fused
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


class Job(NamedTuple):
    """A folder to fill, and what with.

    Attributes
    ----------
    folder : OutputFolder
        Entered, not yet started.
    fused : Fused
    plan : mapping
        What decides the bytes: a resumed run must bring the same.
    manifest : mapping
        What the folder is finished with; a writer may add to it.
    options : Options
    """

    folder: OutputFolder
    fused: Fused
    plan: Mapping[str, Any]
    manifest: Mapping[str, Any]
    options: Options
