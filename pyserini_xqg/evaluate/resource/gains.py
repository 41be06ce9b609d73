"""What a run gains by language, and what each language has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.report.sections import Cell
from pyserini_xqg.evaluate.resource.fertility import CountTokens, fertility
from pyserini_xqg.evaluate.resource.language_facts import FACTS

Scores = Mapping[str, float]
BASELINE = "baseline score, %"


class Gain(NamedTuple):
    """What a run gains over the baseline on some topics, in points of per cent.

    Attributes
    ----------
    qids : sequence of str
    baseline, run, gain : float
        Means.
    low, high : float
        95 % bootstrap interval of the gain, clusters of topics resampled.
    """

    qids: Sequence[str]
    baseline: float
    run: float
    gain: float
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """The gain in per cent of what the baseline leaves to gain; None if that is nothing."""
        return 100 * self.gain / (100 - self.baseline) if self.baseline < 100 else None

    @property
    def cells(self) -> list[Cell]:
        """As in a table: n first."""
        return [len(self.qids), self.baseline, self.run, self.gain, self.low, self.high]


class Factor(NamedTuple):
    """What the gain is set against.

    Attributes
    ----------
    title : str
    values : dict of str to float or None
        By the name of the group; None where there is no figure.
    spec : str
        How a figure is shown.
    is_size : bool
        Spans orders of magnitude.
    source : str
    """

    title: str
    values: dict[str, float | None]
    spec: str = ".2f"
    is_size: bool = False
    source: str = ""


def gain_of(collection: Collection, qids: Sequence[str], baseline: Scores, run: Scores) -> Gain:
    """The gain over these topics; scores are shares of one, by topic."""
    differences = {qid: 100 * (run[qid] - baseline[qid]) for qid in qids}
    before, after = (
        100 * sum(scores[qid] for qid in qids) / len(qids) for scores in (baseline, run)
    )
    low, high = bootstrap_interval(differences, collection.clusters)
    return Gain(qids, before, after, sum(differences.values()) / len(qids), low, high)


def factors_of(
    collection: Collection,
    gains: Mapping[str, Gain],
    count_tokens: CountTokens | None = None,
    trained: Mapping[str, int] | None = None,
) -> list[Factor]:
    """What is known of each group's languages.

    Parameters
    ----------
    collection : Collection
    gains : mapping of str to Gain
        By language or script; sizes of a script are the sums of its languages'.
    count_tokens : callable or None
        Of the encoder in use.
    trained : mapping of str to int or None
        Training questions by language.
    """
    topics = {name: [collection.topics[qid] for qid in gain.qids] for name, gain in gains.items()}
    languages = {name: {topic.language for topic in of} for name, of in topics.items()}
    factors = []
    for fact in FACTS.values():
        sizes = {name: _sum(fact.values, codes) for name, codes in languages.items()}
        factors.append(Factor(fact.title, sizes, fact.spec, True, fact.source))
    if trained is not None:
        counts = {name: float(sum(trained.get(c, 0) for c in languages[name])) for name in gains}
        factors.append(Factor("training questions", {**counts}, ",.0f", True))
    if count_tokens is not None:
        found = {name: fertility(of, count_tokens) for name, of in topics.items()}
        factors += [
            Factor("tokens a word", {name: f.words for name, f in found.items()}),
            Factor("tokens a character", {name: f.characters for name, f in found.items()}),
        ]
    baselines: dict[str, float | None] = {name: gain.baseline for name, gain in gains.items()}
    return [*factors, Factor(BASELINE, baselines)]


def _sum(values: Mapping[str, float], languages: set[str]) -> float | None:
    """Over the languages of a group; None if one of them has no figure."""
    found = [values.get(_without_region(code)) for code in languages]
    return None if None in found else float(sum(value for value in found if value is not None))


def _without_region(code: str) -> str:
    """``pt`` for ``pt-BR``; a script subtag stays: romanised text was counted apart."""
    language, _, rest = code.partition("-")
    subtag = rest.partition("-")[0]
    return code if len(subtag) == 4 and subtag.isalpha() else language
