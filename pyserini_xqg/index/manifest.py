"""``xqg.json``: what an index says about itself, written last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import read_finished
from pyserini_xqg.base.refusing import check_names
from pyserini_xqg.base.versions import versions
from pyserini_xqg.index.settings import Fusion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MANIFEST = "xqg.json"
FORMAT = 1
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "kind": str,
    "encoder": (dict, NoneType), "probes": (list, NoneType), "languages": (dict, NoneType),
    "routes": (dict, NoneType), "centres": (dict, NoneType), "weights": (dict, NoneType),
    "passages": (int, NoneType), "dimension": (int, NoneType), "versions": (dict, NoneType),
}  # fmt: skip


def index_manifest(
    *,
    fusion: Fusion,
    queries: Mapping[str, int],
    centres: Mapping[str, NDArray[np.float32]] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """The content of ``xqg.json``: everything that a searcher, and a reader, must know."""
    return {
        "format": FORMAT,
        **facts,
        "method": fusion.method,
        "alpha": fusion.alpha,
        "mu": fusion.mu,
        "weights": {language: float(fusion.weights.get(language, 1.0)) for language in queries},
        "centred": fusion.centre,
        "l2_norm": fusion.l2_norm,
        "languages": dict(queries),
        "centres": {
            language: [float(value) for value in centre]
            for language, centre in (centres or {}).items()
        },
        "versions": versions(),
    }


def is_ours(path: str | Path) -> bool:
    """Whether a folder is a finished index of ours."""
    return (Path(path) / MANIFEST).is_file()


def kind_of_stock(path: str | Path) -> str | None:
    """``bm25`` for a Lucene index, ``faiss`` for a FAISS folder of Pyserini's, where none is ours.

    Lucene's dense indexes look as those of words do, from outside.
    """
    folder = Path(path)
    if is_ours(folder):
        return None
    if any(folder.glob("segments_*")):
        return "bm25"
    return "faiss" if all((folder / name).is_file() for name in ("index", "docid")) else None


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The ``xqg.json`` of a finished index.

    Raises
    ------
    XqgError
        If the folder is no index of ours.
    """
    path = Path(path)
    if kind_of_stock(path):
        raise XqgError(
            f"{path} is an index of stock Pyserini (no {MANIFEST}), which says nothing of itself: "
            "the commands search and hybrid take it, with what they must know of it"
        )
    manifest = read_finished(
        path, MANIFEST, FORMAT, _FIELDS, what="xQG index", made_by="python -m pyserini_xqg.index"
    )
    routes, languages = (manifest.get(name) or {} for name in ("routes", "languages"))
    fallback = [manifest.get("fallback")] if routes else []
    check_names([*routes, *routes.values(), *languages, *fallback], path / MANIFEST)
    if "method" in manifest:  # from before it existed: the plain mean
        manifest.setdefault("mu", 0.0)
    return manifest


class Built(NamedTuple):
    """What an index of vectors was built with.

    Attributes
    ----------
    fusion : Fusion
        Of a routed index with the alphas of its routes.
    routed : bool
    languages : list of str
        Those that it folds in; of a routed one in its index over all.
    """

    fusion: Fusion
    routed: bool
    languages: list[str]


def read_built(path: str | Path) -> Built:
    """The settings that an index was built with.

    Raises
    ------
    XqgError
        If the folder is no index of ours, and for one without fused vectors, such as BM25.
    """
    path = Path(path)
    manifest = read_manifest(path)
    routes = manifest.get("routes") or {}
    names = [*routes.values(), manifest["fallback"]] if routes else []
    of = {name: read_manifest(path / name) for name in names}
    one = of[manifest["fallback"]] if routes else manifest
    if "alpha" not in one:
        raise XqgError(
            f"{path} holds no fused vectors, but {one['kind']}; expected what python -m "
            "pyserini_xqg.index makes of a store"
        )
    fusion = Fusion(
        one["method"],
        None if routes else one["alpha"],
        {code: weight for code, weight in one["weights"].items() if weight != 1},
        one["centred"],
        one["l2_norm"],
        {name: each["alpha"] for name, each in of.items()},
        one["mu"],
    )
    return Built(fusion, bool(routes), list(one["languages"]))


def check_maps(path: Path, manifest: Mapping[str, Any], first: Path, of_first: Any) -> None:
    """Refuse an index whose queries are smoothed by other maps than those of the first.

    Raises
    ------
    XqgError
        Saying how both get the same.
    """
    one, other = ((of.get("maps") or {}).get("digest") for of in (manifest, of_first))
    if one != other:
        raise XqgError(
            f"{path} was made with other maps than {first}, each fitted on its own passages: index "
            f"the stores together, or build {path} again with --maps {first}"
        )
