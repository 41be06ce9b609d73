"""Maps for fusions with a mu, fitted on what is scored: the store as it is, or queries moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyserini_xqg.evaluate.from_store.retrieval import Part, System, folds_of_part
from pyserini_xqg.evaluate.from_store.subject import Subject
from pyserini_xqg.index.map_sums import MapSums
from pyserini_xqg.index.maps import fit_maps
from pyserini_xqg.index.maps_file import at_hand, maps_of

if TYPE_CHECKING:
    from pyserini_xqg.store.block import Block

#: Gives the parts of a store with the queries of some languages, the same ones again and again.
PartsOf = Callable[[Sequence[str]], Iterable[Part]]


def smoothed(systems: Mapping[Any, System]) -> bool:
    """Whether one of the systems needs maps."""
    return any(system.fusion.mu for system in systems.values())


def with_maps(subject: Subject, systems: Mapping[Any, System]) -> Subject:
    """The same subject with the maps of its store, where a system needs them."""
    if subject.maps is not None or not smoothed(systems):
        return subject
    return subject._replace(maps=maps_of(subject.store, subject.languages))


def with_maps_of(
    subject: Subject,
    systems: Mapping[Any, System],
    parts_of: PartsOf,
    change: Callable[[Part], Block] | None = None,
) -> Subject:
    """The same with maps fitted on parts whose queries are not where the store has them.

    A map of the store would bring back what moving the queries took away.
    """
    if not smoothed(systems):
        return subject

    def sums_of(code: str) -> MapSums:
        sums = MapSums(subject.store.dimension)
        for part in parts_of([code]):
            block = part.block if change is None else change(part)
            sums.add(block.passages, block.sums[code], block.counts[code], folds_of_part(part))
        return sums

    return subject._replace(maps=fit_maps(subject.languages, at_hand(sums_of, subject.store)))
