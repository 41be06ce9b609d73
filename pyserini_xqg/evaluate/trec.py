"""Scores by topic, through a well-kept library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.errors import XqgError


def score_by_topic(
    qrels: str | Path, run: str | Path, measures: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Each topic's score by each measure, computed by ir_measures.

    Parameters
    ----------
    qrels, run : path-like
        In TREC format.
    measures : sequence of str
        In the spelling of ir_measures: ``Success@1``, ``RR@10``.

    Returns
    -------
    dict of measure to dict of topic id to float
        Every topic of the qrels; 0 for one that the run does not answer.

    Raises
    ------
    XqgError
        If a file is missing or a measure unknown.
    """
    import ir_measures

    for path in (qrels, run):
        if not Path(path).is_file():
            raise XqgError(f"no such file: {path}")
    try:
        parsed = [ir_measures.parse_measure(name) for name in measures]
    except (NameError, ValueError) as error:
        raise XqgError(f"unknown measure: {error}; expected one such as RR@10 or nDCG@10") from None
    judged = list(ir_measures.read_trec_qrels(str(qrels)))
    scores = {name: {qrel.query_id: 0.0 for qrel in judged} for name in measures}
    for metric in ir_measures.iter_calc(parsed, judged, ir_measures.read_trec_run(str(run))):
        scores[str(metric.measure)][metric.query_id] = float(metric.value)
    return scores
