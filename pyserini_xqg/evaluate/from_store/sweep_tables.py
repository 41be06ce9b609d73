"""The tables and plots of ``evaluate sweep``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyserini_xqg.evaluate.from_store.grid import NONE, SCALED, Setting, best
from pyserini_xqg.evaluate.from_store.retrieval import System
from pyserini_xqg.evaluate.from_store.subject import ByTopic, Subject, mean, minus, only
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.index.gains import Gain, best_assured, gains_by_language
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.index.settings import FALLBACK

if TYPE_CHECKING:
    from matplotlib.axes import Axes


ByMeasure = Mapping[Setting, ByTopic]


def _about(dev: Subject) -> list[str]:
    """What can be asked of its store, and what cannot."""
    store = dev.store
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
    text = _about(dev)
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
    lines: dict[str, ByTopic] = {
        f"chosen: {s}" if s == chosen else str(s): of for s, of in scores.items()
    }
    nones = [setting for setting in scores if setting != chosen]
    lines |= {f"chosen - {none}": minus(scores[chosen], scores[none]) for none in nones}
    return Section(
        "The chosen setting on test topics",
        [] if nones else ["No setting was better on dev topics than no augmentation."],
        [
            test.table(
                "sweep-test",
                f"TEST: {measure}, %",
                lines,
                "setting",
                form=".2f",
                counted=True,
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


def by_language_section(
    dev: Subject,
    test: Subject,
    settings: Mapping[Setting, System],
    on_dev: Mapping[Setting, ByTopic],
    measure: str,
) -> Section:
    """Each route's alpha by what its dev topics and all of them say; and what it gives on test.

    Parameters
    ----------
    dev, test : Subject
    settings : mapping of Setting to System
        Routed ones among them.
    on_dev : mapping of Setting to scores by topic
    measure : str
    """
    pooled = dev.groups()["mean"]
    routed = {s: mean(only(on_dev[s], pooled)) for s in settings if s.languages == "routed"}
    chosen = best(routed)
    none = SCALED if SCALED in settings else NONE
    gains = _gains(dev, on_dev, chosen, none)
    alphas = {route: best_assured(of).alpha for route, of in gains.items()}
    wanted = {alpha: chosen._replace(alpha=alpha) if alpha else none for alpha in alphas.values()}
    wanted[chosen.alpha] = chosen
    on_test = test.score_by({s: settings[s] for s in [none, *wanted.values()]}, measure)
    lines: dict[str, ByTopic] = {
        str(none): on_test[none],
        f"{chosen}, the best on dev": on_test[chosen],
        "alpha by language": {
            qid: on_test[wanted[alphas[route]]][qid]
            for route, qids in _routes(test).items()
            for qid in qids
        },
    }
    before, pool, by_language = lines.values()
    lines["by language - no augmentation"] = minus(by_language, before)
    lines["by language - one alpha"] = minus(by_language, pool)
    return Section(
        "Alpha by language",
        [
            "For each language the alpha whose gain over no augmentation is best assured on dev "
            "topics: the highest lower bound (one-sided, 95 %) of the gain, shrunk towards that of "
            "all languages as far as its own topics are too few to say otherwise. 0 where no gain "
            "is above 0 by the bound that holds for all alphas tried together (Bonferroni). "
            f"{FALLBACK}: topics in languages without a route, on their own; 0 where dev has none.",
            _command(dev, chosen, alphas),
        ],
        [
            _dev_table(gains, {route: len(qids) for route, qids in _routes(dev).items()}, measure),
            test.table(
                "sweep-test-by-language",
                f"TEST: {measure}, %",
                lines,
                "setting",
                form=".2f",
                note="Under each figure: 95 % interval from a bootstrap over clusters of topics; "
                "differences are paired.",
            ),
        ],
    )


def _routes(subject: Subject) -> dict[str, list[str]]:
    """Topic ids by route."""
    routes: dict[str, list[str]] = {name: [] for name in [*subject.languages, FALLBACK]}
    for qid, topic in subject.collection.topics.items():
        routes[topic.language if topic.language in routes else FALLBACK].append(qid)
    return routes


def _gains(
    dev: Subject, on_dev: Mapping[Setting, ByTopic], chosen: Setting, none: Setting
) -> dict[str, list[Gain]]:
    scores = {
        setting.alpha: of
        for setting, of in on_dev.items()
        if setting == chosen._replace(alpha=setting.alpha)
    }
    routes = _routes(dev)
    rest = {FALLBACK: routes.pop(FALLBACK)}
    clusters = dev.collection.clusters
    gains: dict[str, list[Gain]] = {}
    for groups in (routes, rest):
        if any(groups.values()):
            gains |= gains_by_language(scores, on_dev[none], groups, clusters)
    return {route: gains.get(route, []) for route in [*routes, *rest]}


def _command(dev: Subject, chosen: Setting, alphas: Mapping[str, float]) -> str:
    stores = " ".join(str(path) for path in dev.store.paths)
    words = " ".join(f"{route}={alpha:g}" for route, alpha in alphas.items())
    return (
        f"python -m pyserini_xqg.index --embeddings {stores} --output DIR --routed "
        f"--method {chosen.method} --alpha {words}" + (f" --mu {chosen.mu:g}" if chosen.mu else "")
    )


def _dev_table(
    gains: Mapping[str, Sequence[Gain]], topics: Mapping[str, int], measure: str
) -> Table:
    rows: list[list[Cell]] = []
    for route, of in gains.items():
        taken = best_assured(of)
        own = max(of, key=lambda gain: gain.own).alpha if topics[route] else None
        facts: list[Cell] = [taken.own, 100 * taken.share, taken.shrunk, taken.low]
        rows.append(
            [route, topics[route], own, taken.alpha, *(facts if taken.alpha else 4 * [None])]
        )
    columns = ["route", "topics", "best alpha of its own", "alpha", "gain", "own share, %",
               "gain, shrunk", "lower bound"]  # fmt: skip
    return Table(
        "sweep-dev-by-language",
        f"DEV: {measure}, points of 100: the alpha of each route and its gain",
        columns,
        rows,
        formats={**dict.fromkeys(columns[4:], ".2f"), **dict.fromkeys(columns[2:4], "g"),
                 "own share, %": ".0f"},
        note="own share: how much of the shrunk gain is the language's own; the rest is that of "
        "all languages together.",
    )  # fmt: skip
