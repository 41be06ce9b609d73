"""The demo's results as a picture."""

from __future__ import annotations

from pathlib import Path

from pyserini_xqg.demo import CAVEAT, LANGUAGES
from pyserini_xqg.demo.pipeline import Results
from pyserini_xqg.languages import NAMES

# Okabe and Ito's colours, told apart by the colour-blind.
_COLOURS = ("#999999", "#56B4E9", "#0072B2", "#E69F00", "#D55E00")
_SHOWN = len(_COLOURS)  # the rows below them are for comparison, in the table only


def write_plot(results: Results, path: Path) -> None:
    """Success@1 by language, a bar a system, with 95 % intervals."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 4.6), layout="constrained")
    width = 0.8 / _SHOWN
    for number, (system, colour) in enumerate(zip(results.systems[:_SHOWN], _COLOURS, strict=True)):
        scores = system.scores["Success@1"]
        heights = [scores.by_language[language] for language in LANGUAGES]
        places = [i + (number - (_SHOWN - 1) / 2) * width for i in range(len(LANGUAGES) + 1)]
        places[-1] += 0.35
        axes.bar(places, [*heights, scores.mean], width * 0.92, color=colour, label=system.name)
        intervals = [*(scores.intervals[language] for language in LANGUAGES), scores.interval]
        tops = [*heights, scores.mean]
        below = [top - low for top, (low, _) in zip(tops, intervals, strict=True)]
        above = [high - top for top, (_, high) in zip(tops, intervals, strict=True)]
        axes.errorbar(places, tops, [below, above], fmt="none", ecolor="#444444", elinewidth=0.8)
    names = [f"{NAMES[language]}\nn = {results.topics[language]}" for language in LANGUAGES]
    axes.set_xticks([*range(len(LANGUAGES)), len(LANGUAGES) + 0.35], [*names, "mean"])
    axes.set_ylabel("success@1, %, with 95 % intervals")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.text(0.99, -0.03, CAVEAT, ha="right", va="top", fontsize=8, color="#555555")
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
