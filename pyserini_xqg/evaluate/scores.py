"""Runs by measure and language, with the intervals that chance leaves around each figure.

These intervals are each run's own; whether two runs differ is for a paired test to say.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.errors import XqgError
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.collection import Collection, read_collection
from pyserini_xqg.evaluate.report import Cell, Section, Table, add_output_options, publish
from pyserini_xqg.evaluate.runs import Run, read_runs
from pyserini_xqg.evaluate.trec import check_answers, score_by_topic
from pyserini_xqg.languages import NAMES

Interval = tuple[float, float]


class Scores(NamedTuple):
    """One measure of one run, in percent.

    Attributes
    ----------
    by_language : dict of str to float
    intervals : dict of str to tuple of two floats
        Their 95 % bootstrap intervals, clusters of topics resampled.
    mean : float
        Over all topics of the languages that were asked for.
    interval : tuple of two floats
        The same for that mean.
    """

    by_language: dict[str, float]
    intervals: dict[str, Interval]
    mean: float
    interval: Interval


def score_run(
    collection: Collection, run: str | Path | Run, measure: str, languages: Sequence[str]
) -> Scores:
    """Score a run by language, and over the topics of some languages.

    Parameters
    ----------
    collection : Collection
    run : path-like, or what `read_run` makes of it
    measure : str
        As ir_measures spells it.
    languages : sequence of str
        Those of the mean; every language has a figure of its own.
    """
    scores = {
        qid: 100 * score
        for qid, score in score_by_topic(collection.qrels, run, [measure])[measure].items()
    }
    of = {code: {qid: scores[qid] for qid in qids} for code, qids in collection.by().items()}
    pooled = {qid: score for code in languages for qid, score in of[code].items()}
    return Scores(
        {code: sum(values.values()) / len(values) for code, values in of.items()},
        {code: bootstrap_interval(values, collection.clusters) for code, values in of.items()},
        sum(pooled.values()) / len(pooled),
        bootstrap_interval(pooled, collection.clusters),
    )


def scores_table(
    title: str,
    name: str,
    scores: Mapping[str, Scores],
    collection: Collection,
    languages: Sequence[str],
) -> Table:
    """A row a run, a column a language, and the mean with the ends of its interval.

    Parameters
    ----------
    title, name : str
        Of the table.
    scores : mapping of str to Scores
        By the name of the run.
    collection : Collection
    languages : sequence of str
        Those of the mean; what else there is comes behind it.
    """
    counts = {code: len(qids) for code, qids in collection.by().items()}
    others = [code for code in counts if code not in languages]
    shown = [*languages, "mean", "low", "high", *others]
    rows: list[list[Cell]] = []
    intervals: dict[tuple[int, int], Interval] = {}
    for run, of_run in scores.items():
        low, high = of_run.interval
        values = {**of_run.by_language, "mean": of_run.mean, "low": low, "high": high}
        for code, interval in of_run.intervals.items():
            intervals[len(rows), 1 + shown.index(code)] = interval
        rows.append([run, *(values[column] for column in shown)])
    counts["mean"] = sum(counts[code] for code in languages)
    rows.append(["n", *(counts.get(column) for column in shown)])
    return Table(
        name,
        title,
        ["run", *shown],
        rows,
        formats=dict.fromkeys(shown, ".1f"),
        intervals=intervals,
        interval_format="{:.0f}-{:.0f}",
        note=f"mean: over the topics in {named(languages)}. Under each figure, and as low and "
        "high: 95 % intervals, bootstrap over clusters of topics, such as those on one passage.",
    )


def named(languages: Sequence[str]) -> str:
    """Codes with the names of their languages, for a note under a table."""
    return ", ".join(f"{code} ({NAMES[code]})" if code in NAMES else code for code in languages)


def file_name(measure: str) -> str:
    """A measure's name as a part of file names: ``rr-10`` for ``RR@10``."""
    return "".join(c if c.isalnum() else "-" for c in measure.lower()).strip("-")


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m pyserini_xqg.evaluate scores", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--topics", required=True, help="JSONL or TSV")
    parser.add_argument("--qrels", required=True, help="in TREC format")
    parser.add_argument("--runs", nargs="+", required=True, help="TREC runs")
    parser.add_argument("--language", help="of all topics, instead of their own 'lang'")
    parser.add_argument("--clusters", help="topic id and cluster, a topic a line")
    parser.add_argument(
        "--measures", nargs="+", default=["RR@10"], help="as ir_measures spells them (RR@10)"
    )
    parser.add_argument("--languages", nargs="+", help="those of the mean (all)")
    add_output_options(parser)
    args = parser.parse_args(argv)
    collection = read_collection(args.topics, args.qrels, args.clusters, args.language)
    there = collection.by()
    languages = args.languages or list(there)
    if missing := [code for code in languages if code not in there]:
        raise XqgError(
            f"--languages {' '.join(missing)}: no judged topics; there are {', '.join(there)}"
        )
    runs = read_runs(args.runs)
    for name, run in runs.items():
        check_answers(run, collection, name)
    tables = [
        scores_table(
            f"{measure}, %",
            file_name(measure),
            {name: score_run(collection, run, measure, languages) for name, run in runs.items()},
            collection,
            languages,
        )
        for measure in args.measures
    ]
    title = "Scores by language"
    publish([Section(title, tables=tables)], args.output, title, overwrite=args.overwrite)
