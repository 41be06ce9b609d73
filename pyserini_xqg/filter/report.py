"""What the filter kept and dropped, and why: by language."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pyserini_xqg.filter.rows import Row

_QUANTILES = {"min": 0.0, "5%": 0.05, "median": 0.5, "95%": 0.95, "max": 1.0}


class Tally:
    """Counts and seeded samples by language, in memory that does not grow with the input.

    Parameters
    ----------
    sample : int
        Queries to show of each language, and of each language and reason.
    seed : int

    Attributes
    ----------
    read, kept : Counter of language to int
    dropped : dict of language to Counter of reason to int
    unknown : int
        Rows left out because the corpus lacks their docid.
    """

    def __init__(self, sample: int = 5, seed: int = 0) -> None:
        self.read: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()
        self.dropped: dict[str, Counter[str]] = {}
        self.unknown = 0
        self._lengths: dict[str, Counter[int]] = {}
        self._size, self._seed = sample, seed
        self._samples: dict[tuple[str, str], _Sample] = {}

    def count_read(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Count what comes in."""
        for row in rows:
            self.read.update({language: len(texts) for language, texts in row.queries.items()})
            yield row

    def count_kept(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Count what goes out, its lengths with it."""
        for row in rows:
            for language, texts in row.queries.items():
                self.kept[language] += len(texts)
                self._lengths.setdefault(language, Counter()).update(map(len, texts))
                for text in texts:
                    self._show(language, "kept", row.passage.docid, text)
            yield row

    def drop(self, language: str, reason: str, docid: str, text: str) -> None:
        """Count a query that a step leaves out."""
        self.dropped.setdefault(language, Counter())[reason] += 1
        self._show(language, reason, docid, text)

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON types, by language.

        ``read``, ``kept``, ``dropped`` by reason, ``lengths`` (quantiles of the characters of what
        was kept), and ``sample``: docids and queries by ``kept`` or the reason, in random order.
        """
        return {
            language: {
                "read": self.read[language],
                "kept": self.kept[language],
                "dropped": dict(sorted(self.dropped.get(language, Counter()).items())),
                "lengths": _quantiles(self._lengths.get(language, Counter())),
                "sample": {
                    reason: [{"docid": docid, "query": text} for docid, text in sample.items]
                    for (of, reason), sample in sorted(self._samples.items())
                    if of == language
                },
            }
            for language in sorted(self.read)
        }

    def to_text(self) -> str:
        """The report as a table, with a sample to read under it."""
        report = self.to_dict()
        reasons = sorted({reason for row in report.values() for reason in row["dropped"]})
        columns = ["read", "kept", *reasons, *(f"length {name}" for name in _QUANTILES)]
        table = [["", *columns]]
        totals = [sum(self.read.values()), sum(self.kept.values())]
        totals += [
            sum(row["dropped"].get(reason, 0) for row in report.values()) for reason in reasons
        ]
        for language, row in report.items():
            counts = [row["read"], row["kept"], *(row["dropped"].get(r, 0) for r in reasons)]
            table.append([language, *map(str, [*counts, *row["lengths"].values()])])
        table.append(["all", *map(str, totals)])
        widths = [max(len(row[i]) for row in table if i < len(row)) for i in range(len(table[0]))]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=False))
            for row in table
        ]
        for language, row in report.items():
            for reason in ("kept", *reasons):
                if sample := row["sample"].get(reason):
                    lines += ["", f"{language}, {reason}:"]
                    lines += [f"  {item['docid']}  {item['query']}" for item in sample]
        return "\n".join(lines)

    def _show(self, language: str, reason: str, docid: str, text: str) -> None:
        key = (language, reason)
        if key not in self._samples:
            self._samples[key] = _Sample(self._size, f"{self._seed} {language} {reason}")
        self._samples[key].offer(docid, text)


class _Sample:
    """A uniform sample of a stream (Vitter's algorithm R, ACM TOMS 11, 1985)."""

    def __init__(self, size: int, seed: str) -> None:
        self.items: list[tuple[str, str]] = []
        self._size, self._seen = size, 0
        self._random = random.Random(seed)

    def offer(self, docid: str, text: str) -> None:
        self._seen += 1
        if len(self.items) < self._size:
            self.items.append((docid, text))
        elif (place := self._random.randrange(self._seen)) < self._size:
            self.items[place] = (docid, text)


def _quantiles(lengths: Counter[int]) -> dict[str, int]:
    """The smallest length that at least this share of the queries does not exceed."""
    found: dict[str, int] = {}
    total, below = lengths.total(), 0
    for length in sorted(lengths):
        below += lengths[length]
        for name, share in _QUANTILES.items():
            if name not in found and below >= share * total:
                found[name] = length
    return found
