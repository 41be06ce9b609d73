"""What a run gains by language, and what each language has.

How much text of each multilingual encoders are pre-trained on, one table, each column with its
source; what no source gives is left out. Romanised text, which CC-100 counts apart, is not
included; rows that it has for one language (Chinese in two scripts, Burmese in two encodings) are
added up. And how many tokens an encoder makes of a word, and of a character.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pyserini_xqg.collection.judged import Collection
from pyserini_xqg.collection.languages import scripts_of
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.loading import load_tokenizer
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.evaluate.bootstrap import bootstrap_interval
from pyserini_xqg.evaluate.report.sections import Cell

#: From texts to the number of tokens of each.
CountTokens = Callable[[Sequence[str]], list[int]]

# Scripts that languages are written in without spaces between words. Korean's Han stand among
# Hangul, which has spaces.
_UNSPACED = {"Hani", "Hira", "Kana", "Khmr", "Laoo", "Mymr", "Thai", "Tibt"}


class Fertility(NamedTuple):
    """Tokens a word (white space parts words; None where none does) and a character."""

    words: float | None
    characters: float | None


def has_spaces(language: str) -> bool:
    """Whether white space parts the words of a language; taken to be so for an unlisted one."""
    scripts = scripts_of(language)
    return not scripts or not _UNSPACED.issuperset(scripts)


def fertility(topics: Sequence[Topic], count_tokens: CountTokens) -> Fertility:
    """Tokens of all topics by their words, and by their characters without white space.

    Parameters
    ----------
    topics : sequence of Topic
        If one is in a language without spaces between words, there are no words to count.
    count_tokens : callable
    """
    texts = [topic.text for topic in topics]
    tokens = sum(count_tokens(texts))
    words = [word for text in texts for word in text.split()]
    characters = sum(map(len, words))
    spaced = all(has_spaces(topic.language) for topic in topics)
    return Fertility(
        tokens / len(words) if words and spaced else None,
        tokens / characters if characters else None,
    )


def token_counter(spec: EncoderSpec) -> CountTokens:
    """Counts the tokens that an encoder's query side makes of texts, special ones left out.

    Raises
    ------
    XqgError
        If the tokenizer cannot be loaded.
    """
    named = Named(spec.query_model or spec.model, spec.revision, what="tokenizer of")
    tokenizer = load_tokenizer(named)

    def count(texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        ids = tokenizer(list(texts), add_special_tokens=False, truncation=False)["input_ids"]
        return [len(of_text) for of_text in ids]

    return count


class Fact(NamedTuple):
    """A column of the table: what it is, where it is from, how it is shown, values by language."""

    title: str
    source: str
    spec: str
    values: dict[str, float]


#: By name. A language that is missing was not in the source.
FACTS = {
    "cc100": Fact(
        "CC-100, GiB",
        "XLM-R's pre-training text; Conneau et al., Unsupervised Cross-lingual Representation "
        "Learning at Scale, ACL 2020, appendix A, as transcribed in "
        "github.com/mayhewsw/multilingual-data-stats (cc-100/cc-100.csv)",
        ".1f",
        {
            "am": 0.8, "ar": 28.0, "as": 0.1, "bg": 57.5, "bn": 8.4, "ca": 10.1, "cs": 16.3,
            "da": 45.6, "de": 66.6, "el": 46.9, "en": 300.8, "es": 53.3, "et": 6.1, "fa": 111.6,
            "fi": 54.3, "fr": 56.8, "gu": 1.9, "ha": 0.3, "he": 31.6, "hi": 20.2, "hr": 20.5,
            "hu": 58.4, "id": 148.3, "it": 30.2, "ja": 69.3, "km": 1.5, "kn": 3.3, "ko": 54.2,
            "lt": 13.7, "lv": 8.8, "ml": 7.6, "mr": 2.8, "ms": 8.5, "my": 2.0, "ne": 3.8,
            "nl": 29.3, "no": 49.0, "or": 0.6, "pa": 0.8, "pl": 44.6, "ps": 0.7, "pt": 49.1,
            "ro": 61.4, "ru": 278.0, "sa": 0.3, "sk": 23.2, "sl": 10.3, "so": 0.4, "sq": 5.4,
            "sr": 9.1, "sv": 85.0, "sw": 1.6, "ta": 12.2, "te": 4.7, "th": 71.7, "tl": 3.1,
            "tr": 20.9, "uk": 84.6, "ur": 5.7, "uz": 0.7, "vi": 137.3, "zh": 63.5,
        },
    ),
    "wikipedia": Fact(
        "Wikipedia articles",
        "Wikimedia, List of Wikipedias, August 2020, as transcribed in "
        "github.com/mayhewsw/multilingual-data-stats (wiki/wiki.csv); bots wrote many of them in "
        "some languages (Swedish, Vietnamese)",
        ",.0f",
        {
            "am": 14_885, "ar": 1_069_379, "as": 7_346, "awa": 2_410, "bg": 266_159, "bho": 7_352,
            "bn": 95_617, "bo": 5_922, "ca": 658_953, "cs": 463_666, "da": 261_591, "de": 2_488_262,
            "el": 182_546, "en": 6_171_405, "es": 1_631_829, "et": 212_406, "fa": 748_384,
            "fi": 494_487, "fr": 2_255_469, "gom": 3_720, "gu": 29_133, "ha": 5_380, "he": 277_732,
            "hi": 142_300, "hr": 222_687, "hu": 476_628, "id": 547_825, "ig": 1_584,
            "it": 1_640_420, "ja": 1_232_093, "km": 8_311, "kn": 26_615, "ko": 522_723,
            "lt": 201_087, "lv": 103_451, "mai": 13_606, "ml": 70_636, "mr": 63_033, "ms": 343_638,
            "my": 47_843, "ne": 33_489, "nl": 2_034_988, "no": 541_575, "or": 15_776, "pa": 34_799,
            "pl": 1_430_688, "ps": 11_576, "pt": 1_043_975, "ro": 412_469, "ru": 1_666_830,
            "rw": 1_903, "sa": 11_464, "sat": 4_629, "sk": 234_648, "sl": 169_604, "so": 5_839,
            "sq": 81_501, "sr": 638_812, "sv": 3_652_646, "sw": 59_645, "ta": 131_527, "te": 69_706,
            "th": 139_917, "tl": 67_581, "tr": 367_896, "uk": 1_047_938, "ur": 157_572,
            "uz": 136_913, "vi": 1_256_994, "yo": 32_748, "zh": 1_151_113, "zu": 4_379,
        },
    ),
}  # fmt: skip

#: Listed languages that multilingual BERT (cased) was not pre-trained on: those of
#: `pyserini_xqg.collection.languages.NAMES` that are missing from the list in
#: github.com/google-research/bert, multilingual.md.
NOT_IN_MBERT = frozenset({
    "am", "as", "awa", "bgc", "bho", "bo", "brx", "gbm", "gom", "ha", "hne", "hoj", "ig", "km",
    "mai", "mni", "mup", "mwr", "or", "ps", "rw", "sa", "sat", "so", "zu",
})  # fmt: skip


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
