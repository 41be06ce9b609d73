"""The systems that are compared, and what each gives every topic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.advise.held_out import Asked, ByTopic
from pyserini_xqg.collection.runs import Hit, Run
from pyserini_xqg.evaluate.from_store.retrieval import System, everyone, parts_of
from pyserini_xqg.evaluate.from_store.subject import Subject
from pyserini_xqg.evaluate.trec.measures import score_by_topic
from pyserini_xqg.hybrid import WEIGHTS
from pyserini_xqg.index.bm25_text import open_bm25
from pyserini_xqg.index.choice import MEASURE
from pyserini_xqg.index.dense import open_dense
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.search.joining import fuse_runs
from pyserini_xqg.store.store import Store

PLAIN, SUM, OURS, BM25, HYBRID = (
    "passages only", "the published sum", "smoothed and routed", "BM25", "hybrid",
)  # fmt: skip
#: Tried for the published sum; 0.01 is the paper's.
SUM_ALPHAS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
_HITS = 1000


class Seen(NamedTuple):
    """What all systems gave some topics.

    Attributes
    ----------
    asked : list of Asked
        One for each store that was asked.
    plain : dict of str to float
        By topic.
    sums : dict of float to dict
        Of the published sum, by alpha and topic.
    dense, sparse : dict of str to list of Hit
        Runs of ours and of BM25.
    """

    asked: list[Asked]
    plain: dict[str, float]
    sums: dict[float, dict[str, float]]
    dense: dict[str, list[Hit]]
    sparse: dict[str, list[Hit]]

    def plus(self, other: Seen) -> Seen:
        """Those of both; no topic is in both."""
        return Seen(
            self.asked + other.asked,
            self.plain | other.plain,
            {alpha: of | other.sums[alpha] for alpha, of in self.sums.items()},
            self.dense | other.dense,
            self.sparse | other.sparse,
        )

    @property
    def qrels(self) -> dict[str, dict[str, int]]:
        return {qid: dict(of) for each in self.asked for qid, of in each.collection.qrels.items()}

    @property
    def languages(self) -> dict[str, str]:
        """By topic."""
        return {
            qid: topic.language
            for each in self.asked
            for qid, topic in each.collection.topics.items()
        }

    @property
    def clusters(self) -> dict[str, str]:
        return {qid: of for each in self.asked for qid, of in each.collection.clusters.items()}

    @property
    def with_queries(self) -> dict[str, bool]:
        return {qid: has for each in self.asked for qid, has in each.with_queries.items()}

    def score(self, run: Run) -> dict[str, float]:
        """What a run gives every topic, in percent."""
        scores = score_by_topic(self.qrels, run, [MEASURE])[MEASURE]
        return {qid: 100 * score for qid, score in scores.items()}

    def hybrid(self, weight: float) -> dict[str, float]:
        return self.score(fuse_runs(self.dense, self.sparse, weight))


def look(store: Store, dense: Path, bm25: Path, asked: Asked) -> Seen:
    """Ask a store, and a dense and a BM25 index of it."""
    topics = list(asked.collection.topics.values())
    languages = [topic.language for topic in topics]
    vectors, texts = open_dense(dense), open_bm25(bm25)
    found = [
        vectors.search(asked.vectors, _HITS, languages=languages),
        texts.search([topic.text for topic in topics], _HITS, languages=languages),
    ]
    vectors.close()
    texts.close()
    runs = [
        {
            topic.qid: [Hit(docid, score) for docid, score in hits]
            for topic, hits in zip(topics, of, strict=True)
        }
        for of in found
    ]
    subject = Subject(
        store, store.languages, asked.collection, asked.vectors, list(asked.collection.by())
    )
    systems = {0.0: System(Fusion(), everyone(store.languages))}
    for alpha in SUM_ALPHAS if store.languages else ():
        systems[alpha] = System(Fusion("paper", alpha), everyone(store.languages))
    parts = parts_of(store, store.languages)
    scores = {name: of[MEASURE] for name, of in subject.score(parts, systems, [MEASURE]).items()}
    return Seen([asked], scores.pop(0.0), scores, *runs)


def value(scores: ByTopic, share: Mapping[str, float], languages: Mapping[str, str]) -> float:
    """The mean over languages of the mean over topics, each by its share."""
    return mean_of(shared(scores, share), languages)


def shared(scores: ByTopic, share: Mapping[str, float]) -> dict[str, float]:
    """Scores times their topic's share, which is 1 on average over a language."""
    return {qid: score * share[qid] for qid, score in scores.items()}


def mean_of(scores: ByTopic, languages: Mapping[str, str]) -> float:
    by: dict[str, list[float]] = {}
    for qid, score in scores.items():
        by.setdefault(languages[qid], []).append(score)
    return sum(sum(of) / len(of) for of in by.values()) / max(len(by), 1)


def shares(seen: Seen, coverage: Mapping[str, float] | None) -> dict[str, float]:
    """What each topic counts: 1, or as its passage's group has a share of the collection.

    Parameters
    ----------
    seen : Seen
    coverage : mapping of language to float, or None
        The share of passages with queries, where topics were drawn from them alone.
    """
    languages, having = seen.languages, seen.with_queries
    if coverage is None:
        return dict.fromkeys(languages, 1.0)
    sizes: dict[tuple[str, bool], int] = {}
    for qid, code in languages.items():
        sizes[code, having[qid]] = sizes.get((code, having[qid]), 0) + 1
    found = {}
    for qid, code in languages.items():
        of = {has: sizes.get((code, has), 0) for has in (True, False)}
        part = {True: coverage[code], False: 1 - coverage[code]}
        # A group that nobody asks for leaves its share to the other.
        total = sum(part[has] for has in of if of[has]) or 1.0
        mine = part[having[qid]] / total if min(of.values()) else 1.0
        found[qid] = mine * (of[True] + of[False]) / of[having[qid]]
    return found


def choose_sum(seen: Seen, share: Mapping[str, float]) -> float:
    """The published sum's best alpha."""
    means = {alpha: value(of, share, seen.languages) for alpha, of in seen.sums.items()}
    return max(means, key=lambda alpha: means[alpha])


def choose_weight(seen: Seen, share: Mapping[str, float]) -> float:
    """The dense side's best weight that takes no group below passages only; 1 if all do."""
    languages, having = seen.languages, seen.with_queries
    best, chosen = -1.0, 1.0
    for weight in WEIGHTS:
        scores = seen.hybrid(weight)
        harmed = False
        for group in (True, False):
            # A group that counts for nothing cannot be harmed.
            mine = [qid for qid, has in having.items() if has == group and share[qid] > 0]
            now, then = (sum(of[qid] for qid in mine) for of in (scores, seen.plain))
            harmed |= now < then
        mean = value(scores, share, languages)
        if not harmed and mean > best:
            best, chosen = mean, weight
    return chosen
