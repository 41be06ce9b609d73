"""How much of the exact top 10 an approximate index finds, measured as it is built."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.effort import NAMES, Effort

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.encoder.spec import EncoderSpec
    from pyserini_xqg.index.fused import Fused
    from pyserini_xqg.index.hits import DenseIndex

#: Passages whose vectors serve as queries, and hits of each that are looked at.
SAMPLE, K = 100, 10
# Steps of effort at search time, least first; an index has one of these settings or none.
_EFFORTS = {"nprobe": (1, 8, 64), "ef_search": (16, 64, 256)}
# Two products of the same vectors may differ by so much, relatively.
_SAME = 1e-5


class Queries(NamedTuple):
    """What an index is tried with.

    Attributes
    ----------
    vectors : array, shape (n, d), float32
    of : str
        What they are, for the reader.
    own : list of str, or None
        Where they are passages, their docids: finding itself is no merit.
    """

    vectors: NDArray[np.float32]
    of: str
    own: list[str] | None = None


def encode_topics(
    path: str | Path, spec: EncoderSpec, *, trust_remote_code: bool = False
) -> Queries:
    """The topics of a file as queries.

    Raises
    ------
    XqgError
        As `read_topics`, and for an encoder that cannot be loaded.
    """
    from pyserini_xqg.collection.topics import read_topics
    from pyserini_xqg.encoder.topic_encoder import TopicEncoder

    texts = [topic.text for topic in read_topics(path)]
    encoder = TopicEncoder(spec, trust_remote_code=trust_remote_code)
    return Queries(encoder.encode_queries(texts), f"topics of {path}")


class Sample:
    """Passages spread evenly over a corpus, taken from its blocks as they pass by."""

    def __init__(self, passages: int) -> None:
        rows = np.linspace(0, passages - 1, min(SAMPLE, passages))
        self._rows = sorted({int(row) for row in rows})
        self._start = 0
        self._docids: list[str] = []
        self._vectors: list[NDArray[np.float32]] = []

    def add(self, docids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Look at the next block."""
        stop = self._start + len(docids)
        while len(self._docids) < len(self._rows) and self._rows[len(self._docids)] < stop:
            row = self._rows[len(self._docids)] - self._start
            self._docids.append(docids[row])
            self._vectors.append(vectors[row].copy())  # a view would keep the whole block
        self._start = stop

    def queries(self) -> Queries:
        return Queries(np.stack(self._vectors), "passages", self._docids)


def measure(fused: Fused, queries: Queries, index: DenseIndex) -> dict[str, Any]:
    """Compare an index with exact search, at each step of effort that it knows.

    Parameters
    ----------
    fused : Fused
        What the index was built of.
    queries : Queries
    index : DenseIndex

    Returns
    -------
    dict
        ``k``, ``queries`` (how many), ``of`` (what they are), and ``recall``: effort to the share
        of the exact top `k` that was found, equal scores counting as found.
    """
    own = queries.own or [""] * len(queries.vectors)
    k = min(K, fused.passages - bool(queries.own))
    found: dict[str, list[list[str]]] = {}
    for step in _steps(index) if k else ():
        hits = index.search(queries.vectors, k + bool(queries.own))
        found[step] = [
            [docid for docid, _ in of_one if docid != mine][:k]
            for of_one, mine in zip(hits, own, strict=True)
        ]
    least, scores = _exact(fused, queries.vectors, own, k, found) if k else (np.empty(0), {})
    recall: dict[str, float] = {}
    for step, lists in found.items():
        good = [
            sum(scores[row, docid] >= least[row] - _SAME * abs(least[row]) for docid in docids)
            for row, docids in enumerate(lists)
        ]
        recall[step] = round(sum(good) / (k * len(lists)), 4)
        if recall[step] == 1:
            break  # more effort finds no more
    return {"k": k, "queries": len(own), "of": queries.of, "recall": recall}


def say(result: Mapping[str, Any]) -> None:
    """Print what `measure` found, and what it was measured with, to standard error."""
    if not result["recall"]:  # a single passage
        return
    values = ", ".join(
        f"{value:.3f}" + (f" at {step}" if step else "") for step, value in result["recall"].items()
    )
    hint = ""
    if result["of"] == "passages":
        hint = (
            ", their own vectors as queries; real topics are harder: --topics measures with yours"
        )
    print(
        f"recall@{result['k']} against flat: {values} ({result['queries']} {result['of']}{hint})",
        file=sys.stderr,
    )


def _steps(index: DenseIndex) -> Iterator[str]:
    """Set one effort after the other and name it; an index with nothing to set has one, unnamed."""
    none = True
    for name, values in _EFFORTS.items():
        for value in values:
            try:
                index.tune(Effort(**{name: value}))
            except XqgError:
                break
            none = False
            yield f"{NAMES[name]} {value}"
    if none:
        yield ""


def _exact(
    fused: Fused,
    vectors: NDArray[np.float32],
    own: Sequence[str],
    k: int,
    found: Mapping[str, Sequence[Sequence[str]]],
) -> tuple[NDArray[np.float32], dict[tuple[int, str], float]]:
    """For each query the score of the k-th best passage, and the scores of what was found."""
    wanted: dict[str, set[int]] = {}
    for lists in found.values():
        for row, docids in enumerate(lists):
            for docid in docids:
                wanted.setdefault(docid, set()).add(row)
    mine = {docid: row for row, docid in enumerate(own)}
    scores: dict[tuple[int, str], float] = {}
    best = np.full((len(vectors), k), -np.inf, dtype=np.float32)
    for docids, passages in fused.blocks("measuring recall"):
        products = vectors @ passages.T
        for column, docid in enumerate(docids):
            for row in wanted.get(docid, ()):
                scores[row, docid] = float(products[row, column])
            if docid in mine:
                products[mine[docid], column] = -np.inf
        both = np.concatenate([best, products], axis=1)
        best = -np.partition(-both, k - 1, axis=1)[:, :k]
    return best.min(axis=1), scores
