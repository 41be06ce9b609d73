"""An index against the store that it was made from: its vectors, and its self-check once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.build import corpus_centres
from pyserini_xqg.index.export import FORMS
from pyserini_xqg.index.flat import open_index
from pyserini_xqg.index.fused import Fused
from pyserini_xqg.index.maps_file import load_maps
from pyserini_xqg.index.self_check import line, self_check
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.store.store import Store
from pyserini_xqg.verify.check import (
    ERROR,
    OK,
    SKIPPED,
    WARNING,
    Check,
    Findings,
    Settings,
    Verdict,
    check,
)

#: Of the vector's norm: what two machines may differ by.
TOLERANCE = 1e-5

#: Gives docids and vectors, as many at a time as is asked for.
Rows = Callable[[Sequence[int]], Iterator[tuple[list[str], "NDArray[np.float32]"]]]


def against(path: Path, manifest: Mapping[str, Any], rows: Rows, store: Store) -> Verdict:
    """Fuse the store again, block by block, and compare."""
    if not _exact(path, manifest):
        return SKIPPED, f"type {manifest['type']} does not keep the vectors as they are"
    fused = fused_again(path, manifest, store)
    far, worst = Findings(), 0.0
    for (there, expected), (docids, vectors) in zip(
        fused.blocks("comparing"), rows(fused.block_sizes), strict=True
    ):
        if docids != there:
            pairs = zip(docids, there, strict=True)
            return ERROR, "docid {!r} where the store has {!r}".format(
                *next(pair for pair in pairs if pair[0] != pair[1])
            )
        lengths = np.linalg.norm(expected.astype(np.float64), axis=1)
        apart = np.linalg.norm(vectors.astype(np.float64) - expected, axis=1)
        ratios = apart / np.where(lengths > 0, lengths, 1)
        worst = max(worst, float(np.nan_to_num(ratios, nan=np.inf).max()))
        for row in np.flatnonzero(~(ratios <= TOLERANCE)):
            far.add(docids[row])
    if far:
        return ERROR, (
            f"{far.count} of {store.passages} vectors differ from the store's, by up to "
            f"{worst:.1e} of their length: {far}; build the index again"
        )
    if manifest.get("store") not in (None, store.digest):
        return WARNING, "the same vectors, though it was made from other files (shards, merged)"
    return OK, f"the same vectors (within {worst:.1e} of their length)"


def fused_again(path: Path, manifest: Mapping[str, Any], store: Store) -> Fused:
    """What the index was made of, from a store.

    Raises
    ------
    XqgError
        If it cannot be this store.
    """
    if (store.passages, store.dimension) != (manifest["passages"], manifest["dimension"]):
        raise XqgError(
            f"the store has {store.passages} passages of dimension {store.dimension}; give the "
            "one that the index was made from, all shards in order"
        )
    if manifest["mu"]:  # maps make up for languages that the store lacks
        languages = list(manifest["languages"])
    else:
        languages = store.choose(list(manifest["languages"]))
    fusion = Fusion(
        manifest["method"],
        manifest["alpha"],
        manifest["weights"],
        manifest["centred"],
        manifest["l2_norm"],
        mu=manifest["mu"],
    )
    centres = corpus_centres(store, languages) if fusion.centre else None
    maps = load_maps(path, manifest) if fusion.mu else None
    return Fused(store, fusion, languages, centres, maps)


def _exact(path: Path, manifest: Mapping[str, Any]) -> bool:
    import faiss

    if manifest["kind"] in FORMS or manifest["type"] == "flat":
        return True
    owner = open_index(path / "index")  # what `downcast_index` gives dies with it
    index = faiss.downcast_index(owner)
    return isinstance(faiss.downcast_index(getattr(index, "storage", index)), faiss.IndexFlat)


# Points of 100 that two machines may differ by.
_SAME = 0.1


def check_queries(path: Path, manifest: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    """The self-check that an index was built with, repeated where its store is given."""
    if recorded := manifest.get("self_check"):
        yield check(path, "self-check", lambda: _look(path, manifest, settings, recorded))


def _look(
    path: Path, manifest: Mapping[str, Any], settings: Settings, recorded: Mapping[str, Any]
) -> Verdict:
    found, again = recorded, "as recorded; --store repeats it"
    if settings.store is not None:
        of = fused_again(path, manifest, settings.store)
        repeated = self_check(of.store, of.fusion, of.languages, of.centres, of.maps)
        if repeated is None:
            again = "as recorded; this store has no sample of single query vectors to repeat it"
        else:
            found, again = repeated, "repeated"
            if abs(found["index"] - recorded["index"]) > _SAME:
                again = f"recorded were {recorded['index']:.1f}"
    said = line({"": found}).removeprefix("self-check, ")
    if "warning" in found:
        return WARNING, f"{found['warning']} ({said}; {again})"
    return (OK if "were" not in again else WARNING), f"{said} ({again})"
