"""Take one language's generated queries away and see what it costs that language: the causal part.

For each language and each part the passages that keep their queries in it are drawn anew; all other
languages keep theirs. Topics are searched routed: by the mean of their own language's queries, and
smoothed by the map from passages to queries, which a language without queries has of all others.
Reads one store (encode ... xqg --keep-queries is not needed), and encodes the topics once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.collection.judged import Collection, read_collection
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.evaluate.from_store.retrieval import open_encoder
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.report.sections import Plot, Section, Table
from pyserini_xqg.evaluate.resource.gains import Gain, gain_of
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.fusion import fuse
from pyserini_xqg.index.folds import folds_of
from pyserini_xqg.index.map_sums import MapSums
from pyserini_xqg.index.maps import fit_maps
from pyserini_xqg.store.store import Store

SYSTEMS = ("mean", "smoothed")
_HITS = 100


class Whole(NamedTuple):
    """A small store in memory."""

    docids: list[str]
    passages: Any
    sums: Mapping[str, Any]
    counts: Mapping[str, Any]


class Line(NamedTuple):
    """A language, the part of its passages that kept their queries, and what was gained."""

    language: str
    part: float
    system: str
    gain: Gain


def read_whole(store: Store) -> Whole:
    blocks = list(store.blocks())
    return Whole(
        [docid for block in blocks for docid in block.docids],
        np.concatenate([block.passages for block in blocks]),
        {c: np.concatenate([block.sums[c] for block in blocks]) for c in store.languages},
        {c: np.concatenate([block.counts[c] for block in blocks]) for c in store.languages},
    )


def cut(whole: Whole, language: str, part: float, seed: int) -> Whole:
    """The same with queries in the language for a part of the passages only."""
    rows = len(whole.docids)
    kept = np.zeros(rows, bool)
    rng = np.random.default_rng([seed, sum(language.encode())])
    kept[rng.permutation(rows)[: round(part * rows)]] = True
    return whole._replace(
        sums={**whole.sums, language: np.where(kept[:, None], whole.sums[language], 0)},
        counts={**whole.counts, language: np.where(kept, whole.counts[language], 0)},
    )


def vectors(whole: Whole, language: str, system: str, settings: argparse.Namespace) -> Any:
    """What topics in the language are searched among."""
    of = {language: whole.sums[language]}, {language: whole.counts[language]}
    if system == "mean":
        return fuse(whole.passages, *of, method="mean", alpha=settings.alpha, l2_norm=True)
    # The other languages' sums are one: what is asked for are the maps of this one and of all.
    folds = folds_of(whole.docids)
    own, rest = (MapSums(whole.passages.shape[1]) for _ in range(2))
    for code in whole.sums:
        into = own if code == language else rest
        into.add(whole.passages, whole.sums[code], whole.counts[code], folds)
    maps = fit_maps([language, "others"], {language: own, "others": rest}.__getitem__)
    predicted = maps.predict(language, whole.passages, whole.docids, whole.counts[language] > 0)
    return fuse(
        whole.passages, *of, method="mean", alpha=settings.smoothed_alpha, mu=settings.mu,
        predictions={language: predicted}, l2_norm=True,
    )  # fmt: skip


def scores(collection: Collection, docids: Sequence[str], found: Any, topics: Any) -> Any:
    """RR@10 by topic."""
    points = topics @ found.T
    best = np.argsort(-points, axis=1, kind="stable")[:, :_HITS]
    run = {
        qid: [Hit(docids[column], float(points[row, column])) for column in best[row]]
        for row, qid in enumerate(collection.topics)
    }
    return score_by_topic(collection.qrels, run, ["RR@10"])["RR@10"]


def table(lines: Sequence[Line], parts: Sequence[float]) -> Table:
    """A row a language: the baseline, and what each part and system gains over it."""
    heads = [f"{system}, {100 * part:g} %" for part in parts for system in SYSTEMS]
    rows: list[list[Any]] = []
    intervals = {}
    for row, code in enumerate(dict.fromkeys(line.language for line in lines)):
        cells: list[Any] = []
        for part in parts:
            for system in SYSTEMS:
                of = [each.gain for each in lines if each[:3] == (code, part, system)]
                intervals[row, len(cells) + 3] = tuple(
                    np.mean([(gain.low, gain.high) for gain in of], axis=0).tolist()
                )
                cells.append(float(np.mean([gain.gain for gain in of])))
        rows.append([code, len(of[0].qids), of[0].baseline, *cells])
    mean = [
        "mean",
        None,
        *(float(np.mean([row[c] for row in rows])) for c in range(2, 3 + len(heads))),
    ]
    return Table(
        "cut-queries",
        "Gain in RR@10 over passages only, by share of the passages with queries in the language",
        ["language", "n", "passages only", *heads],
        [*rows, mean],
        dict.fromkeys(["passages only", *heads], ".1f"),
        intervals=intervals,
        note="95 % bootstrap intervals over passages, averaged over draws where there are several.",
    )  # fmt: skip


def plot(lines: Sequence[Line], parts: Sequence[float]) -> Plot:
    def draw(axes: Any) -> None:
        axes.axhline(0, color="#999999", linewidth=0.8)
        for number, part in enumerate(parts):
            for system, marker in zip(SYSTEMS, "ox", strict=True):
                of = [line for line in lines if line.part == part and line.system == system]
                codes = dict.fromkeys(line.language for line in of)
                points = [
                    (
                        next(line.gain.baseline for line in of if line.language == code),
                        np.mean([line.gain.gain for line in of if line.language == code]),
                    )
                    for code in codes
                ]
                label = f"{100 * part:g} % with queries, {system}"
                axes.plot(*zip(*points, strict=True), marker, color=f"C{number}", label=label)
        axes.set_xlabel("passages only, RR@10, %")
        axes.set_ylabel("gain, points")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))

    return Plot("cut-queries", "Gain by what is left of a language's queries", draw, (9, 4.5))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--embeddings", required=True, metavar="STORE")
    add("--topics", required=True)
    add("--qrels", required=True)
    add("--parts", nargs="+", type=float, default=[0, 0.1, 1], help="of the passages (0 0.1 1)")
    add("--alpha", type=float, default=0.3, help="of the mean (0.3)")
    add("--smoothed-alpha", type=float, default=0.4, help="of the smoothed mean (0.4)")
    add("--mu", type=float, default=2, help="(2)")
    add("--draws", type=int, default=3, help="of the passages that keep their queries (3)")
    add("--device")
    add_output_options(parser)
    args = parser.parse_args(argv)
    store = Store([args.embeddings])
    collection = read_collection(args.topics, args.qrels)
    whole = read_whole(store)
    encoder = open_encoder(store, device=args.device)
    lines: list[Line] = []
    for code, qids in collection.by().items():
        print(code, end=" ", flush=True)
        if code not in store.languages:
            raise XqgError(f"{args.embeddings} holds no queries in {code}")
        asked = collection.only(qids)
        topics = encoder.encode_queries([topic.text for topic in asked.topics.values()])
        plain = scores(asked, whole.docids, whole.passages, topics)
        for part in args.parts:
            for seed in range(args.draws if 0 < part < 1 else 1):
                left = cut(whole, code, part, seed)
                for system in SYSTEMS:
                    found = vectors(left, code, system, args)
                    by_topic = scores(asked, whole.docids, found, topics)
                    gain = gain_of(asked, qids, plain, by_topic)
                    lines.append(Line(code, part, system, gain))
    text = [
        f"Routed; mean with alpha {args.alpha:g}, smoothed with alpha {args.smoothed_alpha:g} and "
        f"mu {args.mu:g}, vectors scaled to length 1. At 0 % the mean is passages only, and the "
        "smoothed mean rests on the map of all other languages."
    ]
    section = Section(
        "Queries cut", text, [table(lines, args.parts)], [plot(lines, args.parts)]
    )  # fmt: skip
    publish([section], args.output, "What a language's queries are worth", overwrite=args.overwrite)


if __name__ == "__main__":
    run_command(main)
