"""The sums that a map is fitted from, by fold, which shards and other processes add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.index.folds import FOLDS
from pyserini_xqg.index.ridge import FoldMaps, Passages, Queries, Split

Vectors = NDArray[np.float32]
Folds = NDArray[np.integer[Any]]

#: Tried as strengths, times the mean squared length of the passages' vectors.
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
#: Passages left out that are enough to choose a strength by.
JUDGED = 1000
#: Passages with queries that a map must rest on: one a fold.
FEWEST = FOLDS


class PassageSums:
    """Sums over passages by fold, whatever the language of their queries."""

    def __init__(self, dimension: int) -> None:
        self.number = np.zeros(FOLDS)
        self.x = np.zeros((FOLDS, dimension))
        self.xx = np.zeros((FOLDS, dimension, dimension))
        self._predicted: tuple[FoldMaps | None, list[float]] = None, []

    def add(self, fold: int, x: Vectors) -> None:
        """Take in more passages of a fold, shape ``(n, d)``."""
        self._predicted = None, []
        self.number[fold] += len(x)
        self.x[fold] += np.ones(len(x), np.float32) @ x
        self.xx[fold] += x.T @ x

    def __add__(self, other: PassageSums) -> PassageSums:
        both = PassageSums(0)
        for name in ("number", "x", "xx"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both

    def splits(self) -> list[Split]:
        """Each fold left out, and, the last, none."""
        every, whole = _with_none(self.number, self.x, self.xx)
        return [Split(Passages(*whole), Passages(*of)) for of in every]

    def predicted(self, maps: FoldMaps) -> list[float]:
        """By fold, the sum of the squared lengths of what the map without it makes of it."""
        if self._predicted[0] is not maps:
            found = []
            for fold, (number, x, xx) in enumerate(zip(self.number, self.x, self.xx, strict=True)):
                weights, shift = (of.astype(np.float64) for of in maps.at(fold))
                of = number * shift @ shift + 2 * shift @ (x @ weights)
                found.append(float(of + (weights * (xx @ weights)).sum()))
            self._predicted = maps, found
        return self._predicted[1]


class MapSums:
    """The sums that maps of one language, or of several together, are made of, by fold.

    Those of other passages (shards, other processes) or of another language are added with ``+``.

    Parameters
    ----------
    dimension : int
    passages : PassageSums or None
        Those of another language with queries for the very same passages, all of them taken in.

    Attributes
    ----------
    inputs : PassageSums
    """

    def __init__(self, dimension: int, passages: PassageSums | None = None) -> None:
        self._given = passages is not None
        self.inputs = PassageSums(dimension) if passages is None else passages
        self._y = np.zeros((FOLDS, dimension))
        self._xy = np.zeros((FOLDS, dimension, dimension))
        self._yy = np.zeros(FOLDS)

    @staticmethod
    def size(dimension: int) -> int:
        """Bytes of the sums of one language, near enough."""
        return 8 * FOLDS * 2 * dimension * (dimension + 1)

    @property
    def passages(self) -> int:
        """Passages with queries; in a sum over languages, pairs of passage and language."""
        return round(float(self.inputs.number.sum()))

    def add(
        self, passages: Vectors, sums: Vectors, counts: NDArray[np.int32], folds: Folds
    ) -> None:
        """Take in those of a block's passages that have queries.

        A block's products are in single precision, their sums over blocks in double.

        Parameters
        ----------
        passages, sums : array, shape (n, d), float32
        counts : array, shape (n,)
        folds : array, shape (n,)
            From `folds_of`.
        """
        has = counts > 0
        for fold in range(FOLDS):
            rows = np.flatnonzero((folds == fold) & has)
            if not len(rows):
                continue
            x, y = passages[rows], sums[rows]
            y /= counts[rows, None].astype(np.float32)
            if not self._given:
                self.inputs.add(fold, x)
            self._y[fold] += np.ones(len(y), np.float32) @ y
            self._xy[fold] += x.T @ y
            self._yy[fold] += np.einsum("ij,ij->i", y, y).sum(dtype=np.float64)

    def __add__(self, other: MapSums) -> MapSums:
        both = MapSums(0, self.inputs + other.inputs)
        for name in ("_y", "_xy", "_yy"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both

    def fit(
        self, strength: float | None = None, splits: Sequence[Split] | None = None
    ) -> FoldMaps | None:
        """The maps: without each fold, and the whole one.

        Parameters
        ----------
        strength : float or None
            That of `STRENGTHS` which errs least on the folds left out, if none is given.
        splits : sequence of Split or None
            Those of `inputs`, with what other languages have worked out.

        Returns
        -------
        FoldMaps or None
            None for fewer than `FEWEST` passages, or passages of a single fold.
        """
        if self.passages < FEWEST or np.count_nonzero(self.inputs.number) < 2:
            return None
        splits = self.inputs.splits() if splits is None else splits
        best = self._best_strength(splits) if strength is None else strength
        square = FOLDS + 1, *self._xy.shape[1:]  # as they are saved, and not copied again
        weights, x, y = np.empty(square, np.float32), *np.empty((2, *square[:2]), np.float32)
        for fold, (split, (rest, _)) in enumerate(zip(splits, self.parts(), strict=True)):
            x[fold] = split.x
            y[fold], weights[fold] = split.ridge(rest, best)
        maps = FoldMaps(x, y, weights, [round(of.number) for of in splits], best, 0.0)
        return replace(maps, error=self.error_of(maps))

    def _best_strength(self, splits: Sequence[Split]) -> float:
        """That which errs least on folds left out, on as many as hold `JUDGED` passages."""
        scale = float(np.trace(self.inputs.xx.sum(axis=0))) / self.passages
        strengths = [scale * each for each in STRENGTHS]
        errors, judged = np.zeros(len(strengths)), 0.0
        for split, (rest, own) in zip(splits, self.parts(), strict=True):
            if split.left_out.number:
                errors += split.errors(rest, own, strengths)
                judged += split.left_out.number
            if judged >= JUDGED:
                break
        return strengths[int(errors.argmin())]

    def error_of(self, maps: FoldMaps | None) -> float:
        """The mean squared error of other maps on these passages; of E(p) itself for None."""
        if maps is None:
            squares = self._yy.sum() - 2 * np.einsum("fii->", self._xy)
            squares += np.einsum("fii->", self.inputs.xx)
        else:
            squares = 0.0
            of = zip(self.inputs.predicted(maps), self._y, self._xy, self._yy, strict=True)
            for fold, (predicted, y, xy, yy) in enumerate(of):
                weights, shift = maps.at(fold)
                squares += yy - 2 * (shift @ y + (weights * xy).sum()) + predicted
        return float(squares) / max(self.passages, 1)

    def parts(self) -> Iterator[tuple[Queries, Queries]]:
        """Of each split: the rest, and those left out."""
        every, (y, xy, yy) = _with_none(self._y, self._xy, self._yy)
        for of in every:
            yield Queries(y - of[0], xy - of[1], yy - of[2]), Queries(*of)


def _with_none(*sums: Any) -> tuple[list[Any], list[Any]]:
    """The sums of each fold, and of none; and those of all."""
    every = [*zip(*sums, strict=True), [np.zeros_like(of[0]) for of in sums]]
    return every, [of.sum(axis=0) for of in sums]
