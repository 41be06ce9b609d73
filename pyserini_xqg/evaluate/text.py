"""Sections as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from pyserini_xqg.evaluate.report import Section, Table


def as_text(sections: Sequence[Section]) -> str:
    """Titles, text and aligned tables; plots are named only."""
    parts = []
    for section in sections:
        parts += [section.title, "=" * len(section.title), *section.text]
        for table in section.tables:
            parts += ["", table.title, *_aligned(table)]
            if table.note:
                parts.append(table.note)
        parts.append("")
    return "\n".join(parts)


def _aligned(table: Table) -> list[str]:
    rows = [list(table.columns), *table.shown()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.columns))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
