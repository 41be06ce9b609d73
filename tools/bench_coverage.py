"""Effectiveness against the share of passages that have queries: the mean and the smoothed mean.

    python tools/bench_coverage.py --collection XQuAD STORE TOPICS QRELS --output coverage.png

A store holds queries for all its passages; here only those of a share of the passages are looked
at, drawn at random, and the maps are fitted on these alone. Scores are RR@10, the mean over the
topics' languages, routed by the topic's language, vectors at length 1; apart for topics whose
passage has queries and for those whose passage has none. Settings are given, not chosen here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyserini_xqg.collection.judged import read_collection
from pyserini_xqg.evaluate.from_store.retrieval import (
    Part,
    System,
    everyone,
    open_encoder,
    parts_of,
    routed,
)
from pyserini_xqg.evaluate.from_store.smoothing import with_maps_of
from pyserini_xqg.evaluate.from_store.subject import Subject
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.rows import read_docids
from pyserini_xqg.store.store import Store

MEASURE = "RR@10"
NONE = "passages only"


class Point(NamedTuple):
    """Scores at a share of passages with queries: of all topics, and by their passages' queries."""

    share: float
    system: str
    whole: float
    covered: float
    others: float


def keeping(has: Any) -> Callable[[Part], Block]:
    """What leaves the queries of the passages of these rows alone."""

    def change(part: Part) -> Block:
        mine, block = has[part.rows], part.block
        return block._replace(
            sums={code: sums * mine[:, None] for code, sums in block.sums.items()},
            counts={code: counts * mine for code, counts in block.counts.items()},
        )

    return change


def points(subject: Subject, given: argparse.Namespace) -> list[Point]:
    store, codes = subject.store, subject.languages
    row = {docid: number for number, docid in enumerate(read_docids(store))}
    gold = {
        qid: [row[docid] for docid, grade in judged.items() if grade > 0 and docid in row]
        for qid, judged in subject.collection.qrels.items()
    }
    smoothed = f"mean, mu {given.mu:g}, alpha {given.smoothed_alpha:g}"
    fusions = {
        NONE: Fusion(l2_norm=True),
        f"mean, alpha {given.alpha:g}": Fusion("mean", given.alpha, l2_norm=True),
        smoothed: Fusion("mean", given.smoothed_alpha, l2_norm=True, mu=given.mu),
    }
    found = []
    for share in given.shares:
        drawn: dict[str, list[tuple[float, ...]]] = {name: [] for name in fusions}
        for draw in range(given.draws if share < 1 else 1):
            order = np.random.default_rng([given.seed, draw]).permutation(store.passages)
            has = np.zeros(store.passages, bool)
            has[order[: round(share * store.passages)]] = True
            change = keeping(has)
            systems = {
                name: System(fusion, (routed if fusion.method else everyone)(codes), change)
                for name, fusion in fusions.items()
            }
            with_maps = with_maps_of(
                subject, systems, lambda languages: parts_of(store, languages), change
            )
            scores = with_maps.score(parts_of(store, codes), systems, [MEASURE])
            for name, of in scores.items():
                drawn[name].append(_by_coverage(subject, of[MEASURE], gold, has))
        for name, of in drawn.items():
            found.append(Point(share, name, *np.nanmean(np.array(of), axis=0)))
    return found


def _by_coverage(
    subject: Subject, scores: dict[str, float], gold: dict[str, list[int]], has: Any
) -> tuple[float, ...]:
    """The mean over languages of all topics, of those with a covered passage, and of the others."""
    means: list[list[float]] = [[], [], []]
    for qids in subject.collection.by().values():
        covered = [qid for qid in qids if has[gold[qid]].any()]
        others = [qid for qid in qids if not has[gold[qid]].any()]
        for kept, of in zip(means, (qids, covered, others), strict=True):
            if of:
                kept.append(sum(scores[qid] for qid in of) / len(of))
    return tuple(float(np.mean(kept)) if kept else np.nan for kept in means)


def table(name: str, found: Sequence[Point]) -> str:
    lines = [f"{name}: {MEASURE}", "| share | system | all topics | with queries | without |",
             "|---|---|---|---|---|"]  # fmt: skip
    for point in found:
        cells = ("" if np.isnan(value) else f"{value:.1f}" for value in point[2:])
        lines.append(f"| {100 * point.share:g} % | {point.system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(collections: dict[str, list[Point]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(collections), 4.5), layout="constrained")
    panels = figure.subplots(1, len(collections), squeeze=False)[0]
    for axes, (name, found) in zip(panels, collections.items(), strict=True):
        for system in dict.fromkeys(point.system for point in found):
            of = [point for point in found if point.system == system]
            shares = [100 * point.share for point in of]
            (line,) = axes.plot(shares, [point.whole for point in of], marker="o", label=system)
            if system != NONE:
                axes.plot(
                    shares,
                    [point.others for point in of],
                    linestyle=":",
                    color=line.get_color(),
                    label=f"{system}: topics whose passage has none",
                )
        axes.set_title(name)
        axes.set_xlabel("passages with queries, %")
        axes.set_ylabel(f"{MEASURE}, %")
        axes.set_ylim(0, 100)
        axes.grid(alpha=0.3)
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--collection", nargs=4, action="append", required=True,
        metavar=("NAME", "STORE", "TOPICS", "QRELS"), help="again for each panel",
    )  # fmt: skip
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.25, 0.5, 0.75, 1.0])
    parser.add_argument("--alpha", type=float, default=0.3, help="of the mean")
    parser.add_argument("--mu", type=float, default=8.0)
    parser.add_argument("--smoothed-alpha", type=float, default=0.5)
    parser.add_argument("--draws", type=int, default=3, help="of the passages that have queries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encoder", help="another place of the stores' model")
    parser.add_argument("--output", type=Path, help="the picture")
    given = parser.parse_args()
    collections = {}
    for name, path, topics, qrels in given.collection:
        store, judged = Store([path]), read_collection(topics, qrels)
        vectors = open_encoder(store, given.encoder).encode_queries(
            [topic.text for topic in judged.topics.values()]
        )
        subject = Subject(store, store.languages, judged, vectors, list(judged.by()))
        collections[name] = points(subject, given)
        print(table(name, collections[name]), flush=True)
    if given.output:
        draw(collections, given.output)


if __name__ == "__main__":
    main()
