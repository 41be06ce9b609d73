"""Sections printed, and written as a folder of tables, plots and a page."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.refusing import refuse_existing
from pyserini_xqg.evaluate.report.sections import Section

# What a command prints of a report unless it is asked for all.
_LINES = 40


def add_output_options(parser: ArgumentParser) -> None:
    """``--output`` and ``--overwrite``, for every command that publishes."""
    add = parser.add_argument
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="write tables (CSV, LaTeX), plots (PNG) and a page (index.html) there, too",
    )
    add("--overwrite", action="store_true", help="replace an existing DIR")
    add("--full", action="store_true", help=f"print all of it, not the first {_LINES} lines")


def publish(
    sections: Sequence[Section],
    output: Path | None,
    title: str,
    *,
    overwrite: bool = False,
    full: bool = True,
) -> None:
    """Print the sections; with `output`, write them there, too: the whole folder or nothing.

    Parameters
    ----------
    sections : sequence of Section
    output : Path or None
        A folder for ``<table>.csv``, ``<table>.tex``, ``<plot>.png`` and ``index.html``.
    title : str
        Of the page.
    overwrite : bool
        Replace an existing folder.
    full : bool
        Print more than a screen, too.

    Raises
    ------
    XqgError
        If the folder exists, or two tables or plots share a name.
    """
    if _gathered is not None:
        _gathered.append(Page(title, list(sections)))
        return
    from pyserini_xqg.evaluate.report.forms import as_text

    text = as_text(sections)
    print(text if full else _first_lines(text, output))
    if output is not None:
        write_page(sections, output, title, overwrite=overwrite)


def write_page(
    sections: Sequence[Section], output: Path, title: str, *, overwrite: bool = False
) -> None:
    """Write the sections' tables, plots and page, as `publish` does, and print nothing."""
    from pyserini_xqg.evaluate.report.forms import as_csv, as_latex, as_page, as_png

    files: dict[str, bytes] = {}
    for section in sections:
        for table in section.tables:
            _add(files, f"{table.name}.csv", as_csv(table).encode())
            _add(files, f"{table.name}.tex", as_latex(table).encode())
        for plot in section.plots:
            _add(files, f"{plot.name}.png", as_png(plot))
    pictures = {name: content for name, content in files.items() if name.endswith(".png")}
    files["index.html"] = as_page(title, sections, pictures).encode()
    write_folder(Path(output), files, overwrite=overwrite)


def _first_lines(text: str, output: Path | None) -> str:
    """A screen of it, which begins with the answer, and where the rest is."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= _LINES:
        return text
    left = len(lines) - _LINES + 1
    where = f"in {output}" if output else "written by --output DIR"
    return "\n".join([*lines[: _LINES - 1], f"... {left} more lines: --full, or {where}"])


class Page(NamedTuple):
    """What a command published: the title of its page, and its sections."""

    title: str
    sections: list[Section]


_gathered: list[Page] | None = None


@contextmanager
def gathering() -> Iterator[list[Page]]:
    """Inside, `publish` neither prints nor writes but adds to this list: several on one page."""
    global _gathered
    outer, _gathered = _gathered, []
    try:
        yield _gathered
    finally:
        _gathered = outer


def write_folder(path: Path, files: Mapping[str, bytes], *, overwrite: bool = False) -> None:
    """Write a folder of files so that it is whole or not there.

    Raises
    ------
    XqgError
        If the folder exists.
    """
    refuse_existing(path, overwrite)
    partial, old = (path.with_name(path.name + suffix) for suffix in (".partial", ".old"))
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in files.items():
        (partial / name).write_bytes(content)
    if path.exists():
        path.rename(old)
    partial.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _add(files: dict[str, bytes], name: str, content: bytes) -> None:
    if name in files:
        raise XqgError(f"two tables or plots are called {name}; each needs a name of its own")
    files[name] = content
