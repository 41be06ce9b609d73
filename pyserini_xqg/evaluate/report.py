"""What an evaluation found, as sections of tables and plots; how they are shown is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What a cell holds: text, a number with its format in `Table.formats`, or nothing.
Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A table, values unrounded.

    Attributes
    ----------
    name : str
        Of its files, such as ``compare-by-language``; one word with hyphens.
    title : str
    columns : sequence of str
    rows : sequence of sequences of Cell
        None is shown as an empty cell.
    formats : mapping of str to str
        By column, how its numbers are shown, as in `format`: ``.1f``. Text is shown as it is.
    marks : mapping of (int, int) to str
        By row and column, what is set behind a figure, such as a dagger.
    note : str
        What a reader must know beside it.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    formats: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    note: str = ""

    def shown(self) -> list[list[str]]:
        """The cells as text, formatted and marked."""
        return [
            [self._show(r, c, cell) for c, cell in enumerate(row)]
            for r, row in enumerate(self.rows)
        ]

    def _show(self, row: int, column: int, cell: Cell) -> str:
        if cell is None:
            return ""
        spec = self.formats.get(self.columns[column], "")
        text = cell if isinstance(cell, str) else format(cell, spec)
        return text + self.marks.get((row, column), "")


@dataclass(frozen=True)
class Plot:
    """A plot, drawn when it is asked for.

    Attributes
    ----------
    name : str
        Of its file.
    title : str
        Says what is seen, for those who cannot see it, too.
    draw : callable
        Draws into matplotlib axes.
    """

    name: str
    title: str
    draw: Callable[[Axes], Any]


@dataclass(frozen=True)
class Section:
    """One question and its answer: a line or two of text, tables, plots."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()


def publish(sections: Sequence[Section], output: Path | None, title: str) -> None:
    """Print the sections; with `output`, write them there, too.

    Parameters
    ----------
    sections : sequence of Section
    output : Path or None
        A folder for ``<table>.csv``, ``<table>.tex``, ``<plot>.png`` and ``index.html``.
    title : str
        Of the page.
    """
    from pyserini_xqg.evaluate.text import as_text

    print(as_text(sections))
