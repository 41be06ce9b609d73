"""What is odd about the vectors of a corpus: one pass, in the same memory for any number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.verify.check import ERROR, OK, SHOWN, WARNING, Findings, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Norms are counted in bins of a 32nd of an octave (2.2 %), from 2^-160 to 2^160.
_BINS, _OCTAVES = 32, 160
# Tukey's fences, on a log scale. At 1.5 interquartile ranges, 0.7 % of a normal distribution are
# outside; at 4, one in a billion. Nothing within a quarter of an octave (19 %) is an outlier.
_FENCE, _LEAST = 4, _BINS // 4


class Norms:
    """Counts NaN, infinity and zero vectors, and finds norms far from the others."""

    def __init__(self) -> None:
        self._rows = 0
        self._infinite, self._zero = Findings(), Findings()
        self._histogram = np.zeros(2 * _OCTAVES * _BINS, dtype=np.int64)
        self._extremes: list[tuple[float, str]] = []

    def add(self, docids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Look at some rows more, shape ``(len(docids), d)``."""
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
        self._rows += len(docids)
        usable = np.isfinite(norms) & (norms > 0)
        for findings, odd in ((self._infinite, ~np.isfinite(norms)), (self._zero, norms == 0)):
            for row in np.flatnonzero(odd).tolist():
                findings.add(docids[row])
        self._histogram += np.bincount(_bin(norms[usable]), minlength=len(self._histogram))
        rows = np.flatnonzero(usable)
        order = rows[np.argsort(norms[rows], kind="stable")]
        ends = [*order[:SHOWN], *order[SHOWN:][-SHOWN:]]
        seen = sorted([*self._extremes, *((float(norms[row]), docids[row]) for row in ends)])
        self._extremes = seen[:SHOWN] + seen[SHOWN:][-SHOWN:]

    def finite(self) -> Verdict:
        return self._verdict(self._infinite, ERROR, "all of")

    def zero(self) -> Verdict:
        return self._verdict(self._zero, WARNING, "none of")

    def outliers(self) -> Verdict:
        """Norms outside the fences, with the farthest docids."""
        total = int(self._histogram.sum())
        if not total:
            return OK, "no norms to compare"
        cumulative = np.cumsum(self._histogram)
        low, median, high = (int(np.searchsorted(cumulative, total * q)) for q in (0.25, 0.5, 0.75))
        reach = _FENCE * (high - low)
        first = min(low - reach, median - _LEAST)
        last = max(high + reach, median + _LEAST)
        outside = total - int(self._histogram[max(first, 0) : last + 1].sum())
        lengths = f"median length {_length(median + 0.5):.2g}"
        if not outside:
            return OK, f"{lengths}, none far from it"
        far = [
            f"{docid} ({norm:.4g})"
            for norm, docid in self._extremes
            if not first <= int(_bin(np.array([norm]))[0]) <= last
        ]
        return WARNING, (
            f"{outside} vectors are shorter than {_length(first):.4g} or longer than "
            f"{_length(last + 1):.4g} ({lengths}): {', '.join(far)}"
        )

    def _verdict(self, findings: Findings, verdict: str, good: str) -> Verdict:
        if not findings:
            return OK, f"{good} {self._rows} vectors"
        return verdict, f"{findings.count} of {self._rows} vectors: {findings}"


def _bin(norms: NDArray[np.float64]) -> NDArray[np.int64]:
    bins = np.floor(np.log2(norms) * _BINS).astype(np.int64) + _OCTAVES * _BINS
    inside: NDArray[np.int64] = np.clip(bins, 0, 2 * _OCTAVES * _BINS - 1)
    return inside


def _length(number: float) -> float:
    return float(2.0 ** (number / _BINS - _OCTAVES))
