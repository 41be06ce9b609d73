"""What a collection lets one expect of a passage's queries: a map from E(p) to their mean vector.

A map is a ridge regression (`pyserini_xqg.index.ridge`), fitted on the passages that have queries
in a language. It follows from sums over one pass, kept by fold: each passage is in one of `FOLDS`,
by its docid, and its own queries are never in its own prediction, which comes from the map fitted
without its fold. The strength is the one that errs least on the folds left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.index.folds import folds_of
from pyserini_xqg.index.map_sums import MapSums, PassageSums
from pyserini_xqg.index.predictions import Predictions
from pyserini_xqg.index.ridge import FoldMaps, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store.block import Block

    Vectors = NDArray[np.float32]
    Folds = NDArray[np.integer[Any]]

#: Whose map a language's predictions come from; the last is none, and the prediction E(p).
OWN, ALL, NONE = "own", "all", "none"


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
        self._kept: dict[Any, Any] = {}  # sums of maps that passages before have needed

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
        found = Maps(
            {code: self.maps[code] for code in languages},
            {code: self.sources[code] for code in languages},
            {code: self.passages[code] for code in languages},
        )
        found._kept = self._kept
        return found

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
        return self.expected(passages, folds, None if has is None else {language: has})[language]

    def expected(
        self,
        passages: Vectors,
        folds: Folds | None = None,
        has: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> Predictions:
        """As `predict` in every language, with folds instead of docids, and made when asked for."""
        return Predictions(self.maps, passages, folds, has, self._kept)

    def predictions(self, block: Block, folds: Folds | None = None) -> Predictions:
        """For a block that the maps were fitted on: by language, the vectors to expect."""
        if folds is None:
            folds = folds_of(block.docids)
        none = np.zeros(len(folds), bool)
        has = {c: block.counts[c] > 0 if c in block.counts else none for c in self.maps}
        return self.expected(block.passages, folds, has)


def fit_maps(
    languages: Sequence[str], sums_of: Callable[[str], MapSums], strength: float | None = None
) -> Maps:
    """The maps of each language.

    A language gets the map of all languages together where that errs less on its own passages, left
    out by folds, or where it has too few for one of its own; and where that errs more than E(p)
    itself, or there is none, E(p).

    Parameters
    ----------
    languages : sequence of str
    sums_of : callable
        The sums of a language. It is asked twice, so that memory holds those of one language and of
        all together.
    strength : float or None
        For all maps; chosen by folds if none is given.
    """
    own: dict[str, FoldMaps | None] = {}
    errors: dict[str, float] = {}
    passages = {}
    together: MapSums | None = None
    splits: tuple[PassageSums, list[Split]] | None = None
    for code in languages:
        sums = sums_of(code)
        if splits is None or splits[0] is not sums.inputs:
            splits = sums.inputs, sums.inputs.splits()
        own[code] = sums.fit(strength, splits[1])
        errors[code] = sums.error_of(None)
        passages[code] = sums.passages
        if len(languages) > 1:
            together = sums if together is None else together + sums
    del splits
    shared = None if together is None else together.fit(strength)
    del together
    maps: dict[str, FoldMaps | None] = {}
    sources = {}
    for code in reversed(languages):  # what was read last may still be at hand
        if not passages[code]:  # nothing to judge by: what the other languages say
            sources[code] = ALL if shared is not None else NONE
            maps[code] = shared
            continue
        choices: dict[str, tuple[float, FoldMaps | None]] = {NONE: (errors[code], None)}
        if shared is not None:
            choices[ALL] = (sums_of(code).error_of(shared), shared)
        if (mine := own.pop(code)) is not None:
            choices[OWN] = (mine.error, mine)
        sources[code] = min(choices, key=lambda name: choices[name][0])
        maps[code] = choices[sources[code]][1]
    of = Maps(maps, sources, passages)
    return of.of(languages)  # in the order given
