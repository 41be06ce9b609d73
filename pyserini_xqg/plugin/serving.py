"""Our searchers in Pyserini's own REST and MCP servers (Pyserini 2.3, ``pyserini.server``).

The servers open what their configuration file lists by a table of searcher classes,
``pyserini.server.utils.SEARCHER_FACTORIES``. Stock ones would guess an encoder's class from its
name, and leave out the analyzer of a BM25 index of ours; so the table is given ours for folders
that hold an ``xqg.json``. All else stays as it is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from pyserini_xqg.index.manifest import MANIFEST

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
        from pyserini_xqg.index.effort import Effort
        from pyserini_xqg.plugin.opening import open_as_pyserini

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
