"""Routed indexes without an oracle: topics routed by detection, and to wrong indexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pyserini_xqg.collection.languages import detect_language
from pyserini_xqg.evaluate.from_store.content import REAL, averaged
from pyserini_xqg.evaluate.from_store.retrieval import System, everyone, parts_of, routed
from pyserini_xqg.evaluate.from_store.subject import ByTopic, Subject, minus
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.evaluate.trec.measures import file_name
from pyserini_xqg.index.settings import Fusion

DETECTED = "routed by detection"
MISROUTED = "misrouted"
UNROUTED = "not routed"


def route_scores(
    subject: Subject, fusion: Fusion, measures: Sequence[str], *, draws: int = 5, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Scores by system, measure and topic of `DETECTED`, `MISROUTED` and `UNROUTED`.

    Parameters
    ----------
    subject : Subject
    fusion : Fusion
    measures : sequence of str
    draws, seed : int
        Of misrouting, whose scores are averaged by topic.
    """
    languages = list(subject.languages)
    system = System(fusion, routed(languages))
    found = _asked_as(subject, detected(subject)).score(
        parts_of(subject.store, languages),
        {DETECTED: system, UNROUTED: System(fusion, everyone(languages))},
        measures,
    )
    if len(languages) == 1:
        return found
    wrong = [
        _asked_as(subject, misrouted(subject, [seed, draw])).score(
            parts_of(subject.store, languages), {MISROUTED: system}, measures
        )[MISROUTED]
        for draw in range(draws)
    ]
    return found | {
        MISROUTED: {name: averaged([draw[name] for draw in wrong]) for name in measures}
    }


def detected(subject: Subject) -> dict[str, str]:
    """By topic id, the language that its text seems to be in."""
    return {qid: detect_language(topic.text) for qid, topic in subject.collection.topics.items()}


def misrouted(subject: Subject, seed: Sequence[int]) -> dict[str, str]:
    """By topic id, one of the languages folded in that is not its own, drawn at random."""
    rng = np.random.default_rng(seed)
    return {
        qid: str(rng.choice([code for code in subject.languages if code != topic.language]))
        for qid, topic in subject.collection.topics.items()
    }


def route_sections(
    subject: Subject, scores: Mapping[str, Mapping[str, ByTopic]], measures: Sequence[str]
) -> list[Section]:
    """How well routes are found, and what is lost where they are not.

    Parameters
    ----------
    subject : Subject
    scores : mapping of system to mapping of measure to scores by topic
        Of `REAL`, which is routed by the topics' own languages, and what `route_scores` gives.
    measures : sequence of str
    """
    text = [
        "Routing by the language that a topic names is an oracle where users do not name one.",
        f"{DETECTED[0].upper() + DETECTED[1:]}: by the topic's text, among "
        "all languages that are listed; one without a route is not routed. Misrouted: each topic "
        "to the index of another language, drawn at random, mean of several draws.",
    ]
    tables = [_detection_table(subject)]
    tables += [_loss_table(subject, scores, measure) for measure in measures]
    return [Section("Routing", text, tables)]


def _detection_table(subject: Subject) -> Table:
    found = detected(subject)
    rows: list[list[Cell]] = []
    for language, qids in subject.groups().items():
        route = Counter[str]()
        for qid in qids:
            named = subject.collection.topics[qid].language
            if found[qid] == named:
                route["right"] += 1
            else:
                route["route" if found[qid] in subject.languages else "none"] += 1
        rows.append(
            [language, len(qids), 100 * route["right"] / len(qids), route["route"], route["none"]]
        )
    return Table(
        "controls-detection",
        "Languages detected",
        ["topics", "n", "right, %", "wrong, to another route", "wrong, not routed"],
        rows,
        formats={"right, %": ".1f"},
    )


def _loss_table(
    subject: Subject, scores: Mapping[str, Mapping[str, ByTopic]], measure: str
) -> Table:
    groups = subject.groups()
    rows, intervals = subject.lines(
        {
            name: minus(scores[name][measure], scores[REAL][measure])
            for name in (DETECTED, MISROUTED, UNROUTED)
            if name in scores
        }
    )
    return Table(
        f"controls-routing-{file_name(measure)}",
        f"{measure}, points of 100: less routed by the language that a topic names",
        ["system", *groups],
        rows,
        formats=dict.fromkeys(groups, ".1f"),
        intervals=intervals,
        note="Under each figure: 95 % interval, differences paired.",
    )


def _asked_as(subject: Subject, languages: Mapping[str, str]) -> Subject:
    """The same topics, said to be in these languages."""
    topics = {
        qid: topic._replace(language=languages[qid])
        for qid, topic in subject.collection.topics.items()
    }
    return subject._replace(collection=subject.collection._replace(topics=topics))
