"""Scores by topic, through a well-kept library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.errors import XqgError
from pyserini_xqg.evaluate.collection import Qrels, read_qrels
from pyserini_xqg.evaluate.runs import Run, read_run


def score_by_topic(
    qrels: str | Path | Qrels, run: str | Path | Run, measures: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Each topic's score by each measure, computed by ir_measures.

    Parameters
    ----------
    qrels, run : path-like, or what `read_qrels` and `read_run` make of it
    measures : sequence of str
        In the spelling of ir_measures: ``Success@1``, ``RR@10``.

    Returns
    -------
    dict of measure to dict of topic id to float
        Every topic of the qrels; 0 for one that the run does not answer.

    Raises
    ------
    XqgError
        If a file is missing or broken, or a measure unknown.
    """
    import ir_measures

    try:
        parsed = [ir_measures.parse_measure(name) for name in measures]
    except (NameError, ValueError) as error:
        raise XqgError(f"unknown measure: {error}; expected one such as RR@10 or nDCG@10") from None
    judged = read_qrels(qrels) if isinstance(qrels, str | Path) else qrels
    ranked = read_run(run) if isinstance(run, str | Path) else run
    scored = [
        ir_measures.ScoredDoc(qid, hit.docid, hit.score) for qid, of in ranked.items() for hit in of
    ]
    scores = {name: dict.fromkeys(judged, 0.0) for name in measures}
    for metric in ir_measures.iter_calc(parsed, judged, scored):
        scores[str(metric.measure)][metric.query_id] = float(metric.value)
    return scores
