"""Scores of a run by language and over all, computed by ir_measures and checked by trec_eval."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyserini_xqg.errors import XqgError
from pyserini_xqg.evaluate.by_query import Scores, write_by_query
from pyserini_xqg.evaluate.collection import BY, Collection, Qrels, read_collection, read_qrels
from pyserini_xqg.evaluate.report import Cell, Section, Table, add_output_options, publish
from pyserini_xqg.evaluate.runs import Hit, Run, read_run

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


def score_table(collection: Collection, scores: Scores, by: str = "lang") -> Table:
    """Means by language (or script), their mean, and the mean over all topics.

    Parameters
    ----------
    collection : Collection
    scores : mapping of measure to mapping of topic id to float
    by : str
        A key of `BY`.
    """
    groups = collection.by(by)
    means = {
        name: {group: _mean(of[qid] for qid in qids) for group, qids in groups.items()}
        for name, of in scores.items()
    }
    n = len(collection.topics)
    rows: list[list[Cell]] = [
        [group, len(qids), *(means[name][group] for name in scores)]
        for group, qids in groups.items()
    ]
    rows += [
        [f"mean of {len(groups)}", n, *(_mean(means[name].values()) for name in scores)],
        ["all topics", n, *(_mean(of[qid] for qid in collection.topics) for of in scores.values())],
    ]
    return Table(
        f"trec-by-{by}",
        f"Scores by {by}",
        [by, "n", *scores],
        rows,
        dict.fromkeys(scores, ".4f"),
        note=f"mean of {len(groups)}: every {by} counts the same; all topics: every topic does",
    )


def score_sections(
    collection: Collection,
    run: Run,
    measures: Sequence[str] = MEASURES,
    *,
    by: str = "lang",
    check: bool = True,
) -> tuple[list[Section], Mapping[str, Mapping[str, float]]]:
    """What ``evaluate trec`` prints, and the scores behind it, by measure and topic id.

    Raises
    ------
    XqgError
        For an unknown measure, and if trec_eval says otherwise.
    """
    from pyserini_xqg.evaluate.trec_eval import check_with_trec_eval

    scores = score_by_topic(collection.qrels, run, measures)
    unanswered = sum(not run.get(qid) for qid in collection.topics)
    text = [f"{len(collection.topics)} topics; {unanswered} without results, which count as 0."]
    if check:
        text.append(check_with_trec_eval(collection.qrels, run, scores))
    else:
        text.append("Not checked against trec_eval (--no-check).")
    return [Section("Scores", text, [score_table(collection, scores, by)])], scores


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m pyserini_xqg.evaluate trec", description=__doc__
    )
    parser.add_argument("--topics", required=True, help="JSONL or TSV")
    parser.add_argument("--language", help="of all topics, instead of their own 'lang'")
    parser.add_argument("--qrels", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--measures", nargs="+", default=list(MEASURES), help="as ir_measures does")
    parser.add_argument("--by", default="lang", choices=BY)
    parser.add_argument("--by-query", metavar="CSV", help="write every topic's scores")
    parser.add_argument(
        "--no-check", action="store_true", help="do not compute them again by Pyserini's trec_eval"
    )
    add_output_options(parser)
    args = parser.parse_args(argv)
    collection = read_collection(args.topics, args.qrels, language=args.language)
    run = read_run(args.run)
    check_answers(run, collection, args.run)
    sections, scores = score_sections(
        collection, run, args.measures, by=args.by, check=not args.no_check
    )
    if args.by_query:
        write_by_query(args.by_query, scores)
    publish(sections, args.output, f"Scores of {args.run}", overwrite=args.overwrite)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)
