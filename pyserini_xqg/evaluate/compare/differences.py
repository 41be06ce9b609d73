"""Runs beside a baseline: the difference on a set of topics, and what is to be believed of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.collection.runs import Run
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.by_query import Scores
from pyserini_xqg.evaluate.compare.significance import (
    cohens_dz,
    mcnemar_test,
    paired_t_test,
    randomisation_test,
    verdict,
    wins_ties_losses,
)
from pyserini_xqg.evaluate.trec.measures import check_answers, score_by_topic


class System(NamedTuple):
    """What is compared.

    Attributes
    ----------
    name : str
    scores : mapping of measure to mapping of topic id to float
        From 0 to 1.
    run : mapping of topic id to hits, or None
        Where there is one.
    """

    name: str
    scores: Scores
    run: Run | None = None


class Difference(NamedTuple):
    """A run less the baseline by one measure, in percent and percentage points.

    Attributes
    ----------
    run, group : str
        The run, and the topics (a language, or all of them).
    topics, clusters : int
    baseline, score : float
        Their means.
    interval : tuple of two floats
        The 95 % bootstrap interval of the difference, clusters resampled.
    p : float
        Of the randomisation test with whole clusters.
    t_test : float or None
        The p-value of the paired t-test over topics.
    mcnemar : float or None
        The p-value of McNemar's exact test, where every score is 0 or 1.
    dz : float or None
        Cohen's d_z over topics.
    counts : tuple of three ints
        Wins, ties and losses.
    """

    run: str
    group: str
    topics: int
    clusters: int
    baseline: float
    score: float
    interval: tuple[float, float]
    p: float
    t_test: float | None
    mcnemar: float | None
    dz: float | None
    counts: tuple[int, int, int]

    @property
    def difference(self) -> float:
        """In percentage points."""
        return self.score - self.baseline

    @property
    def verdict(self) -> str:
        """``better``, ``no harm``, ``harm`` and so on: see `verdict`."""
        wins, _, losses = self.counts
        return verdict(*self.interval, clusters=self.clusters, changed=wins + losses)


def system_of_run(name: str, run: Run, collection: Collection, measures: Sequence[str]) -> System:
    """A run with its scores.

    Raises
    ------
    XqgError
        If it answers none of the topics, or a measure is unknown.
    """
    check_answers(run, collection, name)
    return System(name, score_by_topic(collection.qrels, run, measures), run)


class Comparison:
    """Differences between one baseline and runs, on one collection.

    Parameters
    ----------
    collection : Collection
        Its topics are those compared; without qrels, if the systems have no runs.
    baseline : System
    draws, seed : int
        Of the bootstrap and the randomisation test.
    """

    def __init__(
        self, collection: Collection, baseline: System, *, draws: int = 10_000, seed: int = 0
    ) -> None:
        self.collection = collection
        self.baseline = baseline
        self.draws = draws
        self.seed = seed

    def on(self, system: System, measure: str, group: str, qids: Sequence[str]) -> Difference:
        """The difference on these topics, each counting the same."""
        return self._difference(system, measure, group, dict.fromkeys(qids, ""))

    def of_means(
        self, system: System, measure: str, group: str, groups: Mapping[str, Sequence[str]]
    ) -> Difference:
        """The difference of the unweighted means over groups of topics, such as languages.

        Tests and effect size that know no weights are those over all topics.
        """
        of = {qid: name for name, qids in groups.items() for qid in qids}
        return self._difference(system, measure, group, of)

    def changes(self, system: System, measure: str) -> dict[str, float]:
        """By topic id, the run's score less the baseline's."""
        before, after = self._scores(self.baseline, measure), self._scores(system, measure)
        return {qid: after[qid] - before[qid] for qid in self.collection.topics}

    def _scores(self, system: System, measure: str) -> Mapping[str, float]:
        scores = system.scores.get(measure)
        if scores is None:
            raise XqgError(
                f"{system.name}: no scores by {measure!r}; there are {', '.join(system.scores)}"
            )
        if missing := self.collection.topics.keys() - scores.keys():
            raise XqgError(
                f"{system.name}: no {measure} of {len(missing)} topic(s), e.g. {min(missing)!r}"
            )
        return scores

    def _difference(
        self, system: System, measure: str, group: str, groups: Mapping[str, str]
    ) -> Difference:
        """`groups` has the group of each topic; their means are averaged."""
        before, after = self._scores(self.baseline, measure), self._scores(system, measure)
        changes = {qid: 100 * (after[qid] - before[qid]) for qid in groups}
        clusters = [self.collection.clusters[qid] for qid in groups]
        sizes = Counter(groups.values())
        # With these the mean over topics is the mean of the groups' means.
        weights = {qid: len(groups) / len(sizes) / sizes[name] for qid, name in groups.items()}
        means = [
            100 * sum(weights[qid] * of[qid] for qid in groups) / len(groups)
            for of in (before, after)
        ]
        hits = all(of[qid] in (0.0, 1.0) for of in (before, after) for qid in groups)
        values = list(changes.values())
        return Difference(
            system.name,
            group,
            len(groups),
            len(set(clusters)),
            means[0],
            means[1],
            bootstrap_interval(
                changes,
                self.collection.clusters,
                groups=groups,
                samples=self.draws,
                seed=self.seed,
            ),
            randomisation_test(
                [weights[qid] * change for qid, change in changes.items()],
                clusters,
                draws=self.draws,
                seed=self.seed,
            ),
            paired_t_test(values),
            mcnemar_test(values) if hits else None,
            cohens_dz(values),
            wins_ties_losses(values),
        )
