"""What maps expect of some passages' queries, made no further than it is asked for.

The mean over languages needs sum_l s_l(p) P_l(p) alone, with shares s_l(p) that the counts of the
passage's queries decide. Each P_l is a product with a matrix of its own. But passages of one fold
with the same counts have the same shares: there the matrices are added up first, which leaves one
product instead of one a language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
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
        mapped = {}
        for code, share in shares.items():
            of = self._maps[code]
            if of is None:
                total += share[:, None] * self._passages
            else:
                mapped[code] = of
        if not mapped:
            return
        maps = list(dict.fromkeys(mapped.values()))  # languages may share one
        whose = np.array([[of is one for of in mapped.values()] for one in maps], np.float32)
        every = np.stack([shares[code] for code in mapped])
        known = np.broadcast_to(self._folds >= 0, every.shape)
        if self._has is not None:
            known = known & np.stack([self._has[code] for code in mapped])
        self._add(total, maps, whose @ (every * known), self._folds)
        if not known.all():
            self._add(total, maps, whose @ (every * ~known), np.full_like(self._folds, -1))

    def _add(self, total: Vectors, maps: Sequence[FoldMaps], shares: Vectors, folds: Folds) -> None:
        """Add what maps without these folds expect, each times the passages' shares."""
        rows, pieces = _pieces(shares, folds)
        passages, shares, folds = self._passages.take(rows, axis=0), shares[:, rows], folds[rows]
        found = np.empty_like(passages)
        for start, stop, alike in pieces:
            x, its, fold = passages[start:stop], shares[:, start:stop], folds[start]
            if alike:
                weights, shift = self._added_up(maps, its[:, 0], fold)
                np.matmul(x, weights, out=found[start:stop])
                found[start:stop] += shift
                continue
            part = its.T @ np.array([of.at(fold)[1] for of in maps])
            for of, share in zip(maps, its, strict=True):
                number = np.count_nonzero(share)
                # A view of all is cheaper than a copy of many.
                used = slice(None) if 2 * number > len(share) else np.flatnonzero(share)
                if number:
                    part[used] += (x[used] * share[used, None]) @ of.at(fold)[0]
            found[start:stop] = part
        found += total.take(rows, axis=0)
        total[rows] = found

    def _added_up(self, of: Sequence[FoldMaps], shares: Vectors, fold: int) -> Affine:
        """The weights and the shift of maps together, each times its share."""
        key = fold, shares.tobytes(), *of
        if key not in self._kept:
            if len(self._kept) >= _KEPT:  # the oldest makes room
                del self._kept[next(iter(self._kept))]
            weights, shift = (np.zeros_like(part) for part in of[0].at(fold))
            for maps, share in zip(of, shares, strict=True):
                its_weights, its_shift = maps.at(fold)
                weights += share * its_weights
                shift += share * its_shift
            self._kept[key] = weights, shift
        return self._kept[key]


def _pieces(shares: Vectors, folds: Folds) -> tuple[Rows, list[tuple[int, int, bool]]]:
    """The passages that have shares, in an order in which pieces of it are of one fold each.

    Of each piece the start, the stop, and whether the shares are all the same.

    Those that have the same shares in several maps are a piece of their own where they are many.
    Not by what is kept: a resumed run, which has nothing yet, must make the same bytes.
    """
    some = np.flatnonzero(shares.any(axis=0))
    shares, folds = shares.take(some, axis=1), folds[some]
    groups = np.zeros(len(some), np.int64)
    if one := bool((shares == shares[:, :1]).all()):
        order = np.argsort(folds, kind="stable")
    else:  # Knuth's factors, which overflow, make a number of them
        groups = np.cumprod(np.full(len(shares), 6364136223846793005)) @ shares.view(np.int32)
        order = np.lexsort((groups, folds))
    folds, groups = folds[order], groups[order]
    other = folds[1:] != folds[:-1]
    cuts, alike = {0, len(order), *(np.flatnonzero(other) + 1).tolist()}, set()
    starts = np.flatnonzero(np.concatenate([[True], other | (groups[1:] != groups[:-1])]))
    many = np.flatnonzero(np.diff(starts, append=len(order)) >= _WORTH)
    for start, stop in zip(starts[many], np.append(starts, len(order))[many + 1], strict=True):
        first = shares[:, order[start], None]
        several = np.count_nonzero(first) > 1  # of one map alone the sum is no less work
        if one or (several and (shares[:, order[start:stop]] == first).all()):
            cuts |= {start, stop}
            alike.add(start)
    bounds = pairwise(sorted(cuts))
    return some[order], [(start, stop, start in alike) for start, stop in bounds]
