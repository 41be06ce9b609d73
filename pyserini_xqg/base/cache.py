"""The folder for what can be made again: exported models, vectors of topics."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``PYSERINI_CACHE``, else ``pyserini_xqg`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    if named := os.environ.get("PYSERINI_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pyserini_xqg"
