"""TREC measures by topic, computed by ir_measures; `trec_eval` beside it checks them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection, Qrels, read_qrels
from pyserini_xqg.collection.runs import Hit, Run, read_run

#: A measure of trec_eval with what it is cut at: recall.100, recall_100, ndcg_cut_10.
_OF_TREC_EVAL = re.compile(r"[A-Za-z_]+([._][0-9.,]+)?")


def parse_measures(names: Iterable[str]) -> list[Any]:
    """The measures with these names, as ir_measures has them.

    Parameters
    ----------
    names : iterable of str
        In the spelling of ir_measures, whatever the case (``RR@10``, ``ndcg@10``), its aliases
        (``MRR@10``), or that of trec_eval and Pyserini (``ndcg_cut_10``, ``recip_rank``, ``map``,
        ``recall.100``, ``recall_100``).

    Raises
    ------
    XqgError
        If a name is none of these measures, is that of several, or lacks a cutoff that it needs.
    """
    parsed = []
    for name in names:
        measure = _parse(name)
        # Some of the libraries behind ir_measures end the whole process at a cutoff of 0.
        if measure.params.get("cutoff", 1) < 1:
            raise XqgError(f"measure {name!r}: expected a cutoff of at least 1")
        parsed.append(measure)
    return parsed


def distinct_measures(names: Iterable[str]) -> list[str]:
    """The names as they are, but of several for one measure (``R@5 recall_5``) the first.

    Raises
    ------
    XqgError
        As `parse_measures`.
    """
    names = list(names)
    first: dict[Any, str] = {}
    for name, measure in zip(names, parse_measures(names), strict=True):
        first.setdefault(measure, name)
    return list(first.values())


def _parse(name: str) -> Any:
    import ir_measures

    known = {each.lower(): each for each in ir_measures.measures.registry}
    head = re.match(r"\w*", name)[0]  # type: ignore[index]
    try:
        measure = ir_measures.parse_measure(known.get(head.lower(), head) + name[len(head) :])
        measure.validate_params()
        return measure
    except (NameError, ValueError, TypeError, AssertionError) as error:
        reason = error
    try:
        found = ir_measures.parse_trec_measure(name) if _OF_TREC_EVAL.fullmatch(name) else []
    except ValueError:
        found = []
    if len(found) == 1:
        return found[0]
    if found:
        raise XqgError(
            f"measure {name!r} stands for {len(found)} of them; give those that you mean, such as "
            + " ".join(map(str, found[:3]))
        )
    raise XqgError(
        f"unknown measure {name!r}: {reason}; expected one such as RR@10, nDCG@10, or trec_eval's "
        "recip_rank, ndcg_cut_10 or recall.100"
    )


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
        As `parse_measures` understands them: ``RR@10``, ``MRR@10``, ``recall.100``.

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
