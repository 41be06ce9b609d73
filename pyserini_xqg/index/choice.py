"""Alpha and mu, chosen by how topics find their passages.

Passages with and without queries are two groups, which count by their share of the collection, or
of the topics. A setting that takes either below passages only is not chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyserini_xqg.index.gains import Gain, gains_by_language
from pyserini_xqg.index.left_out import CUTOFF
from pyserini_xqg.index.settings import FALLBACK

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURE = f"RR@{CUTOFF}"
#: The two groups of passages.
WITH, WITHOUT = "with_queries", "without"
_NOTHING = Gain(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Scores(NamedTuple):
    """What every setting gives the topics of one route, in percent.

    Attributes
    ----------
    qids, clusters : list of str
        Of each topic.
    groups : dict of str to tuple of (array, array)
        For each group of passages the scores, shape ``(mus, alphas, t)``, and the share of each
        topic that stands for it, shape ``(t,)``; the shares of a topic add up to 1.
    """

    qids: list[str]
    clusters: list[str]
    groups: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]

    def whole(self) -> NDArray[np.float32]:
        """Both groups together, shape ``(mus, alphas, t)``."""
        whole: NDArray[np.float32] = np.sum(
            [scores * share for scores, share in self.groups.values()], axis=0
        )
        return whole

    def at(self, mu: int) -> Scores:
        """Those of one mu, by its place."""
        return self._replace(
            groups={name: (of[mu : mu + 1], share) for name, (of, share) in self.groups.items()}
        )


class Choice(NamedTuple):
    """What was chosen, and on which grounds.

    Attributes
    ----------
    mu : float
    alphas : dict of str to float
        By route.
    record : dict
        For ``xqg.json``: topics, passages, coverage, the whole curve, and each route's gain.
    """

    mu: float
    alphas: dict[str, float]
    record: dict[str, Any]

    def line(self) -> str:
        """What was chosen and from what, in one line."""
        of = self.record
        common = max(set(self.alphas.values()), key=list(self.alphas.values()).count)
        others = [f"{route} {alpha:g}" for route, alpha in self.alphas.items() if alpha != common]
        alphas = f"alpha {common:g}" + (f" ({', '.join(others)})" if others else "")
        return (
            f"chosen by {of['by']}: {alphas}, mu {self.mu:g}; {of['measure']} of {of['topics']} "
            f"topics on {of['passages']} passages: {of['chosen']:.1f}, passages only "
            f"{of['passages_only']:.1f}"
            + ("" if any(self.alphas.values()) else "; no gain is assured, so nothing is folded in")
        )


def pick(
    scores: Mapping[str, Scores],
    alphas: Sequence[float],
    mus: Sequence[float],
    facts: Mapping[str, Any],
    fallback: Callable[[float], Scores] | None = None,
) -> Choice:
    """The mu that is best over all routes, and at it each route's alpha.

    Parameters
    ----------
    scores : mapping of route to Scores
    alphas : sequence of float
        Sorted, 0 the first.
    mus : sequence of float
    facts : mapping
        To be recorded.
    fallback : callable, optional
        The scores of the fallback, which has no say in mu, at that mu alone.
    """
    filled = {route: of for route, of in scores.items() if of.qids}
    number, curve = _best_mu(filled, alphas, mus)
    at = {route: of.at(number) for route, of in scores.items()}
    gains = _by_route(at, alphas)
    if fallback is not None:
        at[FALLBACK] = fallback(mus[number])
        gains |= _by_route({FALLBACK: at[FALLBACK]}, alphas)
    places = {route: list(alphas).index(gain.alpha) for route, gain in gains.items()}
    after, before = (
        float(np.mean([at[route].whole()[0, place[route]].mean() for route in filled] or [0.0]))
        for place in (places, dict.fromkeys(places, 0))
    )
    record = {
        **facts,
        "measure": MEASURE,
        "topics": sum(len(of.qids) for of in filled.values()),
        "passages": len({row for of in filled.values() for row in of.clusters}),
        "mu": mus[number],
        "chosen": round(after, 3),
        "passages_only": round(before, 3),
        "routes": {
            route: {
                "alpha": gain.alpha,
                "topics": len(at[route].qids),
                "gain": round(gain.shrunk, 3),
                "lower_bound": round(gain.low, 3),
                **_means_of(at[route], places[route]),
            }
            for route, gain in gains.items()
        },
        "curve": curve,
    }
    return Choice(mus[number], {route: gain.alpha for route, gain in gains.items()}, record)


def _best_mu(
    scores: Mapping[str, Scores], alphas: Sequence[float], mus: Sequence[float]
) -> tuple[int, list[dict[str, Any]]]:
    """The place of the mu with the best mean over routes at one alpha, and all that was seen."""
    curve: list[dict[str, Any]] = []
    best, best_mu = -np.inf, 0
    for number, mu in enumerate(mus):
        for place, alpha in enumerate(alphas):
            if not scores or (not alpha and number):
                continue
            point: dict[str, Any] = {"mu": mu, "alpha": alpha}
            point["all"] = float(
                np.mean([of.whole()[number, place].mean() for of in scores.values()])
            )
            harm = False
            for group in dict.fromkeys(name for of in scores.values() for name in of.groups):
                now, then = (
                    np.mean([_mean(of, group, number, at) for of in scores.values()])
                    for at in (place, 0)
                )
                point[group] = float(now)
                harm |= bool(now < then)
            curve.append({name: round(value, 3) for name, value in point.items()})
            if not harm and point["all"] > best:
                best, best_mu = point["all"], number
    return best_mu, curve


def _mean(scores: Scores, group: str, mu: int, alpha: int) -> float:
    """Of one group of passages; of all where a route has no such group."""
    values, share = scores.groups.get(group) or (scores.whole(), np.ones(len(scores.qids)))
    mine = share > 0
    return float(values[mu, alpha][mine].mean()) if mine.any() else 0.0


def _means_of(scores: Scores, alpha: int) -> dict[str, Any]:
    if not scores.qids:
        return {}
    found = {"passages_only": scores.whole()[0, 0].mean(), "all": scores.whole()[0, alpha].mean()}
    found |= {name: _mean(scores, name, 0, alpha) for name in scores.groups}
    return {name: round(float(value), 3) for name, value in found.items()}


def _by_route(scores: Mapping[str, Scores], alphas: Sequence[float]) -> dict[str, Gain]:
    """Each route's best assured alpha among those that take no group below passages only.

    The scores are those of one mu.
    """
    qids = {route: of.qids for route, of in scores.items()}
    clusters = {
        qid: row for of in scores.values() for qid, row in zip(of.qids, of.clusters, strict=True)
    }

    def gains(values: Mapping[str, NDArray[np.float32]]) -> dict[str, list[Gain]]:
        by_alpha: dict[float, dict[str, float]] = {alpha: {} for alpha in alphas}
        for route, of in values.items():
            for place, alpha in enumerate(alphas):
                by_alpha[alpha].update(zip(qids[route], of[0, place].tolist(), strict=True))
        none = by_alpha.pop(0.0)
        return gains_by_language(by_alpha, none, qids, clusters)

    if not clusters:
        return dict.fromkeys(scores, _NOTHING)
    filled = {route: of for route, of in scores.items() if of.qids}
    whole = gains({route: of.whole() for route, of in filled.items()})
    harmed: set[tuple[str, float]] = set()
    for group in dict.fromkeys(name for of in filled.values() for name in of.groups):
        of_group = gains(
            {
                route: of.groups[group][0] if group in of.groups else of.whole()
                for route, of in filled.items()
            }
        )
        for route, of in of_group.items():
            harmed.update((route, gain.alpha) for gain in of if gain.shrunk < 0)
    chosen = dict.fromkeys(scores, _NOTHING)
    for route, of in whole.items():
        chosen[route] = _best([gain for gain in of if (route, gain.alpha) not in harmed])
    return chosen


def _best(gains: Sequence[Gain]) -> Gain:
    """The best assured gain; no augmentation where no lower bound is above 0."""
    sure = [gain for gain in gains if gain.low > 0]
    return max(sure, key=lambda gain: gain.low) if sure else _NOTHING
