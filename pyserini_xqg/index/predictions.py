"""What maps expect of some passages' queries, made no further than it is asked for.

The mean over languages needs sum_l s_l(p) P_l(p) alone, with shares s_l(p) that the counts of the
passage's queries decide. Each P_l is a product with a matrix of its own. But passages of one fold
with the same counts have the same shares: there the matrices are added up first, which leaves one
product instead of one a language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.index.ridge import FoldMaps

    Vectors = NDArray[np.float32]
    Folds = NDArray[np.integer[Any]]
    Rows = NDArray[np.int64]
    Affine = tuple[Vectors, Vectors]

# So many passages of a block make it worth while to add up matrices for them. So many sums are kept
# for the blocks to come: of all folds, for two sets of counts.
_WORTH, _KEPT = 32, 22


class Predictions(Mapping[str, "Vectors"]):
    """By language the mean query vectors to expect of some passages, shape ``(n, d)``, float32.

    Parameters
    ----------
    maps : mapping of language to FoldMaps or None
        None for E(p).
    passages : array, shape (n, d), float32
    folds : array, shape (n,), or None
        The whole maps for None, and where it is negative.
    has : mapping of language to array of bool, shape (n,), or None
        Which of the passages have queries; the others, which no map rests on, get the whole map.
        None for all.
    kept : dict or None
        Sums of matrices, to be used again with other passages of the same maps.
    """

    def __init__(
        self,
        maps: Mapping[str, FoldMaps | None],
        passages: Vectors,
        folds: Folds | None = None,
        has: Mapping[str, NDArray[np.bool_]] | None = None,
        kept: dict[Any, Affine] | None = None,
    ) -> None:
        self._maps, self._passages, self._has = maps, passages, has
        self._folds = np.full(len(passages), -1) if folds is None else folds
        self._kept = {} if kept is None else kept
        self._made: dict[str, Vectors] = {}

    def __getitem__(self, language: str) -> Vectors:
        if language not in self._made:
            self._made[language] = (
                self._passages
                if self._maps[language] is None
                else self.mixed({language: np.ones(len(self._passages), np.float32)})
            )
        return self._made[language]

    def __contains__(self, language: object) -> bool:
        return language in self._maps  # a mapping's own would make it

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

    def mixed(self, shares: Mapping[str, Vectors]) -> Vectors:
        """What is expected in some languages, each times the passages' shares, in one sum.

        Parameters
        ----------
        shares : mapping of language to array, shape (n,), float32

        Returns
        -------
        array, shape (n, d), float32
        """
        order = np.argsort(self._folds, kind="stable")  # so that a fold's lie together
        passages, folds = self._passages[order], self._folds[order]
        by_fold = folds >= 0
        total = np.zeros_like(passages)
        columns: dict[tuple[int, bool], _Column] = {}
        for code, share in shares.items():
            maps, mine = self._maps[code], share[order]
            if maps is None:
                total += mine[:, None] * passages
                continue
            known = by_fold if self._has is None else by_fold & self._has[code][order]
            for whole, of in ((False, mine * known), (True, mine * ~known)):
                if of.any():
                    key = id(maps), whole
                    if key in columns:  # languages may share a map
                        of += columns[key].shares
                    columns[key] = _Column(maps, whole, of)
        left = np.arange(len(total))
        if len({number for number, _ in columns}) > 1:
            left = _add_alike(list(columns.values()), passages, folds, total, self._kept)
        _add_apart(list(columns.values()), passages, folds, total, left)
        mixed: Vectors = np.empty_like(total)
        mixed[order] = total
        return mixed


class _Column(NamedTuple):
    """What a map, whole or by fold, counts for each passage: shape ``(n,)``."""

    maps: FoldMaps
    whole: bool
    shares: Vectors


def _add_alike(
    columns: Sequence[_Column],
    passages: Vectors,
    folds: Folds,
    total: Vectors,
    kept: dict[Any, Affine],
) -> Rows:
    """Add what passages with the same shares get; the rows of those that are left."""
    shares = np.stack([of.shares for of in columns], axis=1)
    by_fold = np.any([of.shares != 0 for of in columns if not of.whole] or [[False]], axis=0)
    folds = np.where(by_fold, folds, -1).astype(np.int32)
    left = np.ones(len(total), bool)
    # Not by what is kept: a resumed run, which has nothing yet, must make the same bytes.
    for rows in _alike(np.column_stack([folds, shares.view(np.int32)]), _WORTH):
        fold, row = int(folds[rows[0]]), shares[rows[0]]
        parts = [(of, share) for of, share in zip(columns, row, strict=True) if share]
        if len(parts) < 2:
            continue
        key = fold, *((id(of.maps), of.whole, float(share)) for of, share in parts)
        if key not in kept:
            if len(kept) >= _KEPT:  # the oldest makes room
                del kept[next(iter(kept))]
            kept[key] = _added_up(fold, parts)
        weights, shift = kept[key]
        here = _view(rows)
        found = passages[here] @ weights
        found += shift
        total[here] += found
        left[rows] = False
    return np.flatnonzero(left)


def _add_apart(
    columns: Sequence[_Column], passages: Vectors, folds: Folds, total: Vectors, rows: Rows
) -> None:
    """Add what each map gives some rows, one map after the other."""
    if not len(rows):
        return
    here = _view(rows)
    asked, folds = passages[here], folds[here]
    found = np.zeros_like(asked)
    starts = np.flatnonzero(np.diff(folds, prepend=folds[0] - 1)).tolist()
    by_fold = list(zip(folds[starts].tolist(), starts, [*starts[1:], len(rows)], strict=True))
    for of in columns:
        shares = of.shares[here]
        for fold, start, stop in [(-1, 0, len(rows))] if of.whole else by_fold:
            number = np.count_nonzero(shares[start:stop])
            if not number:
                continue
            used: Any = slice(start, stop)
            if 2 * number < stop - start:  # a view of all is cheaper than a copy of many
                used = np.flatnonzero(shares[start:stop]) + start
            weights, shift = of.maps.at(fold)
            part = asked[used] @ weights
            part += shift
            part *= shares[used, None]
            found[used] += part
    total[here] += found


def _view(rows: Rows) -> Any:
    """Sorted rows as a slice where there are no others between them."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first + 1 == len(rows) else rows


def _added_up(fold: int, parts: Sequence[tuple[_Column, np.float32]]) -> Affine:
    """The weights and the shift of maps together, each times its share."""
    every = [(share, of.maps.at(-1 if of.whole else fold)) for of, share in parts]
    weights, shift = (np.zeros_like(of) for of in every[0][1])
    for share, (its_weights, its_shift) in every:
        weights += share * its_weights
        shift += share * its_shift
    return weights, shift


def _alike(table: NDArray[np.int32], least: int) -> list[Rows]:
    """Numbers of rows that are the same, in groups of so many at least."""
    factors = np.cumprod(np.full(table.shape[1], 6364136223846793005))  # Knuth's; it overflows
    _, first, group, sizes = np.unique(
        table @ factors, return_index=True, return_inverse=True, return_counts=True
    )
    if not (table == table[first[group]]).all():  # a sum that two rows have by chance
        return []
    return [np.flatnonzero(group == number) for number in np.flatnonzero(sizes >= least)]
