"""Fewer queries a language than a store keeps, drawn at random: the paper's Figure 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.from_store.grid import NONE, Setting
from pyserini_xqg.evaluate.from_store.retrieval import Part, System, parts_of
from pyserini_xqg.evaluate.from_store.smoothing import smoothed, with_maps_of
from pyserini_xqg.evaluate.from_store.subject import Subject, mean, minus, only
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.store.block import Block

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from pyserini_xqg.store.store import Store


class Point(NamedTuple):
    """What a number of queries gives.

    Attributes
    ----------
    setting : Setting
    size : int
        Queries a language.
    by_draw : list of float
        The mean over topics, of each draw.
    by_topic : dict of str to float
        The mean over draws, of each topic.
    """

    setting: Setting
    size: int
    by_draw: list[float]
    by_topic: dict[str, float]


def draw_queries(size: int, draw: int, seed: int) -> Callable[[Part], Block]:
    """What keeps `size` queries a language and passage, or all where there are fewer.

    A draw puts each passage's queries in an order of chance, and `size` takes the first of them: in
    one draw fewer queries are a part of more.
    """

    def change(part: Part) -> Block:
        block, first = part.block, int(part.rows[0])
        sums: dict[str, NDArray[np.float32]] = {}
        queries: dict[str, NDArray[np.float32]] = {}
        counts: dict[str, NDArray[np.int32]] = {}
        for language, vectors in (block.queries or {}).items():
            count = block.counts[language]
            passage = np.repeat(np.arange(len(count)), count)
            rng = np.random.default_rng([seed, draw, first, *language.encode()])
            order = np.lexsort((rng.random(len(vectors)), passage))
            place = np.arange(len(vectors)) - np.repeat(np.cumsum(count) - count, count)
            kept = np.sort(order[place < size])
            sums[language] = np.zeros_like(block.passages)
            queries[language] = vectors[kept]
            np.add.at(sums[language], passage[kept], queries[language])
            counts[language] = np.minimum(count, size).astype(np.int32)
        return block._replace(sums=sums, counts=counts, queries=queries)

    return change


def check_kept(store: Store, option: str) -> None:
    """Refuse a store that keeps no single queries, which an option needs.

    Raises
    ------
    XqgError
        With what keeping them costs.
    """
    if store.kept_queries:
        return
    total = sum(store.queries.values())
    size = total * store.dimension * np.dtype(store.manifest["dtype"]).itemsize
    raise XqgError(
        f"{store.paths[0]} holds sums only, so {option} cannot be answered from it: encode "
        f"again with xqg --keep-queries, which takes {size / 1e9:.3g} GB more ({total} vectors of "
        f"{store.dimension} in {store.manifest['dtype']}), or leave {option} out"
    )


def curve(
    subject: Subject,
    settings: Mapping[Setting, System],
    measure: str,
    sizes: Sequence[int],
    *,
    draws: int = 5,
    seed: int = 0,
) -> list[Point]:
    """Scores by number of queries a language, over random subsets, in one pass over the store.

    With a mu each subset has maps of its own, and takes passes of its own.

    Parameters
    ----------
    subject : Subject
    settings : mapping of Setting to System
        Those to draw a curve for.
    measure : str
    sizes : sequence of int
        Numbers of queries; at least 1.
    draws, seed : int
        Random subsets for each number.

    Raises
    ------
    XqgError
        If the store does not keep single queries, or a number is below 1.
    """
    check_kept(subject.store, "--num-queries")
    if min(sizes) < 1:
        raise XqgError(f"--num-queries {min(sizes)}: expected at least 1; 0 is no augmentation")
    sizes = sorted(set(sizes))
    changes = {(n, d): draw_queries(n, d, seed) for n in sizes for d in range(draws)}
    by_change = {
        change: {
            (setting, *which): system._replace(change=change)
            for setting, system in settings.items()
        }
        for which, change in changes.items()
    }

    def parts(languages: Sequence[str]) -> Iterator[Part]:
        return parts_of(subject.store, languages, keep=True)

    scores: dict[tuple[Setting, int, int], dict[str, dict[str, float]]] = {}
    if smoothed(settings):  # each draw has maps of its own, so a pass of its own
        for change, systems in by_change.items():
            own = with_maps_of(subject, systems, parts, change)
            scores |= own.score(parts(subject.languages), systems, [measure])
    else:
        together = {name: of for systems in by_change.values() for name, of in systems.items()}
        scores = subject.score(parts(subject.languages), together, [measure])
    pooled = subject.groups()["mean"]
    points = []
    for setting in settings:
        for size in sizes:
            of = [only(scores[setting, size, d][measure], pooled) for d in range(draws)]
            by_topic = {qid: sum(draw[qid] for draw in of) / draws for qid in pooled}
            points.append(Point(setting, size, [mean(draw) for draw in of], by_topic))
    return points


def draws_interval(means: Sequence[float]) -> tuple[float, float] | None:
    """Student's 95 % interval of a mean over draws; None for a single draw."""
    from scipy.stats import t

    if len(means) < 2:
        return None
    half = t.ppf(0.975, len(means) - 1) * np.std(means, ddof=1) / np.sqrt(len(means))
    middle = float(np.mean(means))
    return middle - float(half), middle + float(half)


