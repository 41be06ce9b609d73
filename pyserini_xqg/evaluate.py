"""Scores by topic, their means, and how far chance could have moved them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

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


def bootstrap_interval(
    scores: Mapping[str, float],
    clusters: Mapping[str, str],
    *,
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean, resampling whole clusters of topics.

    Topics on one passage stand or fall together, in whatever language they are asked: resampling
    them one by one would make the interval too narrow.

    Parameters
    ----------
    scores : mapping of topic id to float
    clusters : mapping of topic id to str
        What binds topics together, such as the passage they ask for.
    level, samples, seed
        Coverage, number of resamples, and the random seed.

    Returns
    -------
    tuple of two floats
    """
    names = sorted({clusters[qid] for qid in scores})
    row = {name: i for i, name in enumerate(names)}
    totals, sizes = np.zeros(len(names)), np.zeros(len(names))
    for qid, score in scores.items():
        totals[row[clusters[qid]]] += score
        sizes[row[clusters[qid]]] += 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=samples)
    means = (drawn @ totals) / (drawn @ sizes)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
