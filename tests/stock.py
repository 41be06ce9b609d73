"""Modules of stock Pyserini, started as ``python -m pyserini_xqg.run`` starts them."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys

from pyserini_xqg.run import run_module


def stock(module: str, *words: object) -> str:
    """What a stock module prints; in this process, which has imported Pyserini already."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        run_module(module, [str(word) for word in words])
    return said.getvalue()


def stock_command(module: str, *words: object) -> str:
    """The same in a process of its own, as users start it, at some seconds a time."""
    command = [sys.executable, "-m", "pyserini_xqg.run", module, *map(str, words)]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-2000:]
    return said.stdout
