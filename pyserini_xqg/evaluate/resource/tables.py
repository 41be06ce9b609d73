"""The tables and plots of ``evaluate resource``: the gain by language, beside its resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.report.sections import Cell, Plot, Section, Table
from pyserini_xqg.evaluate.resource.fertility import CountTokens, fertility
from pyserini_xqg.evaluate.resource.language_facts import FACTS, NOT_IN_MBERT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scores = Mapping[str, float]


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


_GAIN = ["n", "baseline", "run", "gain", "low", "high"]
_SPECS = dict.fromkeys(_GAIN[1:], ".2f")


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
    return [*factors, Factor("baseline score, %", baselines)]


def resource_section(
    gains: Mapping[str, Gain], everything: Gain, factors: Sequence[Factor], measure: str, by: str
) -> Section:
    """The gain against each factor: a table, rank correlations, a plot each."""
    table = Table(
        "resource-gain",
        f"Gain in {measure} by {by}, points of per cent",
        [by, *_GAIN, *(factor.title for factor in factors)],
        [
            *(
                [name, *gain.cells, *(factor.values[name] for factor in factors)]
                for name, gain in gains.items()
            ),
            ["all", *everything.cells, *(None for _ in factors)],
        ],
        {**_SPECS, **{factor.title: factor.spec for factor in factors}},
        note=" ".join(
            [
                "Low and high: 95 % bootstrap interval of the gain, clusters of topics resampled.",
                *(f"{factor.title}: {factor.source}." for factor in factors if factor.source),
                f"Of the languages listed, {' '.join(sorted(NOT_IN_MBERT))} were not in "
                "multilingual BERT's pre-training.",
                *_about_tokens(factors),
            ]
        ),
    )
    correlations = Table(
        "resource-correlation",
        "Rank correlation of the gain with each",
        ["", f"n ({by}s)", "Spearman's rho"],
        [[factor.title, *_spearman(gains, factor)] for factor in factors],
        {"Spearman's rho": ".2f"},
        note=f"Descriptive only: {len(gains)} {by}s are few and were not drawn at random, they "
        "share passages and a retriever, and these factors go together; no test is made of it. The "
        "gain contains minus the baseline, so that chance alone makes its correlation with the "
        "baseline score negative.",
    )
    plots = [_scatter(gains, factor, number) for number, factor in enumerate(factors, 1)]
    return Section("Gain and resources", [], [table, correlations], plots)


def group_section(groups: Mapping[str, tuple[Sequence[str], Gain]], measure: str) -> Section:
    """The gain over the groups of languages that the user named."""
    table = Table(
        "resource-groups",
        f"Gain in {measure} by group, points of per cent",
        ["group", "languages", *_GAIN],
        [[name, " ".join(codes), *gain.cells] for name, (codes, gain) in groups.items()],
        _SPECS,
        note="Means over topics. The groups are the user's: a language low in one resource may be "
        "high in another.",
    )
    return Section("Groups", [], [table])


def _about_tokens(factors: Sequence[Factor]) -> list[str]:
    if not any(factor.title == "tokens a word" for factor in factors):
        return []
    return [
        "Tokens: of the encoder's tokenizer over the topics, special ones left out. Words are what "
        "white space parts: syllables in Vietnamese, phrases of noun and particle in Korean; there "
        "is no figure for languages written without spaces (Japanese, Chinese, Thai, Khmer, "
        "Burmese). Characters are code points without white space, so that scripts with vowel "
        "signs have more of them."
    ]


def _sum(values: Mapping[str, float], languages: set[str]) -> float | None:
    """Over the languages of a group; None if one of them has no figure."""
    found = [values.get(_without_region(code)) for code in languages]
    return None if None in found else float(sum(value for value in found if value is not None))


def _without_region(code: str) -> str:
    """``pt`` for ``pt-BR``; a script subtag stays: romanised text was counted apart."""
    language, _, rest = code.partition("-")
    subtag = rest.partition("-")[0]
    return code if len(subtag) == 4 and subtag.isalpha() else language


def _spearman(gains: Mapping[str, Gain], factor: Factor) -> tuple[int, float | None]:
    from scipy.stats import spearmanr

    pairs = [
        (value, gains[name].gain) for name, value in factor.values.items() if value is not None
    ]
    if len(pairs) < 3 or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return len(pairs), None
    return len(pairs), float(spearmanr(*zip(*pairs, strict=True)).statistic)


def _scatter(gains: Mapping[str, Gain], factor: Factor, number: int) -> Plot:
    def draw(axes: Axes) -> None:
        axes.axhline(0, color="#999999", linewidth=0.8)
        for name, gain in gains.items():
            value = factor.values[name]
            if value is None:
                continue
            ends = [[gain.gain - gain.low], [gain.high - gain.gain]]
            axes.errorbar([value], [gain.gain], ends, fmt="o", color="#0072B2", elinewidth=0.8)
            axes.annotate(name, (value, gain.gain), (5, 3), textcoords="offset points")
        if factor.is_size:
            axes.set_xscale("symlog", linthresh=0.1)
        axes.set_xlabel(factor.title)
        axes.set_ylabel("gain, points, with 95 % intervals")

    return Plot(f"resource-{number}", f"Gain against {factor.title}", draw)
