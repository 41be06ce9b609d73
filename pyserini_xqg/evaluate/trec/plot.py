"""The runs' means with their intervals, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyserini_xqg.evaluate.report.plots import COLOURS
from pyserini_xqg.evaluate.report.sections import Plot
from pyserini_xqg.evaluate.trec.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
