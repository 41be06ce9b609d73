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


class Moments(NamedTuple):
    """Sums over passages with queries: x is E(p), y the mean of its queries' vectors.

    Attributes
    ----------
    passages : float
    x, y : array, shape (d,), float64
    xx, xy : array, shape (d, d), float64
        Of the outer products.
    yy : float
        Of the squared lengths.
    """

    passages: float
    x: Sums
    y: Sums
    xx: Sums
    xy: Sums
    yy: float

    @classmethod
    def none(cls, dimension: int) -> Moments:
        x, xx = np.zeros(dimension), np.zeros((dimension, dimension))
        return cls(0, x, x.copy(), xx, xx.copy(), 0)

    def with_passages(self, x: Vectors, y: Vectors) -> Moments:
        """The same with more passages, shape ``(n, d)``; the arrays are changed in place.

        A block's products are in single precision, their sums over blocks in double.
        """
        for total, more in (
            (self.x, x.sum(axis=0, dtype=np.float64)),
            (self.y, y.sum(axis=0, dtype=np.float64)),
            (self.xx, x.T @ x),
            (self.xy, x.T @ y),
        ):
            total += more
        squares = float(np.square(y, dtype=np.float64).sum())
        return self._replace(passages=self.passages + len(x), yy=self.yy + squares)

    def plus(self, other: Moments, sign: int = 1) -> Moments:
        return Moments(
            self.passages + sign * other.passages,
            self.x + sign * other.x,
            self.y + sign * other.y,
            self.xx + sign * other.xx,
            self.xy + sign * other.xy,
            self.yy + sign * other.yy,
        )

    def error(self, fitted: QueryMap) -> float:
        """The sum of the squared errors of a map on these passages."""
        weights = fitted.weights.astype(np.float64)
        shift = fitted.y.astype(np.float64) - fitted.x.astype(np.float64) @ weights
        return float(
            self.yy
            - 2 * (shift @ self.y + (weights * self.xy).sum())
            + self.passages * (shift @ shift)
            + 2 * shift @ (self.x @ weights)
            + (weights * (self.xx @ weights)).sum()
        )

    def error_of_passages(self) -> float:
        """The same of E(p), taken for the mean of its queries' vectors."""
        return float(self.yy - 2 * np.trace(self.xy) + np.trace(self.xx))

    def ridge(self, strength: float) -> QueryMap:
        """The map of these passages."""
        x, y, square, cross = self._centred()
        drawn_to = _half_of_the_multiple(square, cross)
        diagonal = np.diag_indices_from(square)
        square[diagonal] += strength
        cross[diagonal] += strength * drawn_to
        return self._map(x, y, np.linalg.solve(square, cross), strength)

    def errors(self, others: Moments, strengths: Sequence[float]) -> list[float]:
        """The sums of the squared errors on these passages of others' maps, by their strength.

        A map less h I is the ridge of M(p) - y - h (E(p) - x), drawn to 0. With A = V diag(v) V^T,
        B less h A, and T = V^T B of the others, it is W = V D T with D = diag(1 / (v + s)); and
        with A' and B' of these passages about the others' means, B' less h A', the error is

            sum |M(p) - y - h (E(p) - x)|^2 - 2 tr(W^T B') + tr(W^T A' W)

        whose traces are sums over products of D with what does not depend on s.
        """
        x, y, square, cross = others._centred()
        drawn_to = _half_of_the_multiple(square, cross)
        cross -= drawn_to * square
        values, vectors = np.linalg.eigh(square)
        turned = vectors.T @ cross
        number, far = self.passages, self.x - self.passages * x
        mine = self.xx - np.outer(x, self.x) - np.outer(far, x)
        own = self.xy - np.outer(x, self.y) - np.outer(far, y)
        least = self.yy - 2 * y @ self.y + number * y @ y
        least += drawn_to * (drawn_to * np.trace(mine) - 2 * np.trace(own))
        crossed = (turned * (vectors.T @ (own - drawn_to * mine))).sum(axis=1)
        both = (vectors.T @ mine @ vectors) * (turned @ turned.T)
        # Below 0 is a value that rounding made of 0.
        scales = [1 / (np.maximum(values, 0) + strength) for strength in strengths]
        return [float(least - 2 * by @ crossed + by @ both @ by) for by in scales]

    def _centred(self) -> tuple[Sums, Sums, Sums, Sums]:
        """The means x and y, and the sums A and B."""
        x, y = self.x / self.passages, self.y / self.passages
        square = self.xx - self.passages * np.outer(x, x)
        return x, y, square, self.xy - self.passages * np.outer(x, y)

    def _map(self, x: Sums, y: Sums, weights: NDArray[Any], strength: float) -> QueryMap:
        return QueryMap(
            x.astype(np.float32),
            y.astype(np.float32),
            weights.astype(np.float32),
            round(self.passages),
            strength,
        )


def _half_of_the_multiple(square: Sums, cross: Sums) -> float:
    """The formula's h; 0 where all passages are one and the same."""
    spread = float(np.trace(square))
    return float(np.trace(cross)) / (2 * spread) if spread > 0 else 0.0


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
