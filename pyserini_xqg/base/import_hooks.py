"""What is to happen around the import of a module, which we do not import ourselves."""

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


#: Whichever of these comes first would start whatever Java there is: all of Pyserini's that do so
#: themselves, in 1.6 and 2.
_FIRST = ("pyserini.setup", "pyserini._jvm", "pyserini.pyclass", "pyserini.eval.trec_eval")


class _BeforePyserini:
    """A finder of modules that finds none: it is asked before each is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name not in _FIRST:
            return
        sys.meta_path.remove(self)
        from pyserini_xqg.base.errors import XqgError
        from pyserini_xqg.base.java import prepare

        try:
            prepare()
        except XqgError as error:
            import warnings

            # Pyserini's own error follows, which does not say what to do.
            warnings.warn(str(error), stacklevel=2)


def install() -> None:
    """Let `pyserini_xqg.base.java.prepare` come before Pyserini, whoever imports that; it is free.

    Java is chosen and started as Pyserini's first module that needs it is imported, not before.

    Once, and where Pyserini has not been imported yet.
    """
    hooked = any(isinstance(finder, _BeforePyserini) for finder in sys.meta_path)
    if not hooked and not any(name in sys.modules for name in _FIRST):
        sys.meta_path.insert(0, _BeforePyserini())
