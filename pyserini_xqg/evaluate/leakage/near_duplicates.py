"""Near-duplicates of a few thousand topics in a stream of any length, exactly.

Two texts are compared by their letters, marks and digits alone, after NFKC and case folding. They
are near-duplicates if these are equal, or if the Jaccard coefficient of their sets of character
n-grams is at or above a threshold.

The search is exact, by prefix filtering (Chaudhuri, Ganti and Kaushik, "A primitive operator for
similarity joins in data cleaning", ICDE 2006; with the rarest first and an index of prefixes as in
Bayardo, Ma and Srikant, "Scaling up all pairs similarity search", WWW 2007). Whatever is similar to
a topic with b n-grams at a threshold t has at least c = ceil(t b) of them, so that it must have one
of any b - c + 1: only those, the rarest among all topics, are looked up. The topics are held in
memory, the stream never is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, is_tsv, read_lines
from pyserini_xqg.base.progress import counted
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.languages import check_language_of_row
from pyserini_xqg.collection.records import (
    parse_json,
    parse_queries,
)
from pyserini_xqg.collection.scripts import in_scripts_of, normalise, word_characters
from pyserini_xqg.collection.topics import Topic

#: Fields that a row's question may be in: XOR-TyDi's training data, Tevatron's.
FIELDS = ("question", "query")


class Asked(NamedTuple):
    """A question that was generated or trained on; ``where`` is its passage, or its file and row.

    ``language`` is empty where neither the row nor the script tells it.
    """

    text: str
    language: str
    where: str


def stream_questions(paths: Iterable[str | Path], languages: Sequence[str] = ()) -> Iterator[Asked]:
    """The questions of some files, in their order.

    JSONL of generated queries (``generated_queries``), of XOR-TyDi (``question``) or of Tevatron
    (``query``), the latter two with ``lang`` or without; or, by its name, TSV whose first two
    columns are language and question, as `pyserini_xqg.train` reads it. ``.gz`` of either; folders.

    Parameters
    ----------
    paths : iterable of path-like
    languages : sequence of str
        Those that a row without ``lang`` may be in: taken if its script fits just one of them.

    Raises
    ------
    XqgError
        Naming file and row, for a broken row.
    """
    for path in paths:
        for name in input_files(path):
            for line in read_lines(name):
                where = f"{name}:{line.number}"
                if is_tsv(name):
                    yield _of_tsv(line.content, where)
                elif b'"generated_queries"' in line.content:
                    row = parse_queries(line.content, where)
                    for language, texts in row.queries.items():
                        yield from (Asked(text, language, row.docid) for text in texts)
                else:
                    yield _of_json(line.content, where, languages)


def _of_tsv(content: bytes, where: str) -> Asked:
    cells = tsv_cells(content, where)
    if len(cells) < 2:
        raise XqgError(f"{where}: no tab; expected language and question, tab-separated")
    return Asked(cells[1], check_language_of_row(cells[0].strip(), where), where)


def _of_json(content: bytes, where: str, languages: Sequence[str]) -> Asked:
    row = parse_json(content, where)
    text = next((row[field] for field in FIELDS if field in row), None)
    language = row.get("lang") or ""
    if not isinstance(text, str) or not isinstance(language, str):
        raise XqgError(
            f"{where}: expected a string in one of {', '.join(FIELDS)} (and in 'lang'), or "
            f"'generated_queries'; found {', '.join(row) or 'none'}"
        )
    if code := language.strip():  # XOR-TyDi's train file has codes with a leading space
        return Asked(text, check_language_of_row(code, where), where)
    fitting = [code for code in languages if in_scripts_of(text, code)]
    return Asked(text, fitting[0] if len(fitting) == 1 else "", where)


#: Characters of an n-gram.
LENGTH = 3
THRESHOLD = 0.8


class Resemblance(NamedTuple):
    """A topic that a text resembles.

    Attributes
    ----------
    topic : Topic
    jaccard : float
    equal : bool
        The same letters and digits in the same order.
    """

    topic: Topic
    jaccard: float
    equal: bool


def compared(text: str) -> str:
    """What of a text is compared."""
    return word_characters(normalise(text))


def grams(text: str, length: int = LENGTH) -> frozenset[str]:
    """The character n-grams of a `compared` text; one shorter than an n-gram is its own."""
    last = max(len(text) - length, 0)
    return frozenset(text[start : start + length] for start in range(last + 1)) - {""}


class NearDuplicates:
    """Finds the topics that a text resembles.

    Parameters
    ----------
    topics : sequence of Topic
    threshold : float
        Above 0, at most 1.
    length : int
        Characters of an n-gram.

    Raises
    ------
    XqgError
        For a threshold or length outside these bounds.
    """

    def __init__(
        self, topics: Sequence[Topic], threshold: float = THRESHOLD, length: int = LENGTH
    ) -> None:
        if not 0 < threshold <= 1:
            raise XqgError(f"--threshold {threshold}: expected a number above 0, at most 1")
        if length < 1:
            raise XqgError(f"--ngram {length}: expected at least 1 character")
        self._topics = topics
        # As written: in binary, 0.55 x 20 is more than 11, and a pair at the threshold is lost.
        self._threshold = Fraction(str(threshold))
        self._length = length
        self._texts = [compared(topic.text) for topic in topics]
        self._grams = [grams(text, length) for text in self._texts]
        frequency = Counter(gram for of_topic in self._grams for gram in of_topic)
        self._known = frozenset(frequency)
        self._index: dict[str, list[int]] = {}
        for row, of_topic in enumerate(self._grams):
            rarest = sorted(of_topic, key=lambda gram: (frequency[gram], gram))
            for gram in rarest[: len(rarest) - self._least(len(rarest)) + 1]:
                self._index.setdefault(gram, []).append(row)
        self._keys = frozenset(self._index)

    def of(self, text: str) -> Iterator[Resemblance]:
        """The topics that a text resembles, in no order."""
        text = compared(text)
        own = grams(text, self._length)
        size = len(own)
        known = own & self._known
        smallest = self._least(size)
        # Cheap, and true of most texts: too few of its n-grams are in any topic at all.
        if not own or len(known) < smallest:
            return
        largest = size * self._threshold.denominator // self._threshold.numerator
        for row in {row for gram in known & self._keys for row in self._index[gram]}:
            other = self._grams[row]
            if not smallest <= len(other) <= largest:
                continue
            shared = len(own & other)
            union = size + len(other) - shared
            if shared * self._threshold.denominator >= union * self._threshold.numerator:
                yield Resemblance(self._topics[row], shared / union, text == self._texts[row])

    def _least(self, size: int) -> int:
        """N-grams of so many that anything similar must share."""
        return -(-self._threshold.numerator * size // self._threshold.denominator)


class Match(NamedTuple):
    """A topic and a question like it."""

    topic: Topic
    asked: Asked
    jaccard: float
    equal: bool

    @property
    def rank(self) -> tuple[bool, float]:
        """Greater for a worse case."""
        return self.equal, self.jaccard


class Scan(NamedTuple):
    """What a stream of questions had of the topics.

    Attributes
    ----------
    read : int
        Questions in the stream.
    untold : int
        Those of them whose language nothing told.
    same, other : dict of str to Match
        By topic id, the worst match in the topic's own language, and in another or an unknown one.
    """

    read: int
    untold: int
    same: dict[str, Match]
    other: dict[str, Match]

    @property
    def worst(self) -> dict[str, Match]:
        """By topic id, the worst match in any language; the topic's own where they are level."""
        return {
            qid: max(
                (found[qid] for found in (self.same, self.other) if qid in found),
                key=lambda match: match.rank,
            )
            for qid in self.same | self.other
        }


def scan(
    topics: Sequence[Topic],
    questions: Iterable[Asked],
    threshold: float = THRESHOLD,
    length: int = LENGTH,
) -> Scan:
    """Compare a stream of questions with the topics; of each topic two matches at most are held.

    Parameters
    ----------
    topics : sequence of Topic
    questions : iterable of Asked
    threshold, length
        As `NearDuplicates` takes them.
    """
    search = NearDuplicates(topics, threshold, length)
    read = untold = 0
    same: dict[str, Match] = {}
    other: dict[str, Match] = {}
    for asked in counted(questions, "comparing", "questions"):
        read += 1
        untold += not asked.language
        for topic, jaccard, equal in search.of(asked.text):
            match = Match(topic, asked, jaccard, equal)
            found = same if asked.language == topic.language else other
            before = found.get(topic.qid)
            if before is None or match.rank > before.rank:
                found[topic.qid] = match
    return Scan(read, untold, same, other)
