"""The searcher of Pyserini's own kind that an index of ours asks for, here and in its servers.

Pyserini's REST and MCP servers (Pyserini 2.3, ``pyserini.server``) open what their configuration
file lists by a table of searcher classes, ``pyserini.server.utils.SEARCHER_FACTORIES``. Stock ones
would guess an encoder's class from its name, and leave out the analyzer of a BM25 index of ours; so
the table is given ours for folders that hold an ``xqg.json``. All else stays as it is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.index.bm25_text import is_bm25
from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.manifest import MANIFEST, read_manifest
from pyserini_xqg.plugin.bm25_searchers import Bm25Searcher, RoutedBm25Searcher
from pyserini_xqg.plugin.searchers import XqgSearcher, of_faiss
from pyserini_xqg.search.searcher import open_searcher


def open_bm25_as_pyserini(index_dir: str | Path) -> Bm25Searcher:
    """As `open_as_pyserini`, of BM25 indexes only."""
    manifest = read_manifest(index_dir)
    if not is_bm25(manifest):
        raise XqgError(
            f"{index_dir} is a {manifest['kind']} index; expected one of --to bm25. It is searched "
            "by python -m pyserini_xqg.search"
        )
    return (RoutedBm25Searcher if manifest["kind"] == "routed" else Bm25Searcher)(index_dir)


def open_as_pyserini(
    index_dir: str | Path,
    *,
    encoder: str | None = None,
    effort: Effort = Effort(),  # noqa: B008 - frozen
) -> Any:
    """Open an index; queries without a language are routed by the one that they seem to be in.

    Parameters
    ----------
    index_dir : path-like
    encoder : str or None
        Another place of the same model.
    effort : Effort

    Returns
    -------
    XqgSearcher, Bm25Searcher, RoutedBm25Searcher, or Searcher
        The last for Lucene's dense indexes, whose class in Pyserini takes no encoder of ours.
    """
    manifest = read_manifest(index_dir)
    if is_bm25(manifest):
        if encoder:
            raise XqgError(f"{index_dir} is a BM25 index and takes no encoder")
        effort.only()
        return open_bm25_as_pyserini(index_dir)
    if of_faiss(manifest):
        return XqgSearcher(index_dir, encoder=encoder, effort=effort)
    return open_searcher(index_dir, encoder=encoder, effort=effort)


#: What ``encoder`` says in a server's configuration for the encoder that the index names itself;
#: anything else is another place of the same model.
OWN_ENCODER = "xqg"


def register_searchers() -> bool:
    """Give the servers our searchers for our indexes.

    Returns
    -------
    bool
        False where this Pyserini's servers take no index from a folder (1.6).
    """
    if not importlib.util.find_spec("pyserini.server.utils"):
        return False
    from pyserini.server import backend, utils

    for index_type, (local, prebuilt, arguments) in utils.SEARCHER_FACTORIES.items():
        if not getattr(local, "opens_ours", False):
            utils.SEARCHER_FACTORIES[index_type] = (_opener(local), prebuilt, arguments)
    if not getattr(backend.get_backend, "serves_folders", False):
        backend.get_backend = _serving_folders(backend.get_backend)
    return True


def _opener(stock: Callable[..., Any]) -> Callable[..., Any]:
    def open_index(path: str, **arguments: Any) -> Any:
        if not (Path(path) / MANIFEST).is_file():
            return stock(path, **arguments)
        # What each kind of index calls its encoder.
        given = arguments.get("query_encoder", arguments.get("encoder"))
        encoder = None if given == OWN_ENCODER else given
        effort = Effort(arguments.get("ef_search"))
        return open_as_pyserini(path, encoder=encoder, effort=effort)

    open_index.opens_ours = True  # type: ignore[attr-defined]
    return open_index


def _serving_folders(stock: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(stock)
    def get_backend(config_path: str | None = None, **options: Any) -> Any:
        """The MCP server's backend.

        With prebuilt indexes allowed, it looks up every dense index among the prebuilt ones, and
        fails for one in a folder; and the server has no option to disallow them.
        """
        from pyserini.server.config import load_server_config

        indexes, _ = load_server_config(config_path)
        if any(index.index_type != "tf" for index in indexes.values()):
            options["no_prebuilt_indexes"] = True
        return stock(config_path, **options)

    get_backend.serves_folders = True  # type: ignore[attr-defined]
    return get_backend
