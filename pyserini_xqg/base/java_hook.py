"""Java chosen and started as Pyserini's first module that needs it is imported, and not before."""

from __future__ import annotations

import sys
from typing import Any

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

    Once, and where Pyserini has not been imported yet.
    """
    hooked = any(isinstance(finder, _BeforePyserini) for finder in sys.meta_path)
    if not hooked and not any(name in sys.modules for name in _FIRST):
        sys.meta_path.insert(0, _BeforePyserini())