def curve_section(
    subject: Subject, points: Sequence[Point], none: Mapping[str, float], measure: str
) -> Section:
    """The curves as a table and a plot.

    Parameters
    ----------
    subject : Subject
    points : sequence of Point
    none : mapping of topic id to float
        The scores without augmentation.
    measure : str
    """
    rows: list[list[Cell]] = []
    intervals = {}
    for point in points:
        low, high = draws_interval(point.by_draw) or (None, None)
        gain = minus(point.by_topic, none)
        intervals[len(rows), 4] = subject.interval(point.by_topic)
        intervals[len(rows), 7] = subject.interval(gain)
        rows.append(
            [str(point.setting), point.size, len(point.by_draw), mean(none), mean(point.by_topic),
             low, high, mean(gain)]
        )  # fmt: skip
    columns = ["setting", "queries", "draws", str(NONE), measure, "draws low", "draws high", "gain"]
    return Section(
        "Number of queries a language (dev topics)",
        [
            "Each draw takes that many queries of each passage and language at random, or all "
            "where there are fewer. Alpha was chosen on these topics with all queries.",
            "In 'paper', a sum, fewer queries also weigh less; in 'mean' their weight stays.",
        ],
        [
            Table(
                "sweep-num-queries",
                f"DEV: {measure}, %, by number of queries",
                columns,
                rows,
                formats=dict.fromkeys(columns, ".2f"),
                intervals=intervals,
                note="Under a figure: its 95 % interval over topics, clusters resampled, of the "
                "mean over draws. Draws low, high: Student's 95 % interval over draws.",
            )
        ],
        [
            Plot(
                "sweep-num-queries",
                f"DEV: {measure}, %, by number of queries a language; bars: 95 % over draws",
                lambda axes: _draw(axes, points, mean(none), measure),
            )
        ],
    )


def _draw(axes: Axes, points: Sequence[Point], none: float, measure: str) -> None:
    for setting in dict.fromkeys(point.setting for point in points):
        of = [point for point in points if point.setting == setting]
        ends = [draws_interval(point.by_draw) for point in of]
        axes.errorbar(
            [0, *(point.size for point in of)],
            [none, *(mean(point.by_topic) for point in of)],
            yerr=[0, *((high - low) / 2 for low, high in (end or (0, 0) for end in ends))],
            marker="o",
            capsize=3,
            label=str(setting),
        )
    axes.set_xticks(sorted({0, *(point.size for point in points)}))
    axes.set_xlabel("queries a language (0: no augmentation)")
    axes.set_ylabel(f"{measure}, %, dev")
    axes.legend()
