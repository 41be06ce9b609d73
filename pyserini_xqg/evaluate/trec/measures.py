"""TREC measures by topic, computed by ir_measures; `trec_eval` beside it checks them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection, Qrels, read_qrels
from pyserini_xqg.collection.runs import Hit, Run, read_run

#: The defaults of ``--measures``.
MEASURES = ("RR@10", "nDCG@10", "R@100", "P@10", "Success@1")


def parse_measures(names: Iterable[str]) -> list[Any]:
    """The measures of ir_measures with these names, which may be its aliases (``MRR@10``).

    Raises
    ------
    XqgError
        If a name is none of its measures, or lacks a cutoff that it needs.
    """
    import ir_measures

    parsed = []
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
            measure.validate_params()
        except (NameError, ValueError, TypeError, AssertionError) as error:
            raise XqgError(
                f"unknown measure {name!r}: {error}; expected one such as RR@10 or nDCG@10"
            ) from None
        # Some of the libraries behind ir_measures end the whole process at a cutoff of 0.
        if measure.params.get("cutoff", 1) < 1:
            raise XqgError(f"measure {name!r}: expected a cutoff of at least 1")
        parsed.append(measure)
    return parsed


def trec_order(hits: Iterable[Hit]) -> list[Hit]:
    """Hits as trec_eval ranks them: by score in single precision, then by docid, both downwards.

    The ranks in the run's file count for nothing there.
    """
    hits = list(hits)
    with np.errstate(over="ignore"):
        scores = np.array([hit.score for hit in hits], dtype=np.float64).astype(np.float32).tolist()
    order = sorted(range(len(hits)), key=lambda i: (scores[i], hits[i].docid), reverse=True)
    return [hits[i] for i in order]


def score_by_topic(
    qrels: str | Path | Qrels, run: str | Path | Run, measures: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Each topic's score by each measure, computed by ir_measures.

    Parameters
    ----------
    qrels, run : path-like, or what `read_qrels` and `read_run` make of it
    measures : sequence of str
        In the spelling of ir_measures: ``Success@1``, ``RR@10``; or its aliases: ``MRR@10``.

    Returns
    -------
    dict of measure (as given) to dict of topic id to float
        Every topic of the qrels; 0 for one that the run does not answer.

    Raises
    ------
    XqgError
        If a file is missing or broken, or a measure unknown.
    """
    import ir_measures

    parsed = parse_measures(measures)
    judged = read_qrels(qrels) if isinstance(qrels, str | Path) else qrels
    found = read_run(run) if isinstance(run, str | Path) else run
    # The libraries behind ir_measures break ties in different ways; ranks as scores have none.
    ranked = {
        qid: {hit.docid: -float(rank) for rank, hit in enumerate(trec_order(found[qid]))}
        for qid in judged
        if found.get(qid)
    }
    calculated: dict[Any, dict[str, float]] = {
        measure: dict.fromkeys(judged, 0.0) for measure in parsed
    }
    try:
        for metric in ir_measures.iter_calc(list(calculated), judged, ranked):
            calculated[metric.measure][metric.query_id] = float(metric.value)
    except ValueError as error:  # a measure of a library that is not installed
        raise XqgError(str(error)) from None
    return {name: calculated[measure] for name, measure in zip(measures, parsed, strict=True)}


def check_answers(run: Run, collection: Collection, name: object) -> None:
    """Refuse a run that answers none of the topics: it belongs to others, or their ids differ.

    Raises
    ------
    XqgError
    """
    if not any(run.get(qid) for qid in collection.topics):
        found, expected = next(iter(run), "none"), next(iter(collection.topics))
        raise XqgError(
            f"{name}: answers none of the {len(collection.topics)} judged topics; found topic "
            f"{found!r}, expected such as {expected!r}"
        )


def file_name(measure: str) -> str:
    """A measure's name as a part of file names: ``rr-10`` for ``RR@10``."""
    return "".join(c if c.isalnum() else "-" for c in measure.lower()).strip("-")
