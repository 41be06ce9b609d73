"""Running a condition's commands, each once, and reading what the last of them found."""

from __future__ import annotations

import csv
import platform
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from string import Template
from typing import Any

from pyserini_xqg.base.commands import main_of
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_json, write_json
from pyserini_xqg.base.versions import versions
from pyserini_xqg.evaluate.report.publish import Page, gathering, publish
from pyserini_xqg.evaluate.report.sections import Section
from pyserini_xqg.reproduce.conditions import SHIPPED, Collection, Condition

#: Inside the output folder: the commands that are done, and the figures that they gave.
DONE = "done.json"
RESULTS = "results.json"
_VARIABLE = "PYSERINI_XQG_"


def resolve(
    collection: Collection,
    condition: Condition,
    given: Mapping[str, str],
    environment: Mapping[str, str],
) -> dict[str, str]:
    """What stands for each key of the condition's data: given, or in the environment, or default.

    Raises
    ------
    XqgError
        For data that are missing or not there, with where they come from.
    """
    found = {}
    for key in sorted(condition.needs()):
        data = collection.data[key]
        variable = data.variable or _VARIABLE + key.upper()
        value = given.get(key) or environment.get(variable) or data.default
        if not value:
            raise XqgError(
                f"{condition.name} needs {key}: {data.what} ({data.source}). Give --data "
                f"{key}=..., or set {variable}"
            )
        if data.is_path and not Path(value).exists():
            raise XqgError(
                f"{key}={value}: no such file or folder; expected {data.what} ({data.source})"
            )
        found[key] = value
    return found


def words_of(command: str, values: Mapping[str, str]) -> list[str]:
    """A command's words, with what its keys stand for; keys that `values` lacks stay."""
    words = shlex.split(command)
    return [Template(word).safe_substitute(SHIPPED, **values) for word in words]


def run_condition(
    collection: Collection,
    condition: Condition,
    values: Mapping[str, str],
    output: Path,
    say: Callable[[str], None],
) -> None:
    """Run the commands that were not run before, and keep the figures.

    Parameters
    ----------
    collection : Collection
    condition : Condition
        One of its own.
    values : mapping of str to str
        What the keys of its data stand for.
    output : Path
        Where stores, indexes, runs and tables go, and what is done is noted.
    say : callable
        Receives each command as it starts.

    Raises
    ------
    XqgError
        As the commands do; and if the folder holds what other versions made, because the figures
        would be said to be of these.
    """
    output.mkdir(parents=True, exist_ok=True)
    done = _read_done(output)
    sections = [Section("About this page", [condition.note], caveat=collection.caveat)]
    for command in condition.commands:
        words = words_of(command, {**values, "output": str(output)})
        line = shlex.join(words)
        module, arguments = words[2], words[3:]
        if condition.page and module == "pyserini_xqg.evaluate":
            say(line)
            with gathering() as found:
                main_of(module)(arguments)
            for page in found:
                sections += _beside_others(page, arguments[0], line, sections)
        elif line in done["commands"]:
            say(f"done before: {line}")
        else:
            say(line)
            main_of(module)(arguments)
            done["commands"].append(line)
            write_json(output / DONE, done)
    if condition.page:
        where = output / condition.scores
        publish(sections, where, condition.page, overwrite=True, full=False)
    elif condition.scores:
        results = read_results(output)
        results[condition.name] = {
            "figures": read_figures(output / condition.scores),
            "versions": done["versions"],
            "date": datetime.now(UTC).date().isoformat(),
        }
        write_json(output / RESULTS, results)


def _read_done(output: Path) -> dict[str, Any]:
    """The commands that are done, and the versions that did them."""
    now = {
        **versions(),
        "pyserini": version("pyserini"),
        "python": platform.python_version(),
    }
    if not (output / DONE).exists():
        return {"versions": now, "commands": []}
    done: dict[str, Any] = read_json(output / DONE)
    before = done["versions"]
    if changed := [name for name in now if before.get(name) != now[name]]:
        said = ", ".join(f"{name} {before.get(name)}, now {now[name]}" for name in changed)
        raise XqgError(f"{output} was made with other versions ({said}); give another --output")
    return done


def read_results(output: Path) -> dict[str, Any]:
    """What was found in this folder, by condition: figures, versions, date."""
    return dict(read_json(output / RESULTS)) if (output / RESULTS).exists() else {}


def read_figures(folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """The numbers of a report's CSV files, by table, row (its first column) and column."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        figures[path.stem] = {
            row[0]: {
                name: number
                for name, text in zip(header[1:], row[1:], strict=True)
                if (number := _number(text)) is not None
            }
            for row in rows
        }
    return figures


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _beside_others(page: Page, name: str, line: str, others: Sequence[Section]) -> list[Section]:
    """A command's sections under a heading of their own, their files' names used once."""
    used = {table.name for section in others for table in section.tables}
    used |= {plot.name for section in others for plot in section.plots}
    taken = count(2)
    prefix = name
    while any(each.startswith(f"{prefix}-") or each == prefix for each in used):
        prefix = f"{name}-{next(taken)}"

    def renamed(own: str) -> str:
        return f"{prefix}-{own.removeprefix(name).removeprefix('-')}".removesuffix("-")

    return [
        Section(f"evaluate {name}", commands=[line]),
        *(
            replace(
                section,
                tables=[replace(table, name=renamed(table.name)) for table in section.tables],
                plots=[replace(plot, name=renamed(plot.name)) for plot in section.plots],
            )
            for section in page.sections
        ),
    ]
