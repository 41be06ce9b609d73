"""What an evaluation found, as sections of tables and plots; how they are shown is elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What a cell holds: text, a number with its format in `Table.formats`, or nothing.
Cell = str | int | float | None


class Shown(NamedTuple):
    """A cell as readers see it: its text, and what stands behind it, under it, and in it."""

    text: str
    mark: str
    interval: str
    language: str
    is_number: bool


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
        By column, how its floats are shown, as in `format`: ``.1f``. Text is shown as it is, and
        so are integers, which are counts.
    marks : mapping of (int, int) to str
        By row and column, what is set behind a figure, such as a dagger.
    note : str
        What a reader must know beside it.
    intervals : mapping of (int, int) to tuple of two floats
        By row and column, the ends of a figure's interval, shown small under it.
    interval_format : str
        How they are shown, as `str.format` takes it.
    languages : mapping of (int, int) to str
        By row and column, the code of the language that a text is in, where that is not English.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    formats: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    note: str = ""
    intervals: Mapping[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    interval_format: str = "[{:.1f}, {:.1f}]"
    languages: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def shown(self) -> list[list[str]]:
        """The cells as text, formatted and marked."""
        return [[cell.text + cell.mark for cell in row] for row in self.cells()]

    def cells(self) -> list[list[Shown]]:
        """The cells, formatted."""
        return [
            [self._show((r, c), cell) for c, cell in enumerate(row)]
            for r, row in enumerate(self.rows)
        ]

    def numeric(self) -> list[bool]:
        """By column, whether it holds nothing but numbers."""
        return [
            all(not isinstance(row[column], str) for row in self.rows)
            for column in range(len(self.columns))
        ]

    def _show(self, place: tuple[int, int], cell: Cell) -> Shown:
        plain = cell is None or isinstance(cell, str | Integral)
        spec = "" if plain else self.formats.get(self.columns[place[1]], "")
        return Shown(
            "" if cell is None else format(cell, spec),
            self.marks.get(place, ""),
            self.interval_format.format(*self.intervals[place]) if place in self.intervals else "",
            self.languages.get(place, ""),
            not isinstance(cell, str),
        )


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
    size : tuple of two floats
        Width and height in inches.
    """

    name: str
    title: str
    draw: Callable[[Axes], Any]
    size: tuple[float, float] = (8.0, 4.5)


@dataclass(frozen=True)
class Section:
    """One question and its answer: a line or two of text, tables, plots, and what was run.

    `caveat` is what nobody must miss: it stands first, and stands out.
    """

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    commands: Sequence[str] = ()
    caveat: str = ""
