"""The sums that a map is fitted from, by fold, which shards and other processes add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.index.folds import FOLDS
from pyserini_xqg.index.ridge import FoldMaps, Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Folds = NDArray[np.integer[Any]]

#: Tried as strengths, times the mean squared length of the passages' vectors.
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
#: Passages left out that are enough to choose a strength by.
JUDGED = 1000
#: Passages with queries that a map must rest on: one a fold.
FEWEST = FOLDS


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
        self.folds = [Moments.none(dimension) for _ in range(FOLDS)]

    @staticmethod
    def size(dimension: int) -> int:
        """Bytes of the sums of one language, near enough."""
        return 8 * FOLDS * 2 * dimension * (dimension + 1)

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
        filled = [of for of in self.folds if of.passages]
        if whole.passages < FEWEST or len(filled) < 2:
            return None
        best = self._best_strength(whole, filled) if strength is None else strength
        square = FOLDS + 1, len(whole.x), len(whole.x)  # as they are saved, and not copied again
        weights, x, y = np.empty(square, np.float32), *np.empty((2, *square[:2]), np.float32)
        passages, error = [], 0.0
        for fold, of in enumerate([*self.folds, Moments.none(len(whole.x))]):
            fitted = whole.plus(of, -1).ridge(best)
            weights[fold], x[fold], y[fold] = fitted.weights, fitted.x, fitted.y
            passages.append(fitted.passages)
            error += of.error(fitted)
        return FoldMaps(x, y, weights, passages, best, error / self.passages)

    def _best_strength(self, whole: Moments, filled: Sequence[Moments]) -> float:
        """That which errs least on folds left out, on as many as hold `JUDGED` passages."""
        scale = float(np.trace(whole.xx)) / whole.passages
        strengths = [scale * each for each in STRENGTHS]
        errors, judged = np.zeros(len(strengths)), 0.0
        for fold in filled:
            errors += fold.errors(whole.plus(fold, -1), strengths)
            judged += fold.passages
            if judged >= JUDGED:
                break
        return strengths[int(errors.argmin())]

    def error_of(self, maps: FoldMaps | None) -> float:
        """The mean squared error of other maps on these passages; of E(p) itself for None."""
        if maps is None:
            squares = self._whole().error_of_passages()
        else:
            squares = sum(
                of.error(fitted) for of, fitted in zip(self.folds, maps.folds, strict=True)
            )
        return squares / max(self.passages, 1)

    def _whole(self) -> Moments:
        whole = self.folds[0]
        for of in self.folds[1:]:
            whole = whole.plus(of)
        return whole
