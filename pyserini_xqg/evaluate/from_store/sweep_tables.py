"""The tables and plots of ``evaluate sweep``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyserini_xqg.evaluate.from_store.grid import NONE, SCALED, Setting, best
from pyserini_xqg.evaluate.from_store.subject import ByTopic, Subject, mean, minus, only
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.index.max_sim import MAX_SIM

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pyserini_xqg.store.store import Store

ByMeasure = Mapping[Setting, ByTopic]


def support_text(store: Store) -> list[str]:
    """What can be asked of a store, and what cannot."""
    queries = ", ".join(
        f"{code} {count / store.passages:.3g}" for code, count in store.queries.items()
    )
    return [
        f"The store: {store.passages} passages, {store.dimension} dimensions, "
        f"{store.manifest['dtype']}; queries a passage: {queries}.",
        "It supports any alpha, formula and set of languages; "
        + (
            f"it keeps single queries, so {MAX_SIM} and numbers of queries too."
            if store.kept_queries
            else f"not {MAX_SIM} and numbers of queries: for those, encode with xqg --keep-queries."
        ),
    ]


def dev_section(dev: Subject, scores: ByMeasure, measure: str) -> Section:
    """Everything that was tried, on the dev topics.

    Parameters
    ----------
    dev : Subject
    scores : mapping of Setting to scores by topic
    measure : str
    """
    pooled = dev.groups()["mean"]
    means = {setting: mean(only(of, pooled)) for setting, of in scores.items()}
    chosen = best(means)
    text = support_text(dev.store)
    if any(setting.method == MAX_SIM for setting in scores):
        each = sum(dev.store.queries[code] for code in dev.languages) / dev.store.passages
        text.append(
            f"An index of {MAX_SIM} holds a vector a query, here {each:.3g} a passage; the others "
            "hold one a passage."
        )
    tables = [_alpha_table(means, chosen, measure, len(pooled))]
    if len({setting.languages for setting in scores if setting.method}) > 1:
        tables.append(_language_table(dev, scores, means, measure))
    return Section(
        "Tried on dev topics",
        [
            *text,
            f"Chosen: {chosen}, the best of {len(scores)} settings by {measure} over {len(pooled)} "
            "dev topics. Its dev figure is too good, because it was chosen by it.",
        ],
        tables,
        [
            Plot(
                "sweep-alpha",
                f"DEV: {measure}, %, by alpha",
                lambda axes: _draw_alphas(axes, means, measure),
            )
        ],
    )


def test_section(test: Subject, scores: ByMeasure, chosen: Setting, measure: str) -> Section:
    """The chosen setting beside no augmentation, on the test topics.

    Parameters
    ----------
    test : Subject
    scores : mapping of Setting to scores by topic
        Of no augmentation and of the chosen setting alone.
    chosen : Setting
    measure : str
    """
    groups = test.groups()
    lines: dict[str, ByTopic] = {
        f"chosen: {s}" if s == chosen else str(s): of for s, of in scores.items()
    }
    nones = [setting for setting in scores if setting != chosen]
    lines |= {f"chosen - {none}": minus(scores[chosen], scores[none]) for none in nones}
    rows, intervals = test.lines(lines)
    rows.append(["n", *(len(qids) for qids in groups.values())])
    return Section(
        "The chosen setting on test topics",
        [] if nones else ["No setting was better on dev topics than no augmentation."],
        [
            Table(
                "sweep-test",
                f"TEST: {measure}, %",
                ["setting", *groups],
                rows,
                formats=dict.fromkeys(groups, ".2f"),
                intervals=intervals,
                note="The only figures from test topics, for the one setting chosen before on dev "
                f"topics. mean: over topics in {', '.join(test.pooled)}. Under each figure: 95 % "
                "interval from a bootstrap over clusters of topics; differences are paired.",
            )
        ],
    )


def _alpha_table(means: Mapping[Setting, float], chosen: Setting, measure: str, n: int) -> Table:
    alphas = sorted({setting.alpha for setting in means})
    columns = ["method", "languages", *(f"{alpha:g}" for alpha in alphas)]
    rows: list[list[Cell]] = []
    marks = {}
    for first in dict.fromkeys(setting._replace(alpha=0.0) for setting in means):
        settings = [first._replace(alpha=alpha) for alpha in alphas]
        if chosen in settings:
            marks[len(rows), 2 + settings.index(chosen)] = "*"
        of_alpha = (means.get(setting) for setting in settings)
        rows.append([first.formula, first.languages, *of_alpha])
    return Table(
        "sweep-dev",
        f"DEV: {measure}, %, mean over {n} topics, by alpha",
        columns,
        rows,
        formats=dict.fromkeys(columns[2:], ".2f"),
        marks=marks,
        note="*: chosen; of equals the one with the least alpha and mu. Alphas of different "
        "methods, and of 'paper' with different numbers of queries, do not compare.",
    )


def _language_table(
    dev: Subject, scores: ByMeasure, means: Mapping[Setting, float], measure: str
) -> Table:
    groups = dev.groups()
    rows: list[list[Cell]] = []
    for languages in dict.fromkeys(setting.languages for setting in scores):
        setting = best({s: value for s, value in means.items() if s.languages == languages})
        values = [mean(only(scores[setting], qids)) for qids in groups.values()]
        rows.append([languages, setting.formula, setting.alpha, *values])
    rows.append(["n", "", None, *(len(qids) for qids in groups.values())])
    return Table(
        "sweep-dev-languages",
        f"DEV: {measure}, %, by the languages folded in, each at its best method and alpha",
        ["languages", "method", "alpha", *groups],
        rows,
        formats={"alpha": "g", **dict.fromkeys(groups, ".2f")},
        note=f"mean: over topics in {', '.join(dev.pooled)}.",
    )


def _draw_alphas(axes: Axes, means: Mapping[Setting, float], measure: str) -> None:
    tried = [setting for setting in means if setting.method]
    shown: Sequence[str] = list(dict.fromkeys(setting.languages for setting in tried))
    # With each language alone and left out there would be too many lines to see one.
    shown = [name for name in shown if name in ("all", "routed")] or shown
    none = SCALED if SCALED in means else NONE
    axes.axhline(means[none], color="black", linestyle="--", linewidth=1, label=str(none))
    for first in dict.fromkeys(setting._replace(alpha=0.0) for setting in tried):
        if first.languages in shown:
            line = [none, *(s for s in tried if s._replace(alpha=0.0) == first)]
            axes.plot(
                [setting.alpha for setting in line],
                [means[setting] for setting in line],
                marker="o",
                label=f"{first.formula}, {first.languages}",
            )
    axes.set_xlabel("alpha")
    axes.set_ylabel(f"{measure}, %, dev")
    axes.legend()
