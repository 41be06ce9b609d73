"""From an embedding store to what Pyserini searches: fuse, and write FAISS or Lucene indexes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.auto import OPEN, complete
from pyserini_xqg.index.folds import folds_in
from pyserini_xqg.index.manifest import FORMAT, MANIFEST, index_manifest, read_manifest
from pyserini_xqg.index.maps_file import MAPS, describe_maps, maps_of, save_maps
from pyserini_xqg.index.max_sim import MAX_SIM, check_max_sim, write_max_sim
from pyserini_xqg.index.options import Job, Options
from pyserini_xqg.index.self_check import say, self_check
from pyserini_xqg.index.settings import FALLBACK, Fusion, check_fusion
from pyserini_xqg.index.targets import TARGETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.index.maps import Maps
    from pyserini_xqg.store.store import Store


def build_index(
    store: Store,
    output: str | Path,
    fusion: Fusion | None = None,
    *,
    to: str = "faiss",
    languages: Sequence[str] | None = None,
    maps: Maps | None = None,
    chosen_by: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Fuse a store and write an index or an export: its files, ``docid``, and ``xqg.json`` last.

    Flat FAISS indexes and exports are written block by block and resumed. FAISS holds its other
    types in memory; the recall of approximate ones is measured, recorded and printed. So is what
    the index does to the collection's own queries (`pyserini_xqg.index.self_check`).

    Parameters
    ----------
    store : Store
    output : path-like
    fusion : Fusion or None
        Where none is given, alpha and mu are chosen: see `pyserini_xqg.index.auto.complete`.
    to : str
        A key of `TARGETS`.
    languages : sequence of str or None
        Those to fold in; all of the store's by default.
    maps : Maps or None
        For a mu above 0; fitted on the store if none are given. Those of an earlier index
        (`pyserini_xqg.index.maps_file.load_maps`) are for passages that arrive later, with queries
        or without.
    chosen_by : mapping or None
        How the settings were chosen, to be recorded.
    overwrite : bool
        Replace an existing folder.
    **options
        The fields of `pyserini_xqg.index.options.Options`.

    Raises
    ------
    XqgError
        For settings that do not fit the store, and for vectors that are not finite.
    """
    if fusion is None:
        fusion, maps, chosen_by = complete(store, OPEN, routed=False, languages=languages)
    _say_coverage(store, fusion, languages, chosen=chosen_by is not None)
    checked = _build(
        store, output, fusion, to, languages, maps, chosen_by, overwrite, Options(**options)
    )
    say({"": checked})


def _build(
    store: Store,
    output: str | Path,
    fusion: Fusion,
    to: str,
    languages: Sequence[str] | None,
    maps: Maps | None,
    chosen_by: Mapping[str, Any] | None,
    overwrite: bool,
    options: Options,
    folds: NDArray[np.uint8] | None = None,
) -> dict[str, Any] | None:
    """As `build_index`; what the self-check found is returned, not printed."""
    from pyserini_xqg.base.output import OutputFolder
    from pyserini_xqg.index.fused import Fused

    check_fusion(fusion)
    if to not in TARGETS:
        raise XqgError(f"--to {to!r} is none of {', '.join(TARGETS)}")
    chosen = _languages(store, languages, fusion, maps)
    single = fusion.method == MAX_SIM
    if single:
        check_max_sim(store, fusion, chosen, to, options.index_type)
    else:
        fusion.check(chosen)
    plan = {"to": to, "store": store.digest, "fusion": asdict(fusion), "languages": chosen}
    covered = dict.fromkeys(chosen, 0) | store.covered(_there(store, chosen))
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        centres = corpus_centres(store, chosen) if fusion.centre else None
        maps = _fitted(store, chosen, maps) if fusion.mu else None
        manifest = index_manifest(
            kind=MAX_SIM if single else to,
            fusion=fusion,
            encoder=store.encoder.to_dict(),
            queries={language: store.queries.get(language, 0) for language in chosen},
            passages=store.passages,
            dimension=store.dimension,
            store=store.digest,
            probes=store.manifest["probes"],
            centres=centres,
            covered=covered,
        )
        if maps is not None:
            save_maps(maps, folder.partial / MAPS)
            manifest["maps"] = describe_maps(maps, folder.partial / MAPS)
            plan["maps"] = manifest["maps"]["digest"]  # those given may come from anywhere
        if chosen_by:
            manifest["chosen"] = dict(chosen_by)
        if single:
            write_max_sim(folder, store, fusion, chosen, plan, manifest)
            return None
        checked = self_check(store, fusion, chosen, centres, maps)
        if checked:
            manifest["self_check"] = checked
        fused = Fused(store, fusion, chosen, centres, maps, folds, folder.path.name)
        TARGETS[to](Job(folder, fused, plan, manifest, options))
    return checked


