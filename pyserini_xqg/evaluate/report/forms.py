"""What an evaluation found, in each form: plain text, CSV, LaTeX, PNG, and one HTML page."""

from __future__ import annotations

import base64
import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from textwrap import wrap

from pyserini_xqg.evaluate.report.sections import Plot, Section, Shown, Table

_PAGE = 100  # columns of running text; tables take what they need


def as_text(sections: Sequence[Section]) -> str:
    """Titles, text, aligned tables and commands; plots are named only."""
    parts = []
    for section in sections:
        parts += [section.title, "=" * _width(section.title)]
        for line in (section.caveat, *section.text):
            parts += wrap(line, _PAGE)
        for table in section.tables:
            parts += ["", table.title, *_aligned(table), *wrap(table.note, _PAGE)]
        parts += [f"[plot: {plot.title}]" for plot in section.plots]
        parts += [f"  {command}" for command in section.commands]
        parts.append("")
    return "\n".join(parts)


def as_csv(table: Table) -> str:
    """The values, unrounded and without marks; an interval's ends follow their column."""
    with_interval = {column for _, column in table.intervals}
    columns: list[str] = []
    for number, name in enumerate(table.columns):
        columns += [name, f"{name} low", f"{name} high"] if number in with_interval else [name]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for r, row in enumerate(table.rows):
        values: list[object] = []
        for number, value in enumerate(row):
            values.append(value)
            if number in with_interval:
                values += table.intervals.get((r, number), ("", ""))
        writer.writerow(values)
    return text.getvalue()


def _aligned(table: Table) -> list[str]:
    lines = [list(table.columns)]
    for row in table.cells():
        lines.append([cell.text + cell.mark for cell in row])
        if any(cell.interval for cell in row):
            lines.append([cell.interval for cell in row])
    columns = range(len(table.columns))
    widths = [max(_width(line[column]) for line in lines) for column in columns]
    numeric = table.numeric()
    return [
        "  ".join(
            pad + cell if numeric[column] else cell + pad
            for column, cell in enumerate(line)
            for pad in [" " * (widths[column] - _width(cell))]
        ).rstrip()
        for line in lines
    ]


def _width(text: str) -> int:
    """Columns of a terminal: two for a wide character, none for one that joins the last."""
    return sum(
        0
        if unicodedata.category(character) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
        "–": "--", "−": "$-$", "\n": " ", **{special: "\\" + special for special in "&%$#_{}"},
    }
)  # fmt: skip
#: What marks mean, and the commands that print them.
_MARKS = {"†": r"\dagger", "‡": r"\ddagger", "*": "*"}


def as_latex(table: Table) -> str:
    """A ``table`` environment: text columns to the left, numbers to the right, marks raised.

    For the booktabs package. Text in other scripts needs XeLaTeX or LuaLaTeX.
    """
    cells = table.cells()
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in table.numeric())}}}",
        r"\toprule",
        _latex_line([escape(column) for column in table.columns]),
        r"\midrule",
    ]
    for row in cells:
        lines.append(_latex_line([_latex_cell(cell) for cell in row]))
        if any(cell.interval for cell in row):
            small = [cell.interval and rf"{{\tiny {escape(cell.interval)}}}" for cell in row]
            lines.append(_latex_line(small))
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.note:
        lines.append(rf"\par\smallskip{{\footnotesize {escape(table.note)}}}")
    return "\n".join([*lines, r"\end{table}", ""])


def escape(text: str) -> str:
    """Text with what LaTeX would read as commands made harmless."""
    return text.translate(_ESCAPED)


def _latex_cell(cell: Shown) -> str:
    text = escape(cell.text)
    if cell.is_number and text.startswith("-"):
        text = f"$-${text[1:]}"
    marks = "".join(_MARKS.get(mark, rf"\mathrm{{{escape(mark)}}}") for mark in cell.mark)
    return f"{text}$^{{{marks}}}$" if marks else text


def _latex_line(cells: list[str]) -> str:
    # A row that begins with a bracket would be read as an option of the \\ before it.
    return " & ".join(f"{{}}{cell}" if cell.startswith("[") else cell for cell in cells) + r" \\"


#: Okabe and Ito's colours, told apart by the colour-blind; blue and vermilion first.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#999999", "#000000",
)  # fmt: skip


def as_png(plot: Plot) -> bytes:
    """Draw a plot; no screen and none of pyplot's global state are needed."""
    import matplotlib
    from cycler import cycler
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"axes.prop_cycle": cycler(color=COLOURS)}):
        figure = Figure(figsize=plot.size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        plot.draw(axes)
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=150, bbox_inches="tight")
    return picture.getvalue()


def as_page(
    title: str,
    sections: Sequence[Section],
    pictures: Mapping[str, bytes],
    template: str = "evaluate/report/page.html",
    **more: object,
) -> str:
    """The page.

    Parameters
    ----------
    title : str
    sections : sequence of Section
    pictures : mapping of str to bytes
        The plots by file name, drawn.
    template : str
        Inside this package; one of another name extends the default and shows `more`, too.
    **more
        What such a template shows.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("pyserini_xqg", ""), autoescape=True, undefined=StrictUndefined
    )
    pages.filters["png_uri"] = lambda content: _data_uri("image/png", content)
    pages.filters["csv_uri"] = lambda table: _data_uri("text/csv", as_csv(table).encode())
    pages.filters["tex_uri"] = lambda table: _data_uri("text/x-tex", as_latex(table).encode())
    return pages.get_template(template).render(
        title=title, sections=sections, pictures=pictures, **more
    )


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
