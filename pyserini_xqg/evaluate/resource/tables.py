"""The tables and plots of ``evaluate resource``: the gain by language, beside its resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.evaluate.resource.ceiling import (
    ByCluster,
    Rho,
    even_share,
    headroom,
    means,
    of_other_passages,
    resampled,
    rho,
)
from pyserini_xqg.evaluate.resource.gains import BASELINE, NOT_IN_MBERT, Factor, Gain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS = "the same, of other passages"
SHARE = "% of what is left"
RHO = "Spearman's rho"
RHO_OF_SHARE = "rho of share"
_GAIN = ["n", "baseline", "run", "gain", "low", "high"]
_SPECS = dict.fromkeys(_GAIN[1:], ".2f")


def resource_section(
    gains: Mapping[str, Gain],
    everything: Gain,
    factors: Sequence[Factor],
    clusters: ByCluster,
    measure: str,
    by: str,
) -> Section:
    """The gain against each factor: a table, rank correlations, a plot each.

    `clusters` has the columns of `gains`.
    """
    table = Table(
        "resource-gain",
        f"Gain in {measure} by {by}, points of per cent",
        [by, *_GAIN, SHARE, *(factor.title for factor in factors)],
        [
            *(
                [name, *gain.cells, gain.share, *(factor.values[name] for factor in factors)]
                for name, gain in gains.items()
            ),
            ["all", *everything.cells, everything.share, *(None for _ in factors)],
        ],
        {**_SPECS, SHARE: ".1f", **{factor.title: factor.spec for factor in factors}},
        note=" ".join(
            [
                "Low and high: 95 % bootstrap interval of the gain, clusters of topics resampled.",
                f"{SHARE}: the gain in per cent of what the baseline leaves to gain.",
                *(f"{factor.title}: {factor.source}." for factor in factors if factor.source),
                f"Of the languages listed, {' '.join(sorted(NOT_IN_MBERT))} were not in "
                "multilingual BERT's pre-training.",
                *_about_tokens(factors),
            ]
        ),
    )
    plots = [_scatter(gains, factor, number) for number, factor in enumerate(factors, 1)]
    return Section(
        "Gain and resources",
        _about_the_ceiling(gains, by),
        [table, _correlations(gains, factors, clusters, by)],
        plots,
    )


def _correlations(
    gains: Mapping[str, Gain], factors: Sequence[Factor], clusters: ByCluster, by: str
) -> Table:
    names = list(gains)
    samples = resampled(clusters)
    rows: list[list[Cell]] = []
    for factor in factors:
        there = [n for n, name in enumerate(names) if factor.values[name] is not None]
        found = means(clusters, np.ones((1, len(clusters.topics))))
        one = [np.array([[factor.values[names[n]] for n in there]], dtype=float)] * 2
        if factor.title == BASELINE:
            one = [found[0][:, there], samples[0][:, there]]
        cells: list[Cell] = [factor.title, len(there)]
        for of, of_samples in (
            (found[1], samples[1]),
            (headroom(*found), headroom(*samples)),
        ):
            cells += rho(one[0], of[:, there], one[1], of_samples[:, there])
        rows.append(cells)
        if factor.title == BASELINE:
            splits = of_other_passages(clusters)
            value = None if np.isnan(splits).all() else float(np.nanmedian(splits))
            rows.append([OTHERS, len(there), value, *[None] * 5])
    titles = [RHO, "low", "high", RHO_OF_SHARE, "low of share", "high of share"]
    return Table(
        "resource-correlation",
        "Rank correlation of the gain with each",
        ["", f"n ({by}s)", *titles],
        rows,
        dict.fromkeys(titles, ".2f"),
        note=f"Descriptive only: {len(gains)} {by}s are few and were not drawn at random, they "
        "share passages and a retriever, and these factors go together; no test is made of it. Low "
        f"and high: 95 % bootstrap interval, clusters of topics resampled, the {by}s as they are: "
        f"of other {by}s it says nothing. Of share: of the gain in per cent of what the baseline "
        "leaves to gain, where a ceiling alone would leave no correlation. The gain contains minus "
        "the baseline, so that chance alone makes its correlation with the baseline score "
        f"negative; {OTHERS}: the median over random halves of the passages, the gain of one half "
        "with the baseline score of the other.",
    )


def measures_table(found: Mapping[str, tuple[Mapping[str, Gain], Gain, ByCluster]]) -> Table:
    """By measure: the gain over all topics, by group, and its correlation with the baseline."""
    groups = list(next(iter(found.values()))[0])
    rows: list[list[Cell]] = []
    intervals = {}
    for row, (measure, (gains, everything, clusters)) in enumerate(found.items()):
        for column, gain in enumerate([everything, *gains.values()], 2):
            intervals[row, column] = gain.low, gain.high
        samples = resampled(clusters)
        now = means(clusters, np.ones((1, len(clusters.topics))))
        rho_gain = rho(now[0], now[1], samples[0], samples[1])
        # With one relevant passage precision at k ends at 1 / k: 100 is not what there is to gain.
        rho_share = (
            Rho(None)
            if measure.startswith("P@")
            else rho(now[0], headroom(*now), samples[0], headroom(*samples))
        )
        of_groups = (gain.gain for gain in gains.values())
        cells: list[Cell] = [measure, everything.baseline, everything.gain, *of_groups]
        rows.append([*cells, rho_gain.value, rho_share.value])
        for column, each in ((3 + len(gains), rho_gain), (4 + len(gains), rho_share)):
            if each.low is not None and each.high is not None:
                intervals[row, column] = each.low, each.high
    titles = ["baseline, all", "gain, all", *groups, RHO, RHO_OF_SHARE]
    return Table(
        "resource-measures",
        "Gain by measure, points of per cent",
        ["measure", *titles],
        rows,
        {**dict.fromkeys(titles, ".1f"), RHO: ".2f", RHO_OF_SHARE: ".2f"},
        intervals=intervals,
        interval_format="[{:.2g}, {:.2g}]",
        note="95 % bootstrap intervals, clusters of topics resampled. Correlations: of the gain, "
        "and of its share of what the baseline leaves, with the baseline score; no share for "
        "precision, which cannot reach 100 %.",
    )


def _about_the_ceiling(gains: Mapping[str, Gain], by: str) -> list[str]:
    """What the gain would be, and how well that fits, if every group gained one share."""
    baseline = np.array([gain.baseline for gain in gains.values()])
    fit = even_share(baseline, np.array([gain.gain for gain in gains.values()]))
    if fit is None:
        return []
    share, part = fit
    return [
        f"If every {by} gained the same share of what its baseline leaves, {share:.0f} %, that "
        f"would account for {part:.0f} % of the gains' variance between the {len(gains)} {by}s: so "
        "much can be mere ceiling."
    ]


def group_section(groups: Mapping[str, tuple[Sequence[str], Gain]], measure: str) -> Section:
    """The gain over the groups of languages that the user named."""
    table = Table(
        "resource-groups",
        f"Gain in {measure} by group, points of per cent",
        ["group", "languages", *_GAIN],
        [[name, " ".join(codes), *gain.cells] for name, (codes, gain) in groups.items()],
        _SPECS,
        note="Means over topics. The groups are the user's: a language low in one resource may be "
        "high in another.",
    )
    return Section("Groups", [], [table])


def _about_tokens(factors: Sequence[Factor]) -> list[str]:
    if not any(factor.title == "tokens a word" for factor in factors):
        return []
    return [
        "Tokens: of the encoder's tokenizer over the topics, special ones left out. Words are what "
        "white space parts: syllables in Vietnamese, phrases of noun and particle in Korean; there "
        "is no figure for languages written without spaces (Japanese, Chinese, Thai, Khmer, "
        "Burmese). Characters are code points without white space, so that scripts with vowel "
        "signs have more of them."
    ]


def _scatter(gains: Mapping[str, Gain], factor: Factor, number: int) -> Plot:
    def draw(axes: Axes) -> None:
        axes.axhline(0, color="#999999", linewidth=0.8)
        values = {name: value for name in gains if (value := factor.values[name]) is not None}
        for number, (name, value) in enumerate(sorted(values.items(), key=lambda each: each[1])):
            gain = gains[name]
            ends = [[gain.gain - gain.low], [gain.high - gain.gain]]
            axes.errorbar([value], [gain.gain], ends, fmt="o", color="#0072B2", elinewidth=0.8)
            # Above and below in turn: names of neighbours would lie on each other.
            end, place = ((gain.low, (0, -10)), (gain.high, (0, 4)))[number % 2]
            axes.annotate(name, (value, end), place, textcoords="offset points", ha="center")
        if factor.title == BASELINE:
            _draw_even_share(axes, gains)
        if factor.is_size:
            axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xlabel(factor.title)
        axes.set_ylabel("gain, points, with 95 % intervals")

    return Plot(f"resource-{number}", f"Gain against {factor.title}", draw)


def _draw_even_share(axes: Axes, gains: Mapping[str, Gain]) -> None:
    """The line on which every group would gain the same share of what its baseline leaves."""
    baseline = np.array([gain.baseline for gain in gains.values()])
    fit = even_share(baseline, np.array([gain.gain for gain in gains.values()]))
    if fit is None:
        return
    ends = np.array([baseline.min(), baseline.max()])
    label = f"{fit[0]:.0f} % of what the baseline leaves"
    axes.plot(ends, fit[0] / 100 * (100 - ends), "--", color="#999999", linewidth=0.8, label=label)
    axes.legend(frameon=False)
