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
        self._folds = self._folds.astype(np.int8)  # which are sorted in a third of the time
        self._kept = {} if kept is None else kept
        self._made: dict[str, Vectors] = {}

    def __getitem__(self, language: str) -> Vectors:
        if language not in self._made:
            made = np.zeros_like(self._passages)
            self.add_to(made, {language: np.ones(len(made), np.float32)})
            self._made[language] = made
        return self._made[language]

    def __contains__(self, language: object) -> bool:
        return language in self._maps  # a mapping's own would make it

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

    def add_to(self, total: Vectors, shares: Mapping[str, Vectors]) -> None:
        """Add what is expected in some languages, each times the passages' shares.

        Parameters
        ----------
        total : array, shape (n, d), float32
        shares : mapping of language to array, shape (n,), float32
        """
        by_fold: dict[int, _Column] = {}
        whole: dict[int, _Column] = {}
        for code, share in shares.items():
            maps = self._maps[code]
            if maps is None:
                total += share[:, None] * self._passages
                continue
            known = self._folds >= 0
            if self._has is not None:
                known &= self._has[code]
            for columns, mine in ((by_fold, share * known), (whole, share * ~known)):
                if id(maps) in columns:  # languages may share a map
                    mine += columns[id(maps)].shares
                columns[id(maps)] = _Column(maps, mine)
        for columns, folds in ((by_fold, self._folds), (whole, np.full_like(self._folds, -1))):
            self._add([of for of in columns.values() if of.shares.any()], folds, total)

    def _add(self, columns: Sequence[_Column], folds: Folds, total: Vectors) -> None:
        """Add what maps without these folds give the passages, each times its shares."""
        if not columns:
            return
        shares = np.stack([of.shares for of in columns])
        for rows, alike in _pieces(shares, folds):
            passages, its = self._passages.take(rows, axis=0), shares[:, rows]
            fold = int(folds[rows[0]])
            if alike:
                weights, shift = self._added_up(columns, its[:, 0], fold)
                found = passages @ weights
                found += shift
            else:
                found = its.T @ np.stack([of.maps.at(fold)[1] for of in columns])
                for of, share in zip(columns, its, strict=True):
                    number = np.count_nonzero(share)
                    # A view of all is cheaper than a copy of many.
                    used = slice(None) if 2 * number > len(share) else np.flatnonzero(share)
                    if number:
                        part = passages[used] * share[used, None]
                        found[used] += part @ of.maps.at(fold)[0]
            total[rows] += found

    def _added_up(self, columns: Sequence[_Column], shares: Vectors, fold: int) -> Affine:
        """The weights and the shift of maps together, each times its share."""
        parts = [(of.maps, share) for of, share in zip(columns, shares, strict=True) if share]
        key = fold, *((id(maps), float(share)) for maps, share in parts)
        if key not in self._kept:
            if len(self._kept) >= _KEPT:  # the oldest makes room
                del self._kept[next(iter(self._kept))]
            weights, shift = (np.zeros_like(of) for of in parts[0][0].at(fold))
            for maps, share in parts:
                its_weights, its_shift = maps.at(fold)
                weights += share * its_weights
                shift += share * its_shift
            self._kept[key] = weights, shift
        return self._kept[key]


class _Column(NamedTuple):
    """What a map counts for each passage: shape ``(n,)``."""

    maps: FoldMaps
    shares: Vectors


def _pieces(shares: Vectors, folds: Folds) -> Iterator[tuple[Rows, bool]]:
    """Passages of one fold each that have shares, and whether these are all the same.

    Those that have the same shares in several maps are a piece of their own where they are many.
    Not by what is kept: a resumed run, which has nothing yet, must make the same bytes.
    """
    some = np.flatnonzero(shares.any(axis=0))
    shares, keys = shares.take(some, axis=1), [folds[some]]
    if len(shares) > 1 and (shares != shares[:, :1]).any():
        factors = np.cumprod(np.full(len(shares), 6364136223846793005))  # Knuth's; it overflows
        keys.insert(0, factors @ shares.view(np.int32))  # brings those that are the same together
    order = np.lexsort(keys)
    folds, shares, rows = keys[-1][order], shares.take(order, axis=1), some[order]
    other = np.ones((2, len(rows)), bool)  # than the row before: fold, and either
    other[0, 1:] = folds[1:] != folds[:-1]
    other[1, 1:] = other[0, 1:] | (shares[:, 1:] != shares[:, :-1]).any(axis=0)
    starts = np.flatnonzero(other[1])
    sizes = np.diff(starts, append=len(rows))
    alike = (sizes >= _WORTH) & (np.count_nonzero(shares[:, starts], axis=0) > 1)
    cut = alike | other[0, starts]
    cut[1:] |= alike[:-1]
    cuts = starts[cut].tolist()
    for start, stop, same in zip(cuts, [*cuts[1:], len(rows)], alike[cut].tolist(), strict=True):
        yield rows[start:stop], same
