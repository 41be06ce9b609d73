"""Several dense indexes searched as one: the best of each, merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.shards import check_same_settings
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.index.dense import check_searchable, open_dense
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Hits, merge_hits
from pyserini_xqg.index.manifest import check_maps, read_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyserini_xqg.index.hits import DenseIndex

# What makes scores of two indexes comparable.
_SAME = ("encoder", "method", "alpha", "mu", "weights", "centred", "centres", "l2_norm",
         "routes", "fallback")  # fmt: skip


class Shards:
    """Indexes of different passages, searched one after the other in this process.

    Parameters
    ----------
    indexes : sequence of DenseIndex
        In an order that decides between equal scores.
    """

    def __init__(self, indexes: Sequence[DenseIndex]) -> None:
        self._indexes = indexes

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        threads: int = 1,
        languages: Sequence[str] | None = None,
    ) -> list[Hits]:
        """As `DenseIndex.search`, over all."""
        return merge_hits(
            [
                index.search(vectors, k, threads=threads, languages=languages)
                for index in self._indexes
            ],
            k,
        )

    def tune(self, effort: Effort) -> None:
        for index in self._indexes:
            index.tune(effort)

    def close(self) -> None:
        for index in self._indexes:
            index.close()


def open_here(paths: Sequence[Path], effort: Effort) -> DenseIndex:
    """Open indexes in this process, as one."""
    indexes = [open_dense(path) for path in paths]
    index = Shards(indexes) if len(indexes) > 1 else indexes[0]
    index.tune(effort)
    return index


def check_together(paths: Sequence[Path]) -> None:
    """Refuse indexes whose scores cannot be compared.

    Raises
    ------
    XqgError
        Naming what differs, or the index that is given twice.
    """
    manifests = [read_manifest(path) for path in paths]
    seen: dict[Any, Path] = {}
    for path, manifest in zip(paths, manifests, strict=True):
        check_searchable(path, manifest)
        facts, expected = (
            {key: _fact(of, key) for key in _SAME} for of in (manifest, manifests[0])
        )
        check_same_settings("searched together", path, facts, paths[0], expected)
        check_maps(path, manifest, paths[0], manifests[0])
        for mark in (path.resolve(), manifest.get("store")):
            if mark is not None and mark in seen:
                raise XqgError(f"{path} and {seen[mark]} hold the same passages; give each once")
            seen[mark] = path
    routes = {*manifests[0].get("routes", {}).values(), manifests[0].get("fallback")} - {None}
    for route in sorted(routes):
        check_together([path / route for path in paths])


def _fact(manifest: Mapping[str, Any], key: str) -> Any:
    """A fact that decides scores; an encoder whole, though written before a field existed."""
    if key == "encoder":
        return EncoderSpec.from_dict(manifest[key], key).to_dict()
    return manifest.get(key)
