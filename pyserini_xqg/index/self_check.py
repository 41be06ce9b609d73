"""What an index does to the collection's own generated queries, seen before anybody searches it.

A sample of the queries, each left out of its own passage, are topics against the vectors of the
index and against the passages alone. An index whose vectors are drawn to a few passages, or that
loses passages without queries, shows itself by it in seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.index.choice import MEASURE
from pyserini_xqg.index.folds import FOLDS
from pyserini_xqg.index.gains import mean_and_variance
from pyserini_xqg.index.left_out import CUTOFF, predictions_at
from pyserini_xqg.index.maps import Maps
from pyserini_xqg.index.max_sim import MAX_SIM
from pyserini_xqg.index.own_scores import OwnScores, with_others
from pyserini_xqg.index.own_topics import covered, draw_topics, of_all, of_language, read_samples
from pyserini_xqg.index.passage_pool import draw_pool, read_pool
from pyserini_xqg.index.settings import FALLBACK, Fusion
from pyserini_xqg.store.store import Store

Vectors = NDArray[np.float32]

#: Topics in all, passages that they are ranked among, and passages whose share of top-1 is told.
_TOPICS, _POOL, _FEW = 1_000, 10_000, 5
# Too few of either say nothing.
_LEAST_POOL, _LEAST_PASSAGES = 50, 20
# The part of top-1 that a few passages take in a collapsed index, whatever its topics.
_COLLAPSED = 0.5
_Z = 1.96
_SHOWN = 3
REMEDY = (
    "build it without --method, --alpha and --mu, which are then chosen so that no passage is "
    "harmed, or with --method mean, --l2-norm and a smaller --alpha"
)


def self_check(
    store: Store,
    fusion: Fusion,
    members: Sequence[str],
    centres: Mapping[str, Vectors] | None = None,
    maps: Maps | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """What an index with these settings does to generated queries left out of it.

    Parameters
    ----------
    store : Store
    fusion : Fusion
    members : sequence of str
        The languages that it folds in; one that the store lacks, by its map alone.
    centres : mapping of language to array, or None
    maps : Maps or None
        For a fusion with a mu.
    seed : int

    Returns
    -------
    dict or None
        For ``xqg.json``; None where there is nothing to check by: no queries, no sample of single
        vectors, or too few passages.
    """
    there = [code for code in members if code in store.languages]
    if not there or fusion.method in (None, MAX_SIM):
        return None
    if store.sample_rates is None and not store.kept_queries:
        return None
    samples = read_samples(store, there)
    pool = draw_pool(store, _POOL, seed)
    drawn = draw_topics(samples, seed, _TOPICS)
    if len(members) == 1:
        topics = of_language(drawn[there[0]], there[0])
    else:
        topics = of_all(samples, drawn, there, _TOPICS)
    if fusion.method == "paper":
        topics = with_others(store, topics)
    if len(pool.rows) < _LEAST_POOL or len(set(topics.row.tolist())) < _LEAST_PASSAGES:
        return None
    state = OwnScores(store, topics, fusion, centres, maps)
    for numbers, block, _ in read_pool(store, pool, there):
        for fold in range(FOLDS):
            which = fold if fusion.mu else None
            predictions = predictions_at(maps, block, np.full(len(numbers), fold))
            vectors = fusion.apply(block, centres, predictions)
            state.add(numbers, block.passages, vectors, which)
            if which is None:  # nothing depends on the fold
                break
    route = FALLBACK if len(members) > 1 else there[0]
    return _record(state, covered(store, pool, there)[route])


def _record(state: OwnScores, coverage: float) -> dict[str, Any]:
    rows = state.topics.row
    scores = {name: _reciprocal(of.above) for name, of in state.groups.items()}
    shares = {name: of.share(state.groups[name].own, rows, _FEW) for name, of in state.best.items()}
    found: dict[str, Any] = {
        "topics": len(rows),
        "passages": len(set(rows.tolist())),
        "measure": MEASURE,
        "passages_only": round(float(scores["plain"].mean()), 3),
        "index": round(float(scores["own"].mean()), 3),
        "five_passages_take": round(shares["own"], 4),
        "five_passages_take_passages_only": round(shares["plain"], 4),
    }
    warnings = []
    if _worse(scores["own"] - scores["plain"], rows):
        warnings.append(
            f"{MEASURE} {found['index']:.1f}, passages only {found['passages_only']:.1f}"
        )
    if coverage < 1:
        found["without_queries"] = round(float(scores["none"].mean()), 3)
        found["share_without_queries"] = round(1 - coverage, 4)
        if _worse(scores["none"] - scores["plain"], rows):
            warnings.append(
                f"passages without queries ({100 * (1 - coverage):.0f} % of all) are lost: "
                f"{MEASURE} {found['without_queries']:.1f}, passages only "
                f"{found['passages_only']:.1f}"
            )
    if shares["own"] > _COLLAPSED and shares["own"] > 2 * shares["plain"]:
        warnings.append(
            f"{_FEW} passages take {100 * shares['own']:.0f} % of top-1, passages only "
            f"{100 * shares['plain']:.0f} %"
        )
    if warnings:
        found["warning"] = "; ".join(warnings)
    return found


def _reciprocal(above: NDArray[np.int32]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.where(above < CUTOFF, 100 / (above + 1.0), 0.0)
    return found


def _worse(change: NDArray[np.float64], rows: NDArray[np.int64]) -> bool:
    """Whether a mean is surely below 0, passages drawn as wholes."""
    names = [str(number) for number in range(len(change))]
    mean, variance = mean_and_variance(
        dict(zip(names, change.tolist(), strict=True)),
        dict(zip(names, map(str, rows.tolist()), strict=True)),
    )
    return mean < -1e-9 and variance < inf and mean + _Z * sqrt(variance) < 0


def say(records: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Print what `self_check` found, for one index or for all routes, to standard error."""
    checked = {route: record for route, record in records.items() if record}
    if not checked:
        return
    print(line(checked), file=sys.stderr)
    bad = [route for route, record in checked.items() if "warning" in record]
    for route in bad[:_SHOWN]:
        where = f"{route}: " if len(checked) > 1 else ""
        print(f"WARNING: {where}{checked[route]['warning']}", file=sys.stderr)
    if bad:
        more = f" (and {len(bad) - _SHOWN} more routes like it)" if len(bad) > _SHOWN else ""
        print(f"WARNING: this index does harm{more}: {REMEDY}", file=sys.stderr)


def line(records: Mapping[str, Mapping[str, Any]]) -> str:
    """One line about one index, or the mean over routes; the fallback is not in it."""
    of = [record for route, record in records.items() if route != FALLBACK] or [*records.values()]

    def mean(name: str, default: str = "") -> float:
        return float(np.mean([record.get(name, record.get(default)) for record in of]))

    none = ""
    if any("without_queries" in record for record in of):
        none = (
            f", {mean('without_queries', 'index'):.1f} as if their passages had no queries like "
            f"{100 * mean('share_without_queries', 'zero'):.0f} % of all"
            if all("without_queries" in record for record in of)
            else f", {mean('without_queries', 'index'):.1f} as if their passages had no queries"
        )
    return (
        f"self-check, {sum(record['topics'] for record in of)} generated queries each left out of "
        f"its passage: {MEASURE} {mean('index'):.1f}{none}, passages only "
        f"{mean('passages_only'):.1f}; {_FEW} passages take {100 * mean('five_passages_take'):.0f} "
        f"% of top-1, passages only {100 * mean('five_passages_take_passages_only'):.0f} %"
    )
