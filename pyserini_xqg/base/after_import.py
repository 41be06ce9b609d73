"""What is to happen once somebody imports a module, which we do not import ourselves."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any


class _After:
    """A finder of modules that finds one alone, and calls a function when that has run."""

    def __init__(self, name: str, call: Callable[[Any], None]) -> None:
        self.name, self._call = name, call

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            self._call(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def after_import(name: str, call: Callable[[Any], None]) -> None:
    """Call a function with a module when that is imported; at once, if it is already.

    Parameters
    ----------
    name : str
        Of the module.
    call : callable
    """
    if name in sys.modules:
        call(sys.modules[name])
    elif not any(isinstance(finder, _After) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _After(name, call))
