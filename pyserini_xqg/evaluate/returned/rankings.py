"""What rankings have in common, and what they return too often: functions of ranked docids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from pyserini_xqg.collection.runs import Run

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