def build_routed(
    store: Store,
    output: str | Path,
    fusion: Fusion | None = None,
    *,
    to: str = "faiss",
    languages: Sequence[str] | None = None,
    maps: Maps | None = None,
    chosen_by: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """One index a query language and one over all, in one folder: ``DIR/te/``, ``DIR/all/``.

    Each is an index of its own for stock Pyserini; ``DIR/xqg.json``, last, holds the routes.

    Parameters and errors are those of `build_index`; a fusion may have an alpha for each route.
    """
    from pyserini_xqg.base.leftovers import tidy
    from pyserini_xqg.base.output import OutputFolder

    if fusion is None:
        fusion, maps, chosen_by = complete(store, OPEN, routed=True, languages=languages)
    check_fusion(fusion)
    chosen = _languages(store, languages, fusion, maps)
    fusion.check_routes(chosen)
    _say_coverage(store, fusion, languages, chosen=chosen_by is not None)
    if not chosen:
        raise XqgError("--routed needs generated queries; encode with xqg --queries")
    plan = {
        "to": to,
        "store": store.digest,
        "fusion": asdict(fusion),
        "languages": chosen,
        "type": Options(**options).index_type,
    }
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        maps = _fitted(store, chosen, maps) if fusion.mu else None
        if maps is not None:
            save_maps(maps, folder.work / MAPS)
            plan["maps"] = describe_maps(maps, folder.work / MAPS)["digest"]
        folder.start(plan, {})
        folds, checked = None if maps is None else folds_in(store), {}  # once for all routes
        for route in [*chosen, FALLBACK]:
            path = folder.partial / route
            if path.is_dir():  # finished before the process was killed
                tidy(path)
                checked[route] = read_manifest(path).get("self_check")
                continue
            members = chosen if route == FALLBACK else [route]
            of_route = fusion.of_route(route, members)
            checked[route] = _build(
                store, path, of_route, to, members, maps, None, False, Options(**options), folds
            )
        folder.finish(
            {
                "format": FORMAT,
                "kind": "routed",
                "of": MAX_SIM if fusion.method == MAX_SIM else to,
                "routes": {code: code for code in chosen},
                "fallback": FALLBACK,
                "encoder": store.encoder.to_dict(),
                "probes": store.manifest["probes"],
                "store": store.digest,
                **({"chosen": dict(chosen_by)} if chosen_by else {}),
            },
            keep_log=False,
        )
    say(checked)


def _languages(
    store: Store, languages: Sequence[str] | None, fusion: Fusion, maps: Maps | None
) -> list[str]:
    """Those to fold in: of the store, or with maps from elsewhere, of the maps.

    Raises
    ------
    XqgError
        For one that is not there, and for centres of another store than the maps.
    """
    if maps is None or not fusion.mu:
        return store.choose(languages)
    if fusion.centre:
        raise XqgError(
            "--maps with --centre: centres are the means of one store, so vectors of two would not "
            "compare; leave one of them out"
        )
    asked = maps.languages if languages is None else sorted(set(languages))
    if missing := [code for code in asked if code not in maps.languages]:
        raise XqgError(
            f"--maps: none for {' '.join(missing)}; there are {' '.join(maps.languages)}"
        )
    return asked


def _there(store: Store, languages: Sequence[str]) -> list[str]:
    return [code for code in languages if code in store.languages]


def _fitted(store: Store, languages: Sequence[str], maps: Maps | None) -> Maps:
    """The maps given, of these languages alone, or else maps fitted on the store; says what is odd.

    Raises
    ------
    XqgError
        For maps of vectors of another dimension.
    """
    if maps is None:
        maps = maps_of(store, languages)
        for line in maps.notes():
            print(f"note: {line}", file=sys.stderr)
    maps = maps.of(languages)
    if maps.dimension not in (None, store.dimension):
        raise XqgError(
            f"--maps are of {maps.dimension} dimensions, the store has {store.dimension}; give the "
            "index of a store with the same encoder"
        )
    return maps


def _say_coverage(
    store: Store, fusion: Fusion, languages: Sequence[str] | None, *, chosen: bool
) -> None:
    """One line where some passages have no queries: how many have, by language.

    Settings that were `chosen` do no harm to those without, or would not have been: no warning.
    """
    check_fusion(fusion)
    there = store.languages if languages is None else _there(store, languages)
    covered = store.covered(there)
    if not fusion.method or min(covered.values(), default=store.passages) == store.passages:
        return
    shares = " ".join(f"{code} {100 * n / store.passages:.3g}" for code, n in covered.items())
    line = f"coverage: passages with queries, %: {shares}"
    if fusion.method == "mean" and not fusion.mu and not chosen:
        line += "; the others will hardly be found beside them: see --mu"
    print(line, file=sys.stderr)


def corpus_centres(store: Store, languages: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The mean vector of each language's queries over all shards, summed in float64.

    Raises
    ------
    XqgError
        If the store is in float16, whose sums are too coarse for it.
    """
    if store.manifest["dtype"] != "float32":
        raise XqgError("--centre needs a float32 store; encode again with output --dtype float32")
    sums = {language: np.zeros(store.dimension) for language in languages}
    for block in store.blocks(languages):
        for language in languages:
            sums[language] += block.sums[language].sum(axis=0, dtype=np.float64)
    return {
        language: (total / max(store.queries[language], 1)).astype(np.float32)
        for language, total in sums.items()
    }
