"""A folder of indexes, one a language and one over all, searched by the languages of topics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyserini_xqg.index.effort import Effort
from pyserini_xqg.index.hits import Hits, Index


class Routed:
    """Indexes by language; each is opened when a topic first needs it.

    Parameters
    ----------
    path : Path
    manifest : mapping
        Its ``xqg.json``, with ``routes`` and ``fallback``.
    open_one : callable
        Opens the index in a folder.
    """

    def __init__(
        self, path: Path, manifest: Mapping[str, Any], open_one: Callable[[Path], Index[Any]]
    ) -> None:
        self._path, self._manifest, self._open_one = path, manifest, open_one
        self._effort, self._opened = Effort(), dict[str, Index[Any]]()

    def search(
        self, queries: Any, k: int, *, threads: int = 1, languages: Sequence[str] | None = None
    ) -> list[Hits]:
        """As `Index.search`; a language without an index takes the one over all."""
        routes, fallback = self._manifest["routes"], self._manifest["fallback"]
        names = [routes.get(language, fallback) for language in languages or [""] * len(queries)]
        hits: dict[int, Hits] = {}
        for name in sorted(set(names)):
            rows = [row for row, other in enumerate(names) if other == name]
            part = queries[rows] if isinstance(queries, np.ndarray) else [queries[r] for r in rows]
            found = self._route(name).search(part, k, threads=threads)
            hits.update(zip(rows, found, strict=True))
        return [hits[row] for row in range(len(queries))]

    def tune(self, effort: Effort) -> None:
        self._effort = effort
        for index in self._opened.values():
            index.tune(effort)

    def close(self) -> None:
        for index in self._opened.values():
            index.close()

    def _route(self, name: str) -> Index[Any]:
        if name not in self._opened:
            self._opened[name] = self._open_one(self._path / name)
            self._opened[name].tune(self._effort)
        return self._opened[name]
