"""Commands: their parsers, and what ``python -m`` would run by its name."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn, cast

from pyserini_xqg.base.progress import be_quiet
from pyserini_xqg.base.refusing import refuse_existing


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that shows an example and every default, and says errors first.

    An ``--output`` that is there is refused before any work where the command has ``--overwrite``,
    unless that is given, or nothing is written: ``--dry-run``. Ray's shards have names of their
    own.

    Parameters
    ----------
    *args, **kwargs
        As `argparse.ArgumentParser` takes them.
    example : str
        Arguments that work, to be shown below the options as a command line.
    quiet : bool
        Whether there is ``--quiet``, for what takes long.
    """

    def __init__(self, *args: Any, example: str = "", quiet: bool = True, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Help)
        super().__init__(*args, **kwargs)
        if quiet:
            self.add_argument(
                "--quiet", action=_Quiet, help="say nothing of progress; warnings are shown"
            )
        self.example = example
        if example:
            lines = textwrap.wrap(
                f"{self.prog} {example}", 88, break_long_words=False, break_on_hyphens=False
            )
            shown = "example:\n  " + " \\\n      ".join(lines)
            self.epilog = f"{self.epilog}\n\n{shown}" if self.epilog else shown

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse has it; every way of parsing comes through here."""
        given, rest = super().parse_known_args(args, namespace)
        there = vars(given)
        overwrite, written = there.get("overwrite"), there.get("output") is not None
        here = there.get("engine") != "ray" and not there.get("dry_run")
        if written and here and overwrite is not None:
            refuse_existing(there["output"], overwrite)
        return given, rest

    def format_help(self) -> str:
        """The help, with what must be given in its first line, and not all that may be."""
        if self.usage is None:
            self.usage = " ".join(["%(prog)s", *self._required(), "..."])
        return super().format_help()

    def _required(self) -> list[str]:
        together = {
            action: group
            for group in self._mutually_exclusive_groups
            if group.required
            for action in group._group_actions
        }
        shown: dict[Any, str] = {}
        for action in self._actions:
            if not action.required and action not in together:
                continue
            value = action.metavar or (action.option_strings and action.dest.upper()) or action.dest
            name = " ".join(
                [*action.option_strings[:1], *([] if action.nargs == 0 else [str(value)])]
            )
            key = together.get(action, action)
            shown[key] = f"{shown[key]}|{name}" if key in shown else name
        return [f"({words})" if "|" in words else words for words in shown.values()]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where the options are told; 35 lines of usage would hide it."""
        self.exit(2, f"error: {message}\nsee: {self.prog} --help\n")


class _Quiet(argparse.Action):
    """Leaves nothing in the namespace: it decides nothing of what is made."""

    def __init__(self, option_strings: Sequence[str], dest: str, **kwargs: Any) -> None:
        super().__init__(
            option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **kwargs
        )

    def __call__(self, *_: Any) -> None:
        be_quiet()


class _Help(argparse.HelpFormatter):
    """Paragraphs stay apart, commands and tables stay as they are, and defaults are shown."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(
            textwrap.indent(paragraph, indent)
            if any(line.startswith((" ", "``python")) for line in paragraph.split("\n"))
            else textwrap.fill(paragraph, width, initial_indent=indent, subsequent_indent=indent)
            for paragraph in text.strip("\n").split("\n\n")
        )

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told, value = action.help or "", action.default
        if not shows_default(action) or "default" in told:
            return told
        shown = " ".join(map(str, value if isinstance(value, list | tuple) else [value]))
        shown = shown.replace("\n", "\\n").replace("%", "%%")
        return f"{told} (default: {shown})".lstrip()


def shows_default(action: argparse.Action) -> bool:
    """Whether an option has a default that a reader should be told."""
    value = action.default
    if value is None or value is False:  # apart, as 0 is equal to it
        return False
    return bool(action.option_strings) and value not in ([], (), "", argparse.SUPPRESS)


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
