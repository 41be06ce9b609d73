"""What was seen, in a few lines and on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserini_xqg.advise.systems import mean_of, shared
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.report.forms import as_png
from pyserini_xqg.evaluate.report.sections import Plot, Section, Table
from pyserini_xqg.index.choice import MEASURE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A gain whose lower bound is above this many points does no harm.
HARMLESS = -2.0
BETTER, NO_HARM, HARM, UNDETERMINED = "better", "no harm", "harm", "undetermined"


class Line(NamedTuple):
    """One system beside passages only.

    Attributes
    ----------
    name, setting : str
    mean : float
        In percent, over languages.
    gain, low, high : float
        In points, with its 95 % interval.
    by_language : dict of str to tuple of float
        The mean, the gain and its interval.
    """

    name: str
    setting: str
    mean: float
    gain: float
    low: float
    high: float
    by_language: dict[str, tuple[float, float, float, float]]

    def verdicts(self) -> dict[str, list[str]]:
        """Languages by verdict."""
        found: dict[str, list[str]] = {}
        for code, (_, _, low, high) in self.by_language.items():
            found.setdefault(verdict(low, high), []).append(code)
        return found


def verdict(low: float, high: float) -> str:
    """What an interval of a gain allows to say."""
    if low > 0:
        return BETTER
    if high < 0:
        return HARM
    return NO_HARM if low > HARMLESS else UNDETERMINED


def line(
    name: str,
    setting: str,
    scores: Mapping[str, float],
    plain: Mapping[str, float],
    share: Mapping[str, float],
    languages: Mapping[str, str],
    clusters: Mapping[str, str],
) -> Line:
    """A system's means and gains, with intervals from a bootstrap over passages."""
    mine, base = shared(scores, share), shared(plain, share)
    change = {qid: mine[qid] - base[qid] for qid in mine}
    low, high = bootstrap_interval(change, clusters, groups=languages)
    by_language = {}
    for code in sorted(set(languages.values())):
        of = {qid: value for qid, value in change.items() if languages[qid] == code}
        bounds = bootstrap_interval(of, clusters)
        mean = sum(mine[qid] for qid in of) / len(of)
        by_language[code] = (mean, sum(of.values()) / len(of), *bounds)
    return Line(
        name, setting, mean_of(mine, languages), mean_of(change, languages), low, high, by_language
    )


def in_words(
    lines: Sequence[Line], of: str, coverage: Mapping[str, float], more: Sequence[str]
) -> list[str]:
    """The answer, in at most 15 lines."""
    width = max(len(each.name) for each in lines)
    said = [f"{MEASURE} of {of}; gains over passages only with 95 % intervals"]
    for number, each in enumerate(lines):
        start = f"  {each.name:<{width}}  {each.mean:5.1f}"
        if not number:
            said.append(start)
            continue
        said.append(
            f"{start}  {each.gain:+5.1f} ({each.low:+.1f} to {each.high:+.1f})  "
            f"{verdict(each.low, each.high)}{each.setting and '; ' + each.setting}"
        )
    for each in (lines[2], lines[-1]):
        parts = [f"{what}: {' '.join(codes)}" for what, codes in sorted(each.verdicts().items())]
        said.append(f"{each.name}, by language: {'; '.join(parts)}")
    least, most = min(coverage.values()), max(coverage.values())
    shown = f"{100 * least:.0f} %" if least == most else f"{100 * least:.0f} to {100 * most:.0f} %"
    said.append(f"passages with queries: {shown}, by language")
    return [*said, *more]


def section(lines: Sequence[Line], said: Sequence[str], commands: Sequence[str]) -> Section:
    """The page's content."""
    codes = list(lines[0].by_language)
    rows: list[list[Any]] = [
        [each.name, each.setting, each.mean, *(each.by_language[code][0] for code in codes)]
        for each in lines
    ]
    table = Table(
        "advice",
        f"{MEASURE}, %",
        ["system", "setting", "mean", *codes],
        rows,
        formats=dict.fromkeys(["mean", *codes], ".1f"),
    )
    plot = Plot(
        "advice",
        "Gain over passages only, by language, with 95 % intervals",
        lambda axes: _draw(axes, lines),
        (9.0, 4.5),
    )
    return Section("The answer", said, [table], [plot], list(commands))


def picture(of: Section) -> bytes:
    """Its plot."""
    return as_png(of.plots[0])


def _draw(axes: Axes, lines: Sequence[Line]) -> None:
    shown = lines[1:]
    codes = list(lines[0].by_language)
    for number, each in enumerate(shown):
        found = [each.by_language[code] for code in codes]
        places = [place + 0.8 * (number + 0.5) / len(shown) - 0.4 for place in range(len(codes))]
        gains = [of[1] for of in found]
        # A bootstrap's interval need not hold the mean where topics are few.
        bars = [
            [max(of[1] - of[2], 0.0) for of in found],
            [max(of[3] - of[1], 0.0) for of in found],
        ]
        axes.errorbar(places, gains, yerr=bars, fmt="o", markersize=4, capsize=2, label=each.name)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(codes)), codes)
    axes.set_ylabel(f"gain, points of {MEASURE}")
    axes.legend(frameon=False, ncols=len(shown), loc="upper center", bbox_to_anchor=(0.5, 1.12))
