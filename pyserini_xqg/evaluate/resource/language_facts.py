"""What is known of languages: how much text of each multilingual encoders are pre-trained on.

One table, each column with its source; what no source gives is left out. Romanised text, which
CC-100 counts apart, is not included; rows that it has for one language (Chinese in two scripts,
Burmese in two encodings) are added up.
"""

from __future__ import annotations

from typing import NamedTuple


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
