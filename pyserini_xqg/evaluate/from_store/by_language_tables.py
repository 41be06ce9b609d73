"""The section of ``evaluate sweep`` on alphas by language: chosen on dev, reported on test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyserini_xqg.evaluate.from_store.grid import NONE, SCALED, Setting, best
from pyserini_xqg.evaluate.from_store.retrieval import System
from pyserini_xqg.evaluate.from_store.subject import ByTopic, Subject, mean, minus, only
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.index.gains import Gain, best_assured, gains_by_language
from pyserini_xqg.index.settings import FALLBACK

#: Scores the settings on a subject.
Scorer = Callable[[Subject, Mapping[Setting, System]], Mapping[Setting, ByTopic]]


def by_language_section(
    dev: Subject,
    test: Subject,
    settings: Mapping[Setting, System],
    on_dev: Mapping[Setting, ByTopic],
    measure: str,
    score: Scorer,
) -> Section:
    """Each route's alpha by what its dev topics and all of them say; and what it gives on test.

    Parameters
    ----------
    dev, test : Subject
    settings : mapping of Setting to System
        Routed ones among them.
    on_dev : mapping of Setting to scores by topic
    measure : str
    score : callable
        Of the few settings that are chosen, on the test topics.
    """
    pooled = dev.groups()["mean"]
    routed = {s: mean(only(on_dev[s], pooled)) for s in settings if s.languages == "routed"}
    chosen = best(routed)
    none = SCALED if SCALED in settings else NONE
    gains = _gains(dev, on_dev, chosen, none)
    alphas = {route: best_assured(of).alpha for route, of in gains.items()}
    wanted = {alpha: chosen._replace(alpha=alpha) if alpha else none for alpha in alphas.values()}
    wanted[chosen.alpha] = chosen
    on_test = score(test, {s: settings[s] for s in [none, *wanted.values()]})
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
            _test_table(test, lines, measure),
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


def _test_table(test: Subject, lines: Mapping[str, ByTopic], measure: str) -> Table:
    groups = test.groups()
    rows, intervals = test.lines(lines)
    return Table(
        "sweep-test-by-language",
        f"TEST: {measure}, %",
        ["setting", *groups],
        rows,
        formats=dict.fromkeys(groups, ".2f"),
        intervals=intervals,
        note="Under each figure: 95 % interval from a bootstrap over clusters of topics; "
        "differences are paired.",
    )
