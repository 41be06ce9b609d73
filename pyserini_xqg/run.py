"""Start a stock Pyserini module as ``python -m`` would, on a Java that works and with our encoders.

``python -m pyserini_xqg.run pyserini.search.faiss --encoder-class xqg ...``: Pyserini's commands
list the encoder classes that they accept in their own source, so the name ``xqg`` is added to that
list as the command builds its parser. ``pyserini.search.lucene``, ``pyserini.server.rest`` and
``pyserini.server.mcp`` open indexes of ours with our searchers. In ``pyserini.search`` Lucene's
limit of 1,024 terms in a query is lifted. Nothing else about them is changed.
"""

from __future__ import annotations

import argparse
import importlib.util
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, reason_of, run_command
from pyserini_xqg.base.java import prepare

CLASS_NAME = "xqg"


def run_module(module: str, arguments: Sequence[str] = (), heap: str | None = None) -> None:
    """Run a module as if by ``python -m module arguments...``.

    Parameters
    ----------
    module : str
        Such as ``pyserini.search.faiss``.
    arguments : sequence of str
        What the module will find in ``sys.argv[1:]``.
    heap : str, optional
        The most memory for Java objects, such as ``8g``.

    Raises
    ------
    XqgError
        If there is no Java, no such module, or Java fails in it.
    SystemExit
        As the module does itself.
    """
    prepare(heap)
    if not _is_module(module):
        raise XqgError(
            f"no module named {module!r}; expected one that `python -m` could start, such as "
            "pyserini.search.faiss"
        )
    if module.startswith("pyserini.search"):
        from pyserini_xqg.index.anserini import allow_long_queries

        allow_long_queries()
    if module.startswith("pyserini.server."):
        from pyserini_xqg.plugin.opening import register_searchers

        register_searchers()
    argv = sys.argv
    sys.argv = [module, *arguments]
    try:
        with _accepting_our_class(), _opening_our_indexes(module, arguments):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:
        if type(error).__name__ != "JavaException":
            raise
        # Its text is a Java stack trace, of which the first line says what is wrong.
        raise XqgError(f"{module}: {reason_of(error)}") from None
    finally:
        sys.argv = argv


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        if name.startswith(f"{error.name}."):  # the package that should hold it
            return False
        raise
    except ValueError:  # such as an empty name
        return False


@contextmanager
def _accepting_our_class() -> Iterator[None]:
    """Let parsers made in here accept ``--encoder-class xqg``."""
    stock = argparse.ArgumentParser.add_argument

    def add_argument(self: argparse.ArgumentParser, *flags: Any, **settings: Any) -> Any:
        if "--encoder-class" in flags and settings.get("choices"):
            # Only here, because commands that know no encoder classes start in two seconds and
            # what we would register takes fifteen to import.
            from pyserini_xqg.plugin import register

            register()
            settings["choices"] = [*settings["choices"], CLASS_NAME]
        return stock(self, *flags, **settings)

    argparse.ArgumentParser.add_argument = add_argument  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        argparse.ArgumentParser.add_argument = stock  # type: ignore[method-assign]


@contextmanager
def _opening_our_indexes(module: str, arguments: Sequence[str]) -> Iterator[None]:
    """Let ``pyserini.search.lucene`` open a BM25 index of ours as it was built.

    Topics that are pre-tokenized are asked as they are, by the stock searcher.
    """
    if module != "pyserini.search.lucene" or "--pretokenized" in arguments:
        yield
        return
    from pyserini.search.lucene import _searcher

    stock = _searcher.LuceneSearcher

    class Opening(stock):  # type: ignore[misc,valid-type]
        def __new__(cls, index_dir: str, *args: Any, **kwargs: Any) -> Any:
            from pyserini_xqg.index.manifest import is_ours

            if not is_ours(index_dir):
                return super().__new__(cls)
            # Only now: importing the plugin takes far longer than the command itself.
            from pyserini_xqg.plugin.opening import open_bm25_as_pyserini

            return open_bm25_as_pyserini(index_dir)

    _searcher.LuceneSearcher = Opening
    try:
        yield
    finally:
        _searcher.LuceneSearcher = stock


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        quiet=False,
        prog="python -m pyserini_xqg.run",
        description="Start a stock Pyserini module with Java prepared and the encoder class "
        f"{CLASS_NAME!r} registered.",
        example="pyserini.eval.trec_eval -c -m recip_rank qrels.txt dense.run",
    )
    add = parser.add_argument
    add("--heap", help="the most memory for Java objects, such as 8g")
    add("module", help="such as pyserini.search.faiss")
    add("arguments", nargs=argparse.REMAINDER, help="the module's own arguments")
    args = parser.parse_args(argv)
    run_module(args.module, args.arguments, args.heap)


if __name__ == "__main__":
    run_command(main)
