"""Alpha and mu, chosen by how topics find their passages.

Passages with and without queries are two groups, which count by their share of the collection, or
of the topics. A setting that takes either below passages only is not chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyserini_xqg.index.gains import LEVEL, Gain, gains_by_language, mean_and_variance
from pyserini_xqg.index.left_out import CUTOFF
from pyserini_xqg.index.settings import FALLBACK

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEASURE = f"RR@{CUTOFF}"
#: The two groups of passages.
WITH, WITHOUT = "with_queries", "without"
ONE_SIDED = NormalDist().inv_cdf(1 - LEVEL)
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
            + ("" if any(self.alphas.values()) else self._why_nothing())
        )

    def _why_nothing(self) -> str:
        pairs = self.record.get("own_pairs")
        if pairs and not pairs["belong"]:
            return (
                "; WARNING: generated queries lie no nearer to their own passages than to others "
                f"({pairs['own']} of {pairs['pairs']} pairs that choose each other), so nothing is "
                "folded in: see whether the queries were made of these passages"
            )
        said, seen = "; no gain is assured, so nothing is folded in", self.record.get("not_assured")
        if seen is None:
            return said
        needed = seen["passages_needed"]
        return (
            f"{said}: {self.record['passages']} passages with queries are too few to tell whether "
            f"alpha {seen['alpha']:g} gains {seen['gain']:.1f}; it would take "
            + (f"about {needed}" if needed else "more")
        )


def pick(
    scores: Mapping[str, Scores],
    alphas: Sequence[float],
    mus: Sequence[float],
    facts: Mapping[str, Any],
    fallback: Callable[[float], Scores] | None = None,
) -> Choice:
    """The mu and the alpha that are best over all routes, and each route's alpha.

    Which alpha is best is nearly the same in every language, and the queries of one language are
    too few to tell it apart. So a route takes the common one, or the highest below it that takes
    none of its groups below passages only and whose gain is assured; 0 where there is none.

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
    number, common, curve = _best_of_all(filled, alphas, mus)
    at = {route: of.at(number) for route, of in scores.items()}
    gains = _by_route(at, alphas[: common + 1])
    seen = None if any(gain.alpha for gain in gains.values()) else _seen(at, alphas[common], common)
    if fallback is not None:
        at[FALLBACK] = fallback(mus[number])
        alone = {FALLBACK: at[FALLBACK]} if at[FALLBACK].qids else {}
        _, common, _ = _best_of_all(alone, alphas, mus[number : number + 1])
        gains |= _by_route({FALLBACK: at[FALLBACK]}, alphas[: common + 1])
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
    if seen:
        record["not_assured"] = seen
    return Choice(mus[number], {route: gain.alpha for route, gain in gains.items()}, record)


def _best_of_all(
    scores: Mapping[str, Scores], alphas: Sequence[float], mus: Sequence[float]
) -> tuple[int, int, list[dict[str, Any]]]:
    """The places of the mu and the alpha with the best mean over routes, and all that was seen."""
    curve: list[dict[str, Any]] = []
    best, found = -np.inf, (0, 0)
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
                best, found = point["all"], (number, place)
    return *found, curve


def _seen(scores: Mapping[str, Scores], alpha: float, place: int) -> dict[str, Any] | None:
    """A gain over all topics that may be chance, and about how many passages would assure it.

    The variance of a mean falls with the number of clusters, so that many times more are needed as
    the bound's square is above the gain's.
    """
    change = {
        qid: value
        for of in scores.values()
        if of.qids
        for qid, value in zip(
            of.qids, (of.whole()[0, place] - of.whole()[0, 0]).tolist(), strict=True
        )
    }
    passages = {
        qid: row for of in scores.values() for qid, row in zip(of.qids, of.clusters, strict=True)
    }
    gain, variance = mean_and_variance(change, passages)
    if gain <= 0:
        return None
    number = len(set(passages.values()))
    needed = None
    if variance < inf:
        needed = max(number + 1, ceil(number * ONE_SIDED**2 * variance / gain**2))
    return {"alpha": alpha, "gain": round(gain, 3), "passages_needed": needed}


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
    """Each route's highest alpha that is assured and takes no group below passages only.

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

    if not clusters or len(alphas) < 2:
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
        sure = [gain for gain in of if gain.low > 0 and (route, gain.alpha) not in harmed]
        chosen[route] = sure[-1] if sure else _NOTHING
    return chosen
