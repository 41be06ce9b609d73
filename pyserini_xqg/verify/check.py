"""A check and its verdict, and the checks that stores and indexes have in common.

What is odd about the vectors of a corpus is found in one pass, in the same memory for any number.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.places import find_duplicates
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.probes import check_probes
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.store.store import Store

OK, WARNING, ERROR, SKIPPED = "ok", "warning", "ERROR", "skipped"
#: Rows, files or docids named in one line.
SHOWN = 3

Verdict = tuple[str, str]


class Findings:
    """Any number of things, of which a line names the first few."""

    def __init__(self, things: Iterable[str] = ()) -> None:
        self.count = 0
        self._first: list[str] = []
        for thing in things:
            self.add(thing)

    def add(self, thing: str) -> None:
        self.count += 1
        if self.count <= SHOWN:
            self._first.append(thing)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        more = f" and {self.count - SHOWN} more" if self.count > SHOWN else ""
        return ", ".join(self._first) + more


class Check(NamedTuple):
    """What was looked at, and what was found."""

    path: Path
    verdict: str
    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.verdict:<8} {self.path}: {self.name}: {self.detail}"


@dataclass
class Settings:
    """What the user asked for.

    Attributes
    ----------
    encoder : str or None
        Another place of the recorded model.
    device : str or None
    probe : bool
        Load the encoder at all.
    store : Store or None
        What an index is recomputed from.
    trust_remote_code : bool
        Run the Python that comes with the model.
    """

    encoder: str | None = None
    device: str | None = None
    probe: bool = True
    store: Store | None = None
    trust_remote_code: bool = False
    _loaded: dict[EncoderSpec, Encoder] = field(default_factory=dict)

    def load(self, values: Mapping[str, Any], where: str) -> Encoder:
        """The encoder that a manifest records, loaded once."""
        spec = EncoderSpec.from_dict(values, where).at(self.encoder)
        if spec not in self._loaded:
            self._loaded[spec] = Encoder(
                spec, device=self.device, trust_remote_code=self.trust_remote_code
            )
        return self._loaded[spec]


def check(path: Path, name: str, look: Callable[[], Verdict]) -> Check:
    """Run one check; what is too damaged to be read is an error of the check, not of ours."""
    try:
        verdict, detail = look()
        return Check(path, verdict, name, detail)
    except XqgError as error:
        return Check(path, ERROR, name, str(error))
    except FileNotFoundError as error:
        return Check(path, ERROR, name, f"{error.filename} is missing")
    except (ValueError, KeyError, TypeError) as error:  # headers and manifests that are not ours
        return Check(path, ERROR, name, f"damaged: {type(error).__name__}: {error}")


def check_docids(path: Path) -> Check:
    """Docids that are there twice, empty or hold white space, from a table on disk."""

    def look() -> Verdict:
        bad = Findings(str(line) for line, docid in _docids(path) if docid.split() != [docid])
        if bad:
            return ERROR, f"empty or with white space in line {bad}"
        with tempfile.TemporaryDirectory() as work:
            twice = Findings(
                f"{duplicate.docid!r} in lines {duplicate.first.rpartition(':')[2]} and "
                f"{duplicate.again.rpartition(':')[2]}"
                for duplicate in find_duplicates([path / "docid"], Path(work))
            )
        return (ERROR, f"duplicates: {twice}") if twice else (OK, "all different")

    return check(path, "docids", look)


def check_encoder(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Check:
    """Whether the encoder gives the recorded vectors of the probes again."""

    def look() -> Verdict:
        if not settings.probe:
            return SKIPPED, "--no-encoder"
        probes = manifest["probes"]
        encoder = settings.load(manifest["encoder"], str(path))
        check_probes(encoder, probes, str(path))
        return OK, f"{encoder.spec.model} gives the vectors of {len(probes)} probes again"

    return check(path, "encoder", look)


def count_docids(path: Path) -> int:
    """The docids of a folder: lines that are complete.

    Raises
    ------
    XqgError
        If the last line is not.
    """
    lines, last = 0, b"\n"
    with open(path / "docid", "rb") as file:
        while content := file.read(1 << 20):
            lines += content.count(b"\n")
            last = content[-1:]
    if last != b"\n":
        raise XqgError(f"{path / 'docid'}: the last line is cut off")
    return lines


def _docids(path: Path) -> Iterator[tuple[int, str]]:
    with open(path / "docid", encoding="utf-8", errors="replace", newline="\n") as file:
        for line, docid in enumerate(file, 1):
            yield line, docid.removesuffix("\n")


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
