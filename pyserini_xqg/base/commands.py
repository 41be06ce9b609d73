"""Commands by their names: what ``python -m`` would run, to be called in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import cast


def main_of(module: str) -> Callable[[Sequence[str] | None], None]:
    """The `main` that ``python -m module`` runs; of a package, that of its ``__main__``.

    Parameters
    ----------
    module : str
        Such as ``pyserini_xqg.index``.
    """
    spec = find_spec(module)
    is_package = spec is not None and spec.submodule_search_locations is not None
    main = import_module(f"{module}.__main__" if is_package else module).main
    return cast("Callable[[Sequence[str] | None], None]", main)
