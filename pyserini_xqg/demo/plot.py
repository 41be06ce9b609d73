"""The demo's results as a picture."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.demo import LANGUAGES
from pyserini_xqg.demo.pipeline import Results
from pyserini_xqg.evaluate.report.plots import COLOURS
from pyserini_xqg.evaluate.report.sections import Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Grey for what is compared with; light and dark of one colour for what belongs together.
_COLOURS = (COLOURS[6], COLOURS[4], COLOURS[0], COLOURS[3], COLOURS[1])
_SHOWN = len(_COLOURS)  # the rows below them are for comparison, in the table only


def success_plot(results: Results) -> Plot:
    """Success@1 by language, a bar a system, with 95 % intervals."""
    return Plot("plot", "Success@1 by language and system", partial(_draw, results), (10, 4.6))


def _draw(results: Results, axes: Axes) -> None:
    width = 0.8 / _SHOWN
    for number, (system, colour) in enumerate(zip(results.systems[:_SHOWN], _COLOURS, strict=True)):
        scores = system.scores["Success@1"]
        tops = [*(scores.by_group[language] for language in LANGUAGES), scores.mean]
        intervals = [*(scores.intervals[language] for language in LANGUAGES), scores.interval]
        places = [i + (number - (_SHOWN - 1) / 2) * width for i in range(len(LANGUAGES) + 1)]
        places[-1] += 0.35
        axes.bar(places, tops, width * 0.92, color=colour, label=system.name)
        below = [top - low for top, (low, _) in zip(tops, intervals, strict=True)]
        above = [high - top for top, (_, high) in zip(tops, intervals, strict=True)]
        axes.errorbar(places, tops, [below, above], fmt="none", ecolor="#444444", elinewidth=0.8)
    counts = {language: len(qids) for language, qids in results.collection.by().items()}
    names = [f"{NAMES[language]}\nn = {counts[language]}" for language in LANGUAGES]
    axes.set_xticks([*range(len(LANGUAGES)), len(LANGUAGES) + 0.35], [*names, "mean"])
    axes.set_ylabel("success@1, %, with 95 % intervals")
    axes.set_xlabel(results.caveat, loc="right", fontsize=8, color="#555555")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
