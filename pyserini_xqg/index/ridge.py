"""A ridge regression from passages' vectors to the mean vectors of their queries.

Hoerl and Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics
12, 1970. With x and y the means over the passages that have queries, M(p) the mean of a passage's
query vectors, A and B the sums of (E(p) - x)^T (E(p) - x) and of (E(p) - x)^T (M(p) - y), and s the
strength:

    P(p) = y + (E(p) - x) W,      W = (A + s I)^-1 (B + s h I),      h = trace(B) / (2 trace(A))

It is drawn to h I and not to 0: 2 h (E(p) - x) is the multiple of E(p) - x that errs least from
M(p) - y. Drawn to 0, predictions lie nearer to y than any mean of real queries, and so before
passages with queries of their own in many rankings; drawn to all of that multiple, behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Sums = NDArray[np.float64]
    Folds = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class QueryMap:
    """From passages' vectors to their mean query vectors.

    Attributes
    ----------
    x, y : array, shape (d,), float32
        The means of both over the passages that it rests on.
    weights : array, shape (d, d), float32
    passages : int
        How many it rests on.
    strength : float
        Of the ridge.
    """

    x: Vectors
    y: Vectors
    weights: Vectors
    passages: int
    strength: float

    def predict(self, passages: Vectors) -> Vectors:
        """The mean query vectors to expect, shape ``(n, d)``, float32."""
        predicted = passages @ self.weights
        predicted += self.y - self.x @ self.weights
        return predicted.astype(np.float32, copy=False)


class Passages(NamedTuple):
    """Sums over passages: their number, the vectors E(p), and the outer products of these."""

    number: float
    x: Sums
    xx: Sums


class Queries(NamedTuple):
    """Sums over passages of the mean vectors of their queries, whose language has this for its own.

    Attributes
    ----------
    y : array, shape (d,), float64
    xy : array, shape (d, d), float64
        Of the outer products with E(p).
    yy : float
        Of the squared lengths.
    """

    y: Sums
    xy: Sums
    yy: float


class Split:
    """Passages left out, and the rest, which a map is fitted on.

    What is worked out from A is kept: languages that have queries for the same passages share it.

    Parameters
    ----------
    whole, left_out : Passages
    """

    def __init__(self, whole: Passages, left_out: Passages) -> None:
        self._whole, self.left_out = whole, left_out
        self.number = whole.number - left_out.number
        self._inverse: tuple[float, NDArray[Any]] | None = None

    @cached_property
    def x(self) -> Sums:
        """The rest's mean."""
        return (self._whole.x - self.left_out.x) / self.number

    def ridge(self, rest: Queries, strength: float) -> tuple[Sums, Sums]:
        """The formula's y and W."""
        y, cross, drawn_to = self._centred(rest)
        cross[np.diag_indices_from(cross)] += strength * drawn_to
        if self._inverse is None or self._inverse[0] != strength:
            square = self._square()
            square[np.diag_indices_from(square)] += strength
            self._inverse = strength, np.linalg.inv(square)
        return y, self._inverse[1] @ cross

    def errors(self, rest: Queries, own: Queries, strengths: Sequence[float]) -> list[float]:
        """The sums of the squared errors of maps on the passages left out, by their strength.

        A map less h I is the ridge of M(p) - y - h (E(p) - x), drawn to 0. With A = V diag(v) V^T,
        B less h A, and T = V^T B of the rest, it is W = V D T with D = diag(1 / (v + s)); and with
        A' and B' of the passages left out about the rest's means, B' less h A', the error is

            sum |M(p) - y - h (E(p) - x)|^2 - 2 tr(W^T B') + tr(W^T A' W)

        whose traces are sums over products of D with what does not depend on s.
        """
        y, cross, drawn_to = self._centred(rest)
        values, vectors, square, turned_square = self._turned
        turned = vectors.T @ cross - drawn_to * values[:, None] * vectors.T
        number, x, _ = self.left_out
        cross = own.xy - np.outer(self.x, own.y) - np.outer(x - number * self.x, y)
        least = own.yy - 2 * y @ own.y + number * y @ y
        least += drawn_to * (drawn_to * np.trace(square) - 2 * np.trace(cross))
        crossed = (turned * (vectors.T @ (cross - drawn_to * square))).sum(axis=1)
        both = turned_square * (turned @ turned.T)
        # Below 0 is a value that rounding made of 0.
        scales = [1 / (np.maximum(values, 0) + strength) for strength in strengths]
        return [float(least - 2 * by @ crossed + by @ both @ by) for by in scales]

    @cached_property
    def _turned(self) -> tuple[Sums, Sums, Sums, Sums]:
        """The errors' v, V, A' and V^T A' V."""
        values, vectors = np.linalg.eigh(self._square())
        number, x, xx = self.left_out
        square = xx - np.outer(self.x, x) - np.outer(x - number * self.x, self.x)
        return values, vectors, square, vectors.T @ square @ vectors

    def _square(self) -> Sums:
        """A."""
        square: Sums = self._whole.xx - self.left_out.xx
        square -= np.outer(self.number * self.x, self.x)
        return square

    def _centred(self, rest: Queries) -> tuple[Sums, Sums, float]:
        """The mean y, B, and h, which is 0 where all passages are one and the same."""
        cross = rest.xy - np.outer(self.x, rest.y)
        spread = float(np.trace(self._whole.xx) - np.trace(self.left_out.xx))
        spread -= self.number * float(self.x @ self.x)
        drawn_to = float(np.trace(cross)) / (2 * spread) if spread > 0 else 0.0
        return rest.y / self.number, cross, drawn_to


@dataclass(frozen=True, eq=False)
class FoldMaps:
    """The maps of one language: that without each fold, in order, and the whole one, the last.

    Attributes
    ----------
    x, y : array, shape (folds + 1, d), float32
    weights : array, shape (folds + 1, d, d), float32
    passages : list of int
        How many each rests on.
    strength : float
        Of the ridge.
    error : float
        The mean squared error on the folds left out.
    """

    x: Vectors
    y: Vectors
    weights: Vectors
    passages: list[int]
    strength: float
    error: float

    @property
    def folds(self) -> list[QueryMap]:
        """That without each fold."""
        return [self._one(fold) for fold in range(len(self.passages) - 1)]

    @property
    def whole(self) -> QueryMap:
        return self._one(-1)

    def at(self, fold: int) -> tuple[Vectors, Vectors]:
        """The weights, and y - x W, of the map without a fold; of the whole one for -1."""
        return self.weights[fold], self._shifts[fold]

    @cached_property
    def _shifts(self) -> Vectors:
        found: Vectors = self.y - np.einsum("fi,fij->fj", self.x, self.weights)
        return found

    def _one(self, fold: int) -> QueryMap:
        of = self.x[fold], self.y[fold], self.weights[fold], self.passages[fold]
        return QueryMap(*of, self.strength)
