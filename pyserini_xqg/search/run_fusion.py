"""Two or more runs as one, as pyserini.fusion does it, which takes a second to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit, Run


def fuse_runs(dense: Run, sparse: Run, weight: float, hits: int = 1000) -> dict[str, list[Hit]]:
    """Interpolate two runs, each topic's scores first brought to 0..1.

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
        Topics in the order of their ids; hits best first, ties in the order of docids.

    Raises
    ------
    XqgError
        For a weight outside 0..1.

    Notes
    -----
    The same as ``pyserini.fusion``'s ``normalize`` of each run and ``interpolation`` of both.
    """
    if not 0 <= weight <= 1:
        raise XqgError(f"--weight {weight:g}: expected the share of the dense run, 0 to 1")
    return _summed([(dense, weight), (sparse, 1 - weight)], hits)


def sum_runs(runs: Sequence[Run], hits: int | None = None) -> Run:
    """The sum of runs, each topic's scores first brought to 0..1: ``normalize`` of pyserini.fusion.

    One run alone keeps its scores.
    """
    if len(runs) == 1:
        return runs[0]
    return _summed([(run, 1.0) for run in runs], hits)


def _summed(runs: Sequence[tuple[Run, float]], hits: int | None) -> dict[str, list[Hit]]:
    fused = {}
    for qid in sorted({qid for run, _ in runs for qid, found in run.items() if found}):
        total: dict[str, float] = {}
        for run, weight in runs:
            for docid, share in _shares(run.get(qid, ())).items():
                total[docid] = total.get(docid, 0.0) + share * weight
        best = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:hits]
        fused[qid] = [Hit(docid, score) for docid, score in best]
    return fused


def _shares(found: Sequence[Hit]) -> Mapping[str, float]:
    """Scores from 0, of the worst hit, to 1, of the best; where all are equal, 1."""
    scores = [hit.score for hit in found]
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    span = high - low
    return {hit.docid: (hit.score - low) / span if span else 1.0 for hit in found}
