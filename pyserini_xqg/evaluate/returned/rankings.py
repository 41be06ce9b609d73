"""What rankings have in common, and what they return: how often, in which languages and scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.columns import read_columns
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.runs import Run, stream_corpus
from pyserini_xqg.collection.scripts import letters_by_script

# So many characters tell a script, and a collection of millions is through in minutes.
_READ = 200
_KANA = ("Hira", "Kana")
# Japanese texts mix three scripts; a word of kana in a Chinese one does not make it Japanese.
_KANA_SHARE = 0.1


class PassageFacts(NamedTuple):
    """What is known of a passage; empty where nothing is."""

    title: str = ""
    language: str = ""
    script: str = ""


class CollectionFacts(NamedTuple):
    """What is known of a collection.

    Attributes
    ----------
    passages : dict of str to PassageFacts
        Those asked for, by docid.
    size : int
        Passages in the whole collection.
    languages, scripts : Counter of str
        Of all passages; empty where nothing is known of them.
    """

    passages: dict[str, PassageFacts]
    size: int
    languages: Counter[str]
    scripts: Counter[str]


def collection_facts(
    wanted: Container[str], corpus: str | Path | None = None, languages: str | Path | None = None
) -> CollectionFacts:
    """Facts of the passages asked for, and counts over all.

    Parameters
    ----------
    wanted : container of str
        Docids.
    corpus : path-like or None
        Where titles, scripts, and the languages that its rows name (``lang``) are.
    languages : path-like or None
        Instead of the corpus: docid and language, white space between them, a passage a line.

    Raises
    ------
    XqgError
        For broken input.
    """
    if (corpus is None) == (languages is None):
        raise XqgError("give either --corpus or --languages-of: one of them says what is returned")
    rows = _of_corpus(corpus) if corpus is not None else _of_table(Path(languages or ""))
    passages: dict[str, PassageFacts] = {}
    size, by_language, by_script = 0, Counter[str](), Counter[str]()
    for docid, facts in rows:
        size += 1
        if facts.language:
            by_language[facts.language] += 1
        if facts.script:
            by_script[facts.script] += 1
        if docid in wanted:
            passages[docid] = facts
    return CollectionFacts(passages, size, by_language, by_script)


def main_script(text: str) -> str:
    """The script of most of a text's first letters: ISO 15924, ``Jpan`` for kana with Han.

    ``Zyyy`` (the code for common characters) for a text without letters.
    """
    letters = letters_by_script(text[:_READ])
    kana = sum(letters.pop(script, 0) for script in _KANA)
    if kana > _KANA_SHARE * (letters.total() + kana):
        letters["Jpan"] = kana + letters.pop("Hani", 0)
    return max(letters, key=letters.__getitem__, default="Zyyy")


def _of_corpus(corpus: str | Path) -> Iterator[tuple[str, PassageFacts]]:
    for passage, language in stream_corpus(corpus):
        code = _code(language, str(corpus)) if language else ""
        yield passage.docid, PassageFacts(passage.title, code, main_script(passage.text))


def _of_table(path: Path) -> Iterator[tuple[str, PassageFacts]]:
    for (docid, language), _ in read_columns(path, {2: "docid and language"}):
        yield docid, PassageFacts(language=_code(language, str(path)))


@lru_cache(maxsize=1024)  # a language that is not listed warns once
def _code(language: str, where: str) -> str:
    return check_language(language, where)


#: Of rank-biased overlap: the chance to read on. Its authors' example, about ten ranks deep.
PERSISTENCE = 0.9

Docids = Sequence[str]


def top(run: Run, qid: str, k: int) -> list[str]:
    """The docids of a topic's first k hits; none for a topic without any."""
    return [hit.docid for hit in run.get(qid, [])[:k]]


def jaccard(one: Docids, other: Docids) -> float:
    """Shared docids among all docids of two rankings; 1 for two empty ones."""
    union = set(one) | set(other)
    return len(set(one) & set(other)) / len(union) if union else 1.0


def rank_biased_overlap(one: Docids, other: Docids, persistence: float = PERSISTENCE) -> float:
    """Overlap of two rankings in which the first ranks weigh most, extrapolated beyond their ends.

    Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010,
    equation 32, which also holds for rankings of different lengths.

    Parameters
    ----------
    one, other : sequence of str
        Docids, best first, none twice.
    persistence : float
        Between 0 and 1: the larger, the deeper ranks count.

    Returns
    -------
    float
        0 (nothing shared; also if just one is empty) to 1 (the same; also if both are empty).
    """
    short, long = sorted((one, other), key=len)
    if not short:
        return float(not long)
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    shared, total, at_short_end = 0, 0.0, 0
    for depth, docid in enumerate(long, 1):
        seen_long.add(docid)
        if depth <= len(short):
            seen_short.add(short[depth - 1])
            shared += short[depth - 1] in seen_long
            shared += docid in seen_short and docid != short[depth - 1]
            at_short_end = shared
            agreement = shared / depth
        else:
            shared += docid in seen_short
            # Beyond its end the shorter one is taken to agree as much as it did so far.
            agreement = shared / depth + at_short_end * (depth - len(short)) / (depth * len(short))
        total += agreement * persistence**depth
    end = (shared - at_short_end) / len(long) + at_short_end / len(short)
    return (1 - persistence) / persistence * total + end * persistence ** len(long)


def returns(run: Run, qids: Iterable[str], k: int) -> Counter[str]:
    """N_k: in the first k hits of how many of the topics each docid is; hubs are in many.

    Radovanovic, Nanopoulos and Ivanovic, "Hubs in Space", JMLR 11, 2010.
    """
    return Counter(docid for qid in qids for docid in top(run, qid, k))


def skewness(counts: Mapping[str, int], size: int) -> float | None:
    """Skewness of N_k over a collection; positive where a few passages are returned far too often.

    Parameters
    ----------
    counts : mapping of str to int
        N_k of the passages that were returned.
    size : int
        Passages of the collection: those not in `counts` count as 0.

    Returns
    -------
    float or None
        The third standardised moment, without correction for bias; None where all counts are equal.
    """
    # By distinct value, of which there are few: one number a passage would fill the memory.
    values = Counter(counts.values())
    values[0] += size - len(counts)
    mean = sum(value * n for value, n in values.items()) / size
    second, third = (
        sum((value - mean) ** power * n for value, n in values.items()) / size for power in (2, 3)
    )
    return float(third / second**1.5) if second > 0 else None


#: What can become of a topic.
OUTCOMES = ("hit", "below k", "not in the run", "no result")


def outcome(hits: Docids, k: int, relevant: Collection[str]) -> str:
    """What became of a topic, one of `OUTCOMES`.

    Parameters
    ----------
    hits : sequence of str
        All docids that were returned for it, best first.
    k : int
        A relevant passage among so many is a hit.
    relevant : collection of str
    """
    if not hits:
        return "no result"
    rank = next((rank for rank, docid in enumerate(hits, 1) if docid in relevant), None)
    if rank is None:
        return "not in the run"
    return "hit" if rank <= k else "below k"
