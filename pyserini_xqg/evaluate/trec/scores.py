"""Runs by measure and language, with the intervals that chance leaves around each figure.

These intervals are each run's own; whether two runs differ is for a paired test to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.report.forms import COLOURS
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Interval = tuple[float, float]


class Scores(NamedTuple):
    """One measure of one run, in percent.

    Attributes
    ----------
    by_group : dict of str to float
        By language, or by script.
    intervals : dict of str to tuple of two floats
        Their 95 % bootstrap intervals, clusters of topics resampled.
    mean : float
        Over all topics of the groups that were asked for.
    interval : tuple of two floats
        The same for that mean.
    """

    by_group: dict[str, float]
    intervals: dict[str, Interval]
    mean: float
    interval: Interval


def scores_of(
    collection: Collection, by_topic: Mapping[str, float], mean_of: Sequence[str], by: str = "lang"
) -> Scores:
    """One measure by language, and over the topics of some languages.

    Parameters
    ----------
    collection : Collection
    by_topic : mapping of str to float
        Each topic's score, from 0 to 1.
    mean_of : sequence of str
        The groups of the mean; every group has a figure of its own.
    by : str
        A key of `pyserini_xqg.collection.judged.BY`.
    """
    of = {
        group: {qid: 100 * by_topic[qid] for qid in qids}
        for group, qids in collection.by(by).items()
    }
    pooled = {qid: score for group in mean_of for qid, score in of[group].items()}
    return Scores(
        {group: sum(values.values()) / len(values) for group, values in of.items()},
        {group: bootstrap_interval(values, collection.clusters) for group, values in of.items()},
        sum(pooled.values()) / len(pooled),
        bootstrap_interval(pooled, collection.clusters),
    )


def scores_table(
    title: str,
    name: str,
    scores: Mapping[str, Scores],
    collection: Collection,
    mean_of: Sequence[str],
    by: str = "lang",
) -> Table:
    """A row a run: the mean with the ends of its interval, and a column a language.

    Where languages differ in their number of topics, the mean of the languages' figures stands
    beside the mean over all topics, as ``macro``.

    Parameters
    ----------
    title, name : str
        Of the table.
    scores : mapping of str to Scores
        By the name of the run.
    collection : Collection
    mean_of : sequence of str
        The groups of the means; what else there is comes behind them.
    by : str
        A key of `pyserini_xqg.collection.judged.BY`.
    """
    counts = {group: len(qids) for group, qids in collection.by(by).items()}
    macro = ["macro"] if len({counts[group] for group in mean_of}) > 1 else []
    others = [group for group in counts if group not in mean_of]
    shown = ["mean", "low", "high", *macro, *mean_of, *others]
    rows: list[list[Cell]] = []
    intervals: dict[tuple[int, int], Interval] = {}
    for run, of_run in scores.items():
        low, high = of_run.interval
        values = {**of_run.by_group, "mean": of_run.mean, "low": low, "high": high}
        values["macro"] = sum(values[group] for group in mean_of) / len(mean_of)
        for group, interval in of_run.intervals.items():
            intervals[len(rows), 1 + shown.index(group)] = interval
        rows.append([run, *(values[column] for column in shown)])
    counts["mean"] = sum(counts[group] for group in mean_of)
    rows.append(["n", *(counts.get(column) for column in shown)])
    named = ", ".join(f"{code} ({NAMES[code]})" if code in NAMES else code for code in mean_of)
    return Table(
        name,
        title,
        ["run", *shown],
        rows,
        formats=dict.fromkeys(shown, ".1f"),
        intervals=intervals,
        interval_format="{:.0f}-{:.0f}",
        note=f"mean: over the topics in {named}{'; macro: of their figures' if macro else ''}. "
        "Under each figure, and as low and high: 95 % intervals, bootstrap over clusters of "
        "topics, such as those on one passage.",
    )


def means_plot(name: str, title: str, scores: Mapping[str, Scores]) -> Plot:
    """A bar a run, in their order from above, with the mean and its 95 % interval.

    Parameters
    ----------
    name, title : str
        Of the plot.
    scores : mapping of str to Scores
        By the name of the run.
    """

    def draw(axes: Axes) -> None:
        places = range(len(scores))
        for place, of in zip(places, scores.values(), strict=True):
            low, high = of.interval
            axes.barh(place, of.mean, 0.7, color=COLOURS[0])
            ends = [[of.mean - low], [high - of.mean]]
            axes.errorbar(of.mean, place, xerr=ends, fmt="none", ecolor="#333333", elinewidth=0.9)
            axes.text(high + 1, place, f"{of.mean:.1f}", va="center", fontsize=9)
        axes.set_yticks(places, list(scores))
        axes.invert_yaxis()
        axes.set_xlabel(f"{title}, with 95 % intervals")

    return Plot(f"{name}-means", title, draw, (9, 1.2 + 0.4 * len(scores)))
