"""What each way of using the queries costs: effectiveness by bytes a passage and by latency.

On xqg-mini, alphas and the weight chosen on its dev half, scores from its test half. Latency is
that of one topic at a time, from text to hits, over the collection with every passage there
``--copies`` times (scores are from the collection as it is).

A small synthetic collection and a tiny model: which method costs what, not how good it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.collection.judged import Collection, read_collection
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.demo import CAVEAT, LANGUAGES, TINY_ENCODER, XQG_MINI
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.from_store.subject import mean, only
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.hybrid import choose_weight
from pyserini_xqg.index.build import build_index, build_routed
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.search.run_fusion import fuse_runs
from pyserini_xqg.search.searcher import open_searcher, search_topics
from pyserini_xqg.store.store import Store

MEASURE, ALPHAS = "RR@10", (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
#: Dense methods: name, formula, routed or not; None for passages only, a number for a fixed alpha.
DENSE: dict[str, tuple[str, bool, float | None]] = {
    "passages only": ("paper", False, 0.0),
    "sum, alpha 0.01 (published)": ("paper", False, 0.01),
    "sum": ("paper", False, None),
    "mean, routed": ("mean", True, None),
    "max-sim": ("max-sim", False, None),
    "max-sim, routed": ("max-sim", True, None),
}


class Row(NamedTuple):
    """A method: alpha or weight, bytes a passage, milliseconds, and RR@10 by topic in percent."""

    name: str
    chosen: float
    size: float
    latency: float
    scores: dict[str, float]


def encode(folder: Path, copies: int) -> tuple[Path, Path, Store]:
    """The collection with so many copies of each passage: corpus, queries, store."""
    from pyserini_xqg.encode.corpus import encode_corpus
    from pyserini_xqg.encoder.encoder import Encoder
    from pyserini_xqg.encoder.spec import EncoderSpec

    folder.mkdir()
    for name in ("corpus", "queries"):
        with open(folder / f"{name}.jsonl", "w", encoding="utf-8") as file:
            for line in (XQG_MINI / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                for copy in range(copies):
                    changed = {**row, "docid": f"{row['docid']}x{copy}" if copy else row["docid"]}
                    file.write(json.dumps(changed, ensure_ascii=False) + "\n")
    encoder = Encoder(EncoderSpec.resolve(str(TINY_ENCODER)), device="cpu")
    corpus, queries = folder / "corpus.jsonl", folder / "queries.jsonl"
    encode_corpus(
        corpus,
        folder / "store",
        encoder,
        queries=[queries],
        fields=("title", "text"),
        keep_queries=True,
    )
    return corpus, queries, Store([folder / "store"])


def build(store: Store, path: Path, method: str, is_routed: bool, alpha: float) -> Path:
    (build_routed if is_routed else build_index)(store, path, Fusion(method, alpha), overwrite=True)
    return path


def run_of(searcher: Any, collection: Collection) -> dict[str, list[Hit]]:
    return {
        qid: [Hit(hit.docid, float(hit.score)) for hit in hits]
        for qid, hits in search_topics(searcher, list(collection.topics.values()), hits=100)
    }


def scored(collection: Collection, run: Mapping[str, list[Hit]]) -> dict[str, float]:
    by_topic = score_by_topic(collection.qrels, run, [MEASURE])[MEASURE]
    return {qid: 100 * score for qid, score in by_topic.items()}


def pooled(collection: Collection, scores: Mapping[str, float]) -> dict[str, float]:
    return only(
        scores, [q for q, topic in collection.topics.items() if topic.language in LANGUAGES]
    )


def said(test: Collection, scores: Mapping[str, float]) -> str:
    """The mean of the seven languages, its interval, and English, as cells of a table."""
    own = pooled(test, scores)
    low, high = bootstrap_interval(own, test.clusters)
    english = mean({qid: score for qid, score in scores.items() if qid not in own})
    return f"{mean(own):.1f} | {low:.1f} - {high:.1f} | {english:.1f}"


def latency(search: Callable[[Any], object], collection: Collection) -> float:
    """The median over 100 topics in all languages, in milliseconds; each was asked before."""
    topics = list(collection.topics.values())[::7][:100]
    spent = []
    for topic in topics:
        search(topic)  # so that the index is in memory
    for topic in topics:
        began = time.perf_counter()
        search(topic)
        spent.append(1000 * (time.perf_counter() - began))
    return statistics.median(spent)


def size_of(path: Path, passages: int) -> float:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / passages


def compare_methods(work: Path, copies: int, dev: Collection, test: Collection) -> list[Row]:
    from pyserini_xqg.index.bm25 import build_bm25

    corpus, queries, store = encode(work / "once", 1)
    many_corpus, many_queries, many = encode(work / "many", copies)
    rows, runs = [], {}

    def ask(searcher: Any) -> Callable[[Any], Any]:
        return lambda topic: searcher.search(topic.text, k=10, language=topic.language)

    for name, (method, is_routed, alpha) in DENSE.items():
        if alpha is None:
            tried = {
                a: mean(pooled(dev, scored(dev, run_of(open_searcher(
                    build(store, work / "tried", method, is_routed, a), device="cpu"), dev))))
                for a in ALPHAS
            }  # fmt: skip
            alpha = max(tried, key=lambda a: (tried[a], -a))
        small = open_searcher(build(store, work / "small", method, is_routed, alpha), device="cpu")
        run, runs[name] = run_of(small, test), run_of(small, dev)
        large = build(many, work / f"large-{name}", method, is_routed, alpha)
        searcher = open_searcher(large, device="cpu")
        size, spent = size_of(large, many.passages), latency(ask(searcher), test)
        rows.append(Row(name, alpha, size, spent, scored(test, run)))
        if name == "mean, routed":
            dense, dense_run = searcher, run
    build_bm25(corpus, work / "bm25", queries=[queries])
    build_bm25(many_corpus, work / "bm25-many", queries=[many_queries])
    sparse, large_sparse = open_searcher(work / "bm25"), open_searcher(work / "bm25-many")
    sparse_run = run_of(sparse, test)
    size = size_of(work / "bm25-many", many.passages)
    rows.append(Row("BM25 with queries", 0.0, size, latency(ask(large_sparse), test),
                    scored(test, sparse_run)))  # fmt: skip
    weight, _ = choose_weight(runs["mean, routed"], run_of(sparse, dev), dev.qrels, MEASURE)

    def both(topic: Any) -> object:
        found = [
            {"": [Hit(h.docid, float(h.score)) for h in searcher.search(
                topic.text, k=100, language=topic.language)]}
            for searcher in (dense, large_sparse)
        ]  # fmt: skip
        return fuse_runs(*found, weight)

    size += next(row.size for row in rows if row.name == "mean, routed")
    fused = scored(test, fuse_runs(dense_run, sparse_run, weight))
    rows.append(Row("hybrid: mean, routed, and BM25", weight, size, latency(both, test), fused))
    return rows


def draw(rows: Sequence[Row], test: Collection, path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    sides = figure.subplots(1, 2, sharey=True)
    for axes, what, values in (
        (sides[0], "bytes a passage, all routes", [row.size for row in rows]),
        (sides[1], "ms a topic, median", [row.latency for row in rows]),
    ):
        for row, value in zip(rows, values, strict=True):
            score = mean(pooled(test, row.scores))
            axes.plot(value, score, "o", label=row.name)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(what)
    sides[0].set_ylabel(f"{MEASURE}, %, seven languages, test half")
    sides[1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(CAVEAT, fontsize="small")
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=100, help="of each passage, for latency")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    args = parser.parse_args(argv)
    dev, test = (
        read_collection(XQG_MINI / f"topics.{half}.jsonl", XQG_MINI / f"qrels.{half}.txt")
        for half in ("dev", "test")
    )
    with tempfile.TemporaryDirectory() as work:
        rows = compare_methods(Path(work), args.copies, dev, test)
    print(CAVEAT)
    print(f"| method | alpha or weight | bytes a passage | ms a topic | {MEASURE} | 95 % | en |")
    print("|---" * 7 + "|")
    for row in rows:
        print(f"| {row.name} | {row.chosen:g} | {row.size:,.0f} | {row.latency:.1f} "
              f"| {said(test, row.scores)} |")  # fmt: skip
    if args.plot:
        draw(rows, test, args.plot)


if __name__ == "__main__":
    main()
