"""The tables and plots of ``evaluate controls``: what of a gain is content, what a mere shift.

A shift is one towards the queries' languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyserini_xqg.evaluate.from_store.subject import ByTopic, Subject, mean, minus, only
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.evaluate.trec.measures import file_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes


NONE = "no augmentation"
REAL = "real queries"
NEIGHBOUR = "the neighbour's queries"
SHUFFLED = "shuffled queries"
OTHERS = "other languages only"

DEFINITIONS = [
    "Gain: real queries minus no augmentation. It is the sum of content (real minus shuffled: what "
    "depends on whose queries a passage has) and shift (shuffled minus none: what any passage's "
    "queries in these languages do, the harm of wrong ones included). Own passage: real minus the "
    "neighbour's, the part of content that a neighbour's queries do not bring.",
    "A share is content's or shift's part of the gain. Where shuffled queries do harm, content "
    "makes up for it and its share is above 100 %. No share is given unless the gain's 95 % "
    "interval lies above 0.",
    "Intervals: 95 %, bootstrap over clusters of topics, differences paired. They do not cover "
    "another sample of generated queries or another training of the encoder, and are too narrow "
    "for fewer than some 20 clusters.",
]


class Parts(NamedTuple):
    """A gain taken apart, by topic: ``gain = content + shift``."""

    gain: dict[str, float]
    content: dict[str, float]
    shift: dict[str, float]
    own: dict[str, float]


def without(code: str) -> str:
    """The name of the control that leaves a language out."""
    return f"without {code}"


def averaged(draws: Sequence[ByTopic]) -> dict[str, float]:
    """The mean over draws, of each topic."""
    return {qid: sum(draw[qid] for draw in draws) / len(draws) for qid in draws[0]}


def take_apart(scores: Mapping[str, ByTopic]) -> Parts:
    """From the scores of `NONE`, `REAL`, `NEIGHBOUR` and `SHUFFLED`.

    Parameters
    ----------
    scores : mapping of system to scores by topic
    """
    return Parts(
        minus(scores[REAL], scores[NONE]),
        minus(scores[REAL], scores[SHUFFLED]),
        minus(scores[SHUFFLED], scores[NONE]),
        minus(scores[REAL], scores[NEIGHBOUR]),
    )


def share(part: float, gain: float, low: float) -> float | None:
    """The percentage of a gain that a part is.

    None where `low`, the lower end of the gain's interval, is not above 0.
    """
    return 100 * part / gain if low > 0 else None


def measure_section(
    subject: Subject,
    scores: Mapping[str, ByTopic],
    shuffled: Sequence[ByTopic],
    measure: str,
) -> Section:
    """One measure: every system, the gain taken apart, and each language left out.

    Parameters
    ----------
    subject : Subject
    scores : mapping of system to scores by topic
        All but `SHUFFLED`.
    shuffled : sequence of scores by topic
        Of its draws.
    measure : str
    """
    name = file_name(measure)
    scores = {**scores, SHUFFLED: averaged(shuffled)}
    parts = take_apart(scores)
    pooled = subject.groups()["mean"]
    of_draws = [mean(only(draw, pooled)) for draw in shuffled]
    tables = [
        subject.table(
            f"controls-{name}",
            f"{measure}, %",
            scores,
            counted=True,
            interval_format="{:.0f}-{:.0f}",
            note=f"mean: over topics in {', '.join(subject.pooled)}. Under each figure: 95 % "
            "interval.",
        ),
        _parts_table(subject, scores, parts, f"controls-parts-{name}", measure),
    ]
    left_out = [code for code in subject.languages if without(code) in scores]
    if left_out:
        tables.append(_left_out_table(subject, scores, left_out, name, measure))
    groups = subject.groups()
    return Section(
        f"Content or language: {measure}",
        [
            _sentence(subject, parts, measure),
            f"Shuffled, by draw: {min(of_draws):.1f} to {max(of_draws):.1f}.",
        ],
        tables,
        [
            Plot(
                f"controls-{name}",
                f"{measure}, points of 100: the gain's content and its shift, with 95 % intervals",
                lambda axes: _draw(axes, subject, groups, parts),
            )
        ],
    )


def _parts_table(
    subject: Subject, scores: Mapping[str, ByTopic], parts: Parts, name: str, measure: str
) -> Table:
    rows: list[list[Cell]] = []
    intervals = {}
    for group, qids in subject.groups().items():
        of = {field: only(values, qids) for field, values in parts._asdict().items()}
        for column, values in enumerate(of.values(), 4):
            intervals[len(rows), column] = subject.interval(values)
        gain, low = mean(of["gain"]), intervals[len(rows), 4][0]
        rows.append(
            [
                group,
                len(qids),
                *(mean(only(scores[system], qids)) for system in (NONE, REAL)),
                *(mean(values) for values in of.values()),
                *(share(mean(of[part]), gain, low) for part in ("content", "shift")),
            ]
        )
    columns = ["topics", "n", NONE, REAL, "gain", "content", "shift", "own passage",
               "content, % of gain", "shift, % of gain"]  # fmt: skip
    return Table(
        name,
        f"{measure}, points of 100: what the gain is made of",
        columns,
        rows,
        formats={**dict.fromkeys(columns, ".1f"), **dict.fromkeys(columns[-2:], ".0f")},
        intervals=intervals,
        note="No share where the gain's interval is not above 0.",
    )


def _left_out_table(
    subject: Subject, scores: Mapping[str, ByTopic], codes: Sequence[str], name: str, measure: str
) -> Table:
    by_language = subject.collection.by()
    rows: list[list[Cell]] = []
    intervals = {}
    for code in codes:
        lost = minus(scores[REAL], scores[without(code)])
        elsewhere = [q for asked, qids in by_language.items() if asked != code for q in qids]
        row: list[Cell] = [code]
        for qids in (by_language.get(code, []), elsewhere):
            of = only(lost, qids)
            if of:
                intervals[len(rows), len(row) + 1] = subject.interval(of)
            row += [len(of), mean(of) if of else None]
        rows.append(row)
    columns = ["left out", "its topics", "lost there", "other topics", "lost elsewhere"]
    return Table(
        f"controls-left-out-{name}",
        f"{measure}, points of 100: what is lost with a language left out",
        columns,
        rows,
        formats=dict.fromkeys(columns, ".1f"),
        intervals=intervals,
        note="Real queries minus the same without the language; negative: better without it.",
    )


def _sentence(subject: Subject, parts: Parts, measure: str) -> str:
    qids = subject.groups()["mean"]
    gain, content, shift, _ = (only(values, qids) for values in parts)
    low, high = subject.interval(gain)
    said = f"{measure}, mean: gain {mean(gain):+.1f} points [{low:.1f}, {high:.1f}]"
    for name, part in (("content", content), ("shift", shift)):
        of_gain = share(mean(part), mean(gain), low)
        said += f"; {name} {mean(part):+.1f}" + (
            "" if of_gain is None else f", {of_gain:.0f} % of it"
        )
    return said + ("." if low > 0 else "; no share, as the gain's interval is not above 0.")


def _draw(axes: Axes, subject: Subject, groups: Mapping[str, Sequence[str]], parts: Parts) -> None:
    for number, name in enumerate(("content", "shift")):
        of = [only(getattr(parts, name), qids) for qids in groups.values()]
        ends = [subject.interval(values) for values in of]
        heights = [mean(values) for values in of]
        axes.bar(
            [place + 0.4 * number - 0.2 for place in range(len(of))],
            heights,
            width=0.4,
            label=name,
            # Rounding may leave a hair below 0, which matplotlib refuses.
            yerr=[
                [max(0, height - low) for height, (low, _) in zip(heights, ends, strict=True)],
                [max(0, high - height) for height, (_, high) in zip(heights, ends, strict=True)],
            ],
            capsize=2,
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_ylabel("points of 100")
    axes.legend()
