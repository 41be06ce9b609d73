"""Maps beside an index: fitted on a store, kept in a file, and described in ``xqg.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import digest_of, sync
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.index.folds import FOLDS, folds_at
from pyserini_xqg.index.map_sums import MapSums, PassageSums
from pyserini_xqg.index.maps import ALL, NONE, Maps, fit_maps
from pyserini_xqg.index.ridge import FoldMaps
from pyserini_xqg.store.rows import take_counts, take_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.store.store import Store

#: Passages with queries for each dimension that are enough for a map, whatever the size of the
#: collection: what more of them could still take off the error is a part in so many.
ENOUGH = 64
#: Bytes of sums of several languages that memory may hold; more are read from the store again.
AT_HAND = 128 << 20
# Of the vectors that are read at once.
_NUMBERS = 1 << 20
#: In the index's folder.
MAPS = "maps.safetensors"


def maps_of(store: Store, languages: Sequence[str], strength: float | None = None) -> Maps:
    """Fit the maps of a store, one language after the other.

    Where more than `ENOUGH` passages a dimension have queries, blocks evenly over the store are
    taken instead of all: more would add nothing but time. They are read twice where the sums of all
    languages are more than `AT_HAND`.

    Parameters
    ----------
    store : Store
    languages : sequence of str
    strength : float or None
        Of the ridge; chosen by folds if none is given.
    """
    enough, at_once = ENOUGH * store.dimension, max(BLOCK, _NUMBERS // store.dimension)
    rows = {
        code: _having(store, code, max(1, covered // enough))
        for code, covered in store.covered(languages).items()
    }
    every = np.unique(np.concatenate([*rows.values(), np.zeros(0, np.int64)]))
    folds = folds_at(store, every).astype(np.uint8)

    known: WeakValueDictionary[str, PassageSums] = WeakValueDictionary()

    def read(code: str) -> MapSums:
        first = next(each for each in rows if np.array_equal(rows[each], rows[code]))
        sums = MapSums(store.dimension, known.get(first))
        what = f"fitting the map of {code}"
        with Progress(len(rows[code]), what, aside=True) as bar:
            for start in range(0, len(rows[code]), at_once):
                part = rows[code][start : start + at_once]
                block = take_rows(store, part, [code])
                where = np.searchsorted(every, part)
                sums.add(block.passages, block.sums[code], block.counts[code], folds[where])
                bar.update(len(part))
        known[first] = sums.inputs
        return sums

    return fit_maps(languages, at_hand(read, store), strength)


def at_hand(sums_of: Callable[[str], MapSums], store: Store) -> Callable[[str], MapSums]:
    """The same, which keeps the sums of the latest languages: `AT_HAND` bytes of them."""
    return lru_cache(AT_HAND // MapSums.size(store.dimension))(sums_of)


def _having(store: Store, language: str, step: int) -> NDArray[np.int64]:
    """The passages with queries of every so many-th block."""
    having = [np.zeros(0, np.int64)]
    blocks = np.arange(0, store.passages, BLOCK * step)
    for start in range(0, len(blocks), BLOCK):
        rows = np.add.outer(blocks[start : start + BLOCK], np.arange(BLOCK)).ravel()
        rows = rows[rows < store.passages]
        having.append(rows[take_counts(store, rows, [language])[language] > 0])
    return np.concatenate(having)


def save_maps(maps: Maps, path: Path) -> None:
    """Write maps with safetensors, whole or not at all."""
    from safetensors.numpy import save_file

    tensors: dict[str, NDArray[np.float32]] = {}
    saved: list[FoldMaps | None] = [None]
    for code, of in maps.maps.items():
        if of is None or of in saved:  # that of all languages is saved once
            continue
        saved.append(of)
        tensors |= {f"{code}.{name}": getattr(of, name) for name in ("x", "y", "weights")}
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial)
    with open(partial, "rb+") as file:
        sync(file)
    partial.replace(path)


def describe_maps(maps: Maps, path: Path) -> dict[str, Any]:
    """What ``xqg.json`` says of saved maps."""
    return {
        "digest": digest_of(path),
        "folds": FOLDS,
        "languages": {
            code: {
                "map": maps.sources[code],
                "passages": maps.passages[code],
                "strength": None if of is None else of.strength,
                "error": None if of is None else of.error,
                "rests_on": [] if of is None else of.passages,
            }
            for code, of in maps.maps.items()
        },
    }


def load_maps(folder: str | Path, manifest: Mapping[str, Any] | None = None) -> Maps:
    """The maps of an index, for passages that arrive later.

    Parameters
    ----------
    folder : path-like
        The index; of a routed one, a route, as ``all``.
    manifest : mapping or None
        Its ``xqg.json``, read if none is given.

    Raises
    ------
    XqgError
        If the index has none, or the file is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from pyserini_xqg.index.manifest import read_manifest

    folder = Path(folder)
    manifest = read_manifest(folder) if manifest is None else manifest
    if manifest.get("kind") == "routed":
        return load_maps(folder / manifest["fallback"])
    about = manifest.get("maps")
    if not about:
        raise XqgError(f"{folder} has no maps: it was built without --mu, or with --mu 0")
    path = folder / MAPS  # whatever the manifest says: it may come from elsewhere
    if not path.is_file():
        raise XqgError(f"{path} is missing; build the index again")
    if about["folds"] != FOLDS or digest_of(path) != about["digest"]:
        raise XqgError(f"{path}: not the maps that {folder} was built with; build it again")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise XqgError(f"{path}: damaged ({error}); build the index again") from None
    maps: dict[str, FoldMaps | None] = {}
    for code, of in about["languages"].items():
        maps[code] = None
        if f"{code}.x" in tensors and of["map"] != NONE:
            x, y, weights = (tensors[f"{code}.{name}"] for name in ("x", "y", "weights"))
            maps[code] = FoldMaps(x, y, weights, of["rests_on"], of["strength"], of["error"])
    together = [code for code, of in about["languages"].items() if of["map"] == ALL]
    shared = next((of for code in together if (of := maps[code]) is not None), None)
    maps |= dict.fromkeys(together, shared)
    return Maps(
        maps,
        {code: of["map"] for code, of in about["languages"].items()},
        {code: of["passages"] for code, of in about["languages"].items()},
    )
