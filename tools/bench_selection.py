"""Fewer queries, or not all alike, before they are summed: does choosing or weighing them help?

Each way is tried with every setting of it and every alpha, by the mean of the queries it leaves;
the best on dev topics is reported on test topics, beside all queries alike.

Without ``--embeddings`` on xqg-mini, three queries a passage and language, with scores made on the
spot: the dot products that ``filter --encoder`` writes, and the likelihoods of `score_queries.py`,
which takes the extra ``train``. That is a small synthetic collection with a tiny model: a check,
not evidence about retrieval.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from bench_methods import ALPHAS, MEASURE, encode
from score_queries import FileScores, score_by_tiny_generators

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.demo import LANGUAGES, TINY_ENCODER, XQG_MINI
from pyserini_xqg.evaluate.from_store.retrieval import Part, System, everyone, parts_of, routed
from pyserini_xqg.evaluate.from_store.subject import (
    Subject,
    add_subject_options,
    mean,
    minus,
    only,
    subjects_from,
)
from pyserini_xqg.evaluate.from_store.sweep import add_split_options, split
from pyserini_xqg.evaluate.report.publish import publish
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.fusion import normalise
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.block import Block
from pyserini_xqg.store.store import Store

#: What a part's sums become; None leaves them.
Change = Callable[[Part], Block] | None
#: From a passage's vector, its queries' (of length 1) and their scores, to the queries' weights.
Weights = Callable[[Any, Any, Any], Any]
ALIKE = "all queries alike"
#: Of a softmax, in the standard deviations of the scores within a passage and language.
TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)


def keep_mmr(size: int, trade: float) -> Change:
    """`size` queries of each passage and language by maximal marginal relevance to the passage.

    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking", SIGIR 1998; `trade` is
    their lambda: 1 looks at relevance alone, 0 at diversity alone.
    """

    def choose(passage: Any, queries: Any, _: Any) -> Any:
        near, alike, kept = queries @ passage, queries @ queries.T, []
        while len(kept) < min(size, len(queries)):
            gain = trade * near - (1 - trade) * (alike[:, kept].max(axis=1) if kept else 0)
            gain[kept] = -np.inf
            kept.append(int(gain.argmax()))
        return np.isin(np.arange(len(queries)), kept).astype(np.float32)

    return weighted(choose)


def keep_central(size: int) -> Change:
    """Of each passage and language, the query nearest to each of `size` k-means centres."""

    def choose(_: Any, queries: Any, __: Any) -> Any:
        import faiss

        if len(queries) <= size:
            return np.ones(len(queries), np.float32)
        kmeans = faiss.Kmeans(queries.shape[1], size, seed=1, min_points_per_centroid=1)
        kmeans.train(np.ascontiguousarray(queries))
        kept = (queries @ normalise(kmeans.centroids).T).argmax(axis=0)
        return np.isin(np.arange(len(queries)), kept).astype(np.float32)

    return weighted(choose)


def weigh_by_relevance(temperature: float) -> Change:
    """Each query by the softmax of its cosine with its passage."""
    return weighted(lambda passage, queries, _: softmax(queries @ passage, temperature))


def weigh_by_scores(scores: FileScores, temperature: float) -> Change:
    """Each query by the softmax of the file's score, in units of the scores' own spread."""
    unit = temperature * scores.spread
    return weighted(lambda _, __, of: softmax(of, unit), scores)


def softmax(scores: Any, temperature: float) -> Any:
    """Weights of mean 1."""
    weights = np.exp((scores - scores.max()) / temperature)
    return (len(weights) * weights / weights.sum()).astype(np.float32)


def weighted(choose: Weights, scores: FileScores | None = None) -> Change:
    """Sums of the queries by weights."""

    def change(part: Part) -> Block:
        block = part.block
        passages, sums, counts = normalise(block.passages), {}, {}
        for code, vectors in (block.queries or {}).items():
            ends = np.cumsum(block.counts[code])
            unit = normalise(vectors)
            sums[code] = np.zeros_like(block.passages)
            counts[code] = block.counts[code].astype(np.float32)
            for row, (end, count) in enumerate(zip(ends, block.counts[code], strict=True)):
                if count:
                    of = scores and scores.of(part)[code][row]
                    weights = choose(passages[row], unit[end - count : end], of)
                    sums[code][row] = weights @ vectors[end - count : end]
                    counts[code][row] = weights.sum()
        return block._replace(sums=sums, counts=counts, queries=None)

    return change


def ways(sizes: Sequence[int], files: Mapping[str, FileScores]) -> dict[str, dict[str, Change]]:
    """By way, its settings by what they are called."""
    return {
        ALIKE: {"": None},
        "kept by MMR": {
            f"{size}, lambda {trade:g}": keep_mmr(size, trade)
            for size in sizes
            for trade in (0, 0.5, 1)
        },
        "kept by k-means": {f"{size}": keep_central(size) for size in sizes},
        "weighted by relevance": {
            f"temperature {t:g}": weigh_by_relevance(t) for t in (0.2, 0.1, 0.05)
        },
        **{
            f"weighted by scores of {name}": {
                f"temperature {t:g} sd": weigh_by_scores(scores, t) for t in TEMPERATURES
            }
            for name, scores in files.items()
        },
    }


def compare(
    dev: Subject, test: Subject, tried: Mapping[str, Mapping[str, Change]], measure: str
) -> Section:
    """Each way at its best setting and alpha on dev, on test beside all queries alike."""
    groups = {"routed": routed(dev.languages), "all": everyone(dev.languages)}
    systems = {
        (where, way, setting, alpha): System(
            Fusion("mean", alpha, centre=dev.centres is not None), members, change
        )
        for where, members in groups.items()
        for way, settings in tried.items()
        for setting, change in settings.items()
        for alpha in ALPHAS
    }
    parts = partial(parts_of, dev.store, dev.languages, keep=True)
    on_dev = dev.score(parts(), systems, [measure])
    asked = dev.groups()["mean"]
    means = {name: mean(only(of[measure], asked)) for name, of in on_dev.items()}
    best = {
        (where, way): max(
            (name for name in systems if name[:2] == (where, way)),
            key=lambda name: (means[name], -name[3]),
        )
        for where in groups
        for way in tried
    }
    on_test = test.score(parts(), {name: systems[name] for name in best.values()}, [measure])
    asked = test.groups()["mean"]
    rows: list[list[Cell]] = []
    intervals = {}
    for (where, way), name in best.items():
        scores = only(on_test[name][measure], asked)
        change = minus(scores, on_test[best[where, ALIKE]][measure])
        intervals[len(rows), 5] = test.interval(scores)
        intervals[len(rows), 6] = test.interval(change)
        rows.append([where, way, name[2], name[3], means[name], mean(scores), mean(change)])
    columns = ["languages", "queries", "setting", "alpha", f"{measure}, dev", f"{measure}, test",
               "test - alike"]  # fmt: skip
    return Section(
        "Choosing and weighing queries",
        [f"{len(systems)} settings were tried on {len(dev.vectors)} dev topics."],
        [
            Table(
                "selection",
                f"{measure}, %",
                columns,
                rows,
                formats={"alpha": "g", **dict.fromkeys(columns[4:], ".1f")},
                intervals=intervals,
                note="Setting and alpha are those that are best on dev topics, whose figure is too "
                "good for that. Under figures from test topics: 95 % interval, bootstrap over "
                "clusters of topics, differences paired. A temperature in sd is in standard "
                "deviations of the scores within a passage and language.",
            )
        ],
    )


def mini(work: Path) -> list[str]:
    """The options for xqg-mini, with two files of scores."""
    from pyserini_xqg.filter.__main__ import main as filter_queries

    corpus, queries, store = encode(work / "once", 1)
    words = ["--corpus", str(corpus), "--queries", str(queries), "--encoder", str(TINY_ENCODER),
             "--fields", "title", "text", "--output", str(work / "dot-product")]  # fmt: skip
    with redirect_stdout(StringIO()):
        filter_queries([*words, "--device", "cpu"])
    (work / "generators").mkdir()
    score_by_tiny_generators(corpus, queries, work / "likelihood", work / "generators")
    files = {
        "--topics": "topics.test.jsonl", "--qrels": "qrels.test.txt",
        "--dev-topics": "topics.dev.jsonl", "--dev-qrels": "qrels.dev.txt",
    }  # fmt: skip
    return [
        *("--embeddings", str(store.paths[0]), "--corpus", str(corpus), "--device", "cpu"),
        *("--queries", str(work / "dot-product"), str(work / "likelihood")),
        *("--topic-languages", *LANGUAGES),
        *(word for option, name in files.items() for word in (option, str(XQG_MINI / name))),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_subject_options(parser)
    add_split_options(parser)
    parser.add_argument("--corpus", help="of the store, for --queries")
    parser.add_argument(
        "--queries", nargs="+", default=[], help="those of the store with 'scores', each file a way"
    )
    parser.add_argument("--keep", nargs="+", type=int, default=[1, 2], help="queries to keep (1 2)")
    parser.add_argument("--measure", default=MEASURE, help=f"as ir_measures spells it ({MEASURE})")
    argv = sys.argv[1:] if argv is None else argv
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if not {"--embeddings", "-h", "--help"} & {*argv}:
            argv = [*mini(work), *argv]
        args = parser.parse_args(argv)
        if args.queries and not args.corpus:
            raise XqgError("--queries: give the --corpus of the store, too")
        store = Store(args.embeddings)
        dev, test = subjects_from(args, store, split(args))
        files = {
            Path(path).name: FileScores(args.corpus, path, work / f"scores-{number}")
            for number, path in enumerate(args.queries)
        }
        section = compare(dev, test, ways(args.keep, files), args.measure)
    publish([section], args.output, "Choosing queries", overwrite=args.overwrite)


if __name__ == "__main__":
    run_command(main)
