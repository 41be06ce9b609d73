"""Two or more runs as one, by pyserini.fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit, Run

if TYPE_CHECKING:
    from pyserini.trectools import TrecRun


def fuse_runs(dense: Run, sparse: Run, weight: float, hits: int = 1000) -> dict[str, list[Hit]]:
    """Interpolate two runs with pyserini.fusion, each topic's scores first brought to 0..1.

    Parameters
    ----------
    dense, sparse : mapping of topic id to list of Hit
    weight : float
        Of the dense run, 0 to 1; the other's is what is left. A passage that one run does not
        return gets 0 there, which is that run's lowest score after normalisation.
    hits : int
        The most that are kept of a topic.

    Returns
    -------
    dict of topic id to list of Hit
        Best first, ties in the order of docids.

    Raises
    ------
    XqgError
        For a weight outside 0..1.
    """
    if not 0 <= weight <= 1:
        raise XqgError(f"--weight {weight:g}: expected the share of the dense run, 0 to 1")
    from pyserini.fusion import interpolation
    from pyserini.trectools import RescoreMethod

    runs = [_to_trec_run(run).rescore(RescoreMethod.NORMALIZE) for run in (dense, sparse)]
    return _from_trec_run(interpolation(runs, alpha=weight, k=hits))


def sum_runs(runs: Sequence[Run], hits: int | None = None) -> Run:
    """The sum of runs with pyserini.fusion, each topic's scores first brought to 0..1.

    One run alone keeps its scores.
    """
    from pyserini.fusion import normalize

    if len(runs) == 1:  # which Pyserini does not take
        return runs[0]
    return _from_trec_run(normalize([_to_trec_run(run) for run in runs], k=hits))


def _to_trec_run(run: Run) -> TrecRun:
    """A run as pyserini.fusion takes it."""
    from pyserini.trectools import TrecRun

    return TrecRun.from_list(
        [
            (qid, "Q0", hit.docid, rank, hit.score, "xqg")
            for qid, found in run.items()
            for rank, hit in enumerate(found, 1)
        ]
        # Pyserini has no empty run; a topic that nobody asks stands for it.
        or [("", "Q0", "", 1, 0.0, "xqg")]
    )


def _from_trec_run(run: TrecRun) -> dict[str, list[Hit]]:
    """A fused run by topic id."""
    found: dict[str, list[Hit]] = {}
    for qid, _, docid, _, score, _ in run.to_numpy():
        if qid:
            found.setdefault(qid, []).append(Hit(docid, score))
    return found
