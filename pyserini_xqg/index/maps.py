"""What a collection lets one expect of a passage's queries: a map from E(p) to their mean vector.

A map is a ridge regression (`pyserini_xqg.index.ridge`), fitted on the passages that have queries
in a language. It follows from sums over one pass, kept by fold: each passage is in one of `FOLDS`,
by its docid, and its own queries are never in its own prediction, which comes from the map fitted
without its fold. The strength is the one that errs least on the folds left out.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.index.ridge import FoldMaps, Moments, QueryMap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store.block import Block

    Vectors = NDArray[np.float32]
    Folds = NDArray[np.integer[Any]]

FOLDS = 10
#: Tried as strengths, times the mean squared length of the passages' vectors.
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
#: Passages left out that are enough to choose a strength by.
JUDGED = 1000
#: Passages with queries that a map must rest on: one a fold.
FEWEST = FOLDS
#: Whose map a language's predictions come from; the last is none, and the prediction E(p).
OWN, ALL, NONE = "own", "all", "none"


def fold_of(docid: str) -> int:
    """The fold of a passage, 0 to `FOLDS` - 1: the same on every machine and for every corpus."""
    return zlib.crc32(docid.encode("utf-8", "surrogateescape")) % FOLDS


def folds_of(docids: Iterable[str]) -> NDArray[np.int64]:
    """The folds of passages, shape ``(n,)``."""
    return np.fromiter((fold_of(docid) for docid in docids), np.int64)


class MapSums:
    """The sums that maps of one language, or of several together, are made of, by fold.

    Those of other passages (shards, other processes) or of another language are added with ``+``.

    Parameters
    ----------
    dimension : int

    Attributes
    ----------
    folds : list of Moments
    """

    def __init__(self, dimension: int) -> None:
        square = dimension, dimension
        self.folds = [
            Moments(
                0, np.zeros(dimension), np.zeros(dimension), np.zeros(square), np.zeros(square), 0
            )
            for _ in range(FOLDS)
        ]

    @property
    def passages(self) -> int:
        """Passages with queries; in a sum over languages, pairs of passage and language."""
        return round(sum(of.passages for of in self.folds))

    def add(
        self, passages: Vectors, sums: Vectors, counts: NDArray[np.int32], folds: Folds
    ) -> None:
        """Take in those of a block's passages that have queries.

        Parameters
        ----------
        passages, sums : array, shape (n, d), float32
        counts : array, shape (n,)
        folds : array, shape (n,)
            From `folds_of`.
        """
        has = counts > 0
        for fold, of in enumerate(self.folds):
            rows = np.flatnonzero((folds == fold) & has)
            if len(rows):
                means = sums[rows] / counts[rows].astype(np.float32)[:, None]
                self.folds[fold] = of.with_passages(passages[rows], means)

    def __add__(self, other: MapSums) -> MapSums:
        both = MapSums(0)
        both.folds = [a.plus(b) for a, b in zip(self.folds, other.folds, strict=True)]
        return both

    def fit(self, strength: float | None = None) -> FoldMaps | None:
        """The maps: without each fold, and the whole one.

        Parameters
        ----------
        strength : float or None
            That of `STRENGTHS` which errs least on the folds left out, if none is given.

        Returns
        -------
        FoldMaps or None
            None for fewer than `FEWEST` passages, or passages of a single fold.
        """
        whole = self._whole()
        filled = [fold for fold, of in enumerate(self.folds) if of.passages]
        if whole.passages < FEWEST or len(filled) < 2:
            return None
        rest = {fold: whole.plus(self.folds[fold], -1) for fold in filled}
        best = self._best_strength(whole, rest) if strength is None else strength
        mine = whole.ridge(best)
        folds = [rest[fold].ridge(best) if fold in rest else mine for fold in range(FOLDS)]
        return FoldMaps(folds, mine, self._error_of(folds))

    def _best_strength(self, whole: Moments, rest: Mapping[int, Moments]) -> float:
        """That which errs least on folds left out, on as many as hold `JUDGED` passages."""
        scale = float(np.trace(whole.xx)) / whole.passages
        errors = {scale * each: 0.0 for each in STRENGTHS}
        judged = 0.0
        for fold, others in rest.items():
            for fitted in others.ridges(list(errors)):
                errors[fitted.strength] += self.folds[fold].error(fitted)
            judged += self.folds[fold].passages
            if judged >= JUDGED:
                break
        return min(errors, key=lambda each: errors[each])

    def error_of(self, maps: FoldMaps | None) -> float:
        """The mean squared error of other maps on these passages; of E(p) itself for None."""
        if maps is not None:
            return self._error_of(maps.folds)
        return self._whole().error_of_passages() / max(self.passages, 1)

    def _error_of(self, maps: Sequence[QueryMap]) -> float:
        squares = sum(of.error(fitted) for of, fitted in zip(self.folds, maps, strict=True))
        return squares / max(self.passages, 1)

    def _whole(self) -> Moments:
        whole = self.folds[0]
        for of in self.folds[1:]:
            whole = whole.plus(of)
        return whole


class Maps:
    """The maps of a collection, by language.

    Parameters
    ----------
    maps : mapping of str to FoldMaps or None
        By language; None for E(p).
    sources : mapping of str to str
        By language `OWN`, `ALL` or `NONE`: whose map it is.
    passages : mapping of str to int
        By language, how many passages with queries there were to fit on.
    """

    def __init__(
        self,
        maps: Mapping[str, FoldMaps | None],
        sources: Mapping[str, str],
        passages: Mapping[str, int],
    ) -> None:
        self.maps, self.sources, self.passages = dict(maps), dict(sources), dict(passages)

    @property
    def languages(self) -> list[str]:
        return list(self.maps)

    @property
    def dimension(self) -> int | None:
        """Of the vectors; None where no language has a map."""
        return next((len(of.whole.x) for of in self.maps.values() if of is not None), None)

    def notes(self) -> list[str]:
        """What to say of languages that have no map of their own."""
        notes = []
        for source, what in (
            (
                ALL,
                "come from the map of all languages together, as one of their own rests on too "
                "few or errs more",
            ),
            (NONE, "are E(p) itself, as a map rests on too few or errs more"),
        ):
            codes = [code for code, of in self.sources.items() if of == source]
            if codes:
                counted = ", ".join(
                    f"{code} ({self.passages[code]} passages with queries)" for code in codes
                )
                notes.append(f"virtual queries in {counted} {what}")
        return notes

    def of(self, languages: Sequence[str]) -> Maps:
        """Those of some languages alone."""
        return Maps(
            {code: self.maps[code] for code in languages},
            {code: self.sources[code] for code in languages},
            {code: self.passages[code] for code in languages},
        )

    def predict(
        self,
        language: str,
        passages: Vectors,
        docids: Sequence[str] | None = None,
        has: NDArray[np.bool_] | None = None,
    ) -> Vectors:
        """The mean query vectors to expect in a language.

        Parameters
        ----------
        language : str
        passages : array, shape (n, d), float32
        docids : sequence of str or None
            With them no passage's prediction rests on its own fold; leave them out for passages
            that the maps were not fitted on.
        has : array of bool, shape (n,), or None
            Which of the passages have queries in the language; the others, which no map rests on,
            get the whole map.

        Returns
        -------
        array, shape (n, d), float32
            E(p) in a language without a map.
        """
        folds = None if docids is None else folds_of(docids)
        return self.predict_by_fold(language, passages, folds, has)

    def predict_by_fold(
        self,
        language: str,
        passages: Vectors,
        folds: Folds | None = None,
        has: NDArray[np.bool_] | None = None,
    ) -> Vectors:
        """As `predict`, with folds instead of docids."""
        maps = self.maps[language]
        if maps is None:
            return passages
        if folds is not None and has is not None:
            folds = np.where(has, folds, -1)
        return maps.predict(passages, folds)

    def predictions(self, block: Block, folds: Folds | None = None) -> dict[str, Vectors]:
        """For a block that the maps were fitted on: by language, the vectors to expect."""
        if folds is None:
            folds = folds_of(block.docids)
        return {
            code: self.predict_by_fold(
                code,
                block.passages,
                folds,
                block.counts[code] > 0 if code in block.counts else np.zeros(len(folds), bool),
            )
            for code in self.maps
        }


def fit_maps(sums: Iterator[tuple[str, MapSums]], strength: float | None = None) -> Maps:
    """The maps of each language, from the sums of one after the other.

    A language gets the map of all languages together where that errs less on its own passages, left
    out by folds, or where it has too few for one of its own; and where that errs more than E(p)
    itself, or there is none, E(p).

    Parameters
    ----------
    sums : iterator of (language, MapSums)
    strength : float or None
        For all maps; chosen by folds if none is given.
    """
    own: dict[str, FoldMaps | None] = {}
    errors: dict[str, float] = {}
    kept: dict[str, MapSums] = {}
    together: MapSums | None = None
    passages = {}
    for code, of in sums:
        own[code] = of.fit(strength)
        errors[code] = of.error_of(None)
        passages[code] = of.passages
        kept[code] = of
        together = of if together is None else together + of
    shared = together.fit(strength) if together is not None and len(own) > 1 else None
    maps: dict[str, FoldMaps | None] = {}
    sources = {}
    for code in own:
        choices: dict[str, tuple[float, FoldMaps | None]] = {NONE: (errors[code], None)}
        if shared is not None:
            choices[ALL] = (kept[code].error_of(shared), shared)
        if (mine := own[code]) is not None:
            choices[OWN] = (mine.error, mine)
        if not passages[code]:  # nothing to judge by: what the other languages say
            sources[code] = ALL if shared is not None else NONE
        else:
            sources[code] = min(choices, key=lambda name: choices[name][0])
        maps[code] = choices[sources[code]][1]
    return Maps(maps, sources, passages)
