"""The conditions of ``*.yaml``: commands, what they read, and figures to compare with.

After the form of Pyserini's two-click reproductions: a file a collection, a condition a system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.demo import TINY_ENCODER, XQG_MINI

#: Figures by table, row and column, as the evaluation commands' CSV files hold them.
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]

#: What commands may name beside their collection's own data.
SHIPPED = {"xqg_mini": str(XQG_MINI), "tiny_encoder": str(TINY_ENCODER)}


class Data(NamedTuple):
    """An input that a user brings.

    Attributes
    ----------
    what : str
        What it is, for the message when it is missing.
    source : str
        Where it comes from.
    default : str
        Taken where nothing is given, such as a model's name on the hub.
    is_path : bool
        Whether it must be there as a file or folder.
    variable : str
        The environment variable that gives it, where it has one that other commands read, too.
    """

    what: str
    source: str
    default: str = ""
    is_path: bool = True
    variable: str = ""


class Published(NamedTuple):
    """Figures that others published, or that an earlier version of ours gave.

    Attributes
    ----------
    source : str
        Paper and repository apart.
    figures : mapping
        By table, row and column.
    tolerance : float
        How far ours may be from them.
    questions : int
        Instead: so many questions of a language, whose numbers `Collection.counts` has; for a
        mean, the mean of that.
    """

    source: str
    figures: Figures
    tolerance: float = 0.0
    questions: int = 0


@dataclass(frozen=True)
class Condition:
    """A system on a collection.

    Attributes
    ----------
    name, display : str
        On the command line, and for readers.
    commands : sequence of str
        In order, with ``$output`` and the keys of the data in them.
    scores : str
        The folder below ``$output`` that holds the evaluation's tables.
    published : sequence of Published
    note : str
    page : str
        The title of one page for what all the evaluation commands find, in `scores`.
    """

    name: str
    display: str
    commands: Sequence[str]
    scores: str = ""
    published: Sequence[Published] = ()
    note: str = ""
    page: str = ""

    def needs(self) -> set[str]:
        """The keys of the data that the commands name."""
        found = {key for each in self.commands for key in Template(each).get_identifiers()}
        return found - {"output", *SHIPPED}


@dataclass(frozen=True)
class Collection:
    """The conditions of one file, by name, and what they share."""

    title: str
    notes: Sequence[str]
    data: Mapping[str, Data]
    conditions: Mapping[str, Condition]
    counts: Mapping[str, int] = field(default_factory=dict)
    caveat: str = ""
    #: Keys of the data that are corpora so large that a first run takes a sample of them.
    sampled: Sequence[str] = ()

    def allowed(self, published: Published, column: str) -> float:
        """How far ours may be from a published figure of this column."""
        if not published.questions:
            return published.tolerance
        one = {language: 100 / count for language, count in self.counts.items()}
        return published.questions * one.get(column, sum(one.values()) / len(one))


def read_collections() -> dict[str, Collection]:
    """The shipped files, by name."""
    files = sorted(Path(__file__).parent.glob("*.yaml"))
    return {path.stem: read_conditions(path) for path in files}


def read_conditions(path: Path) -> Collection:
    """One file of conditions.

    A condition with ``each`` stands for several: a list of values for the ``$names`` in it.

    Raises
    ------
    XqgError
        If a command names data that the file does not describe.
    """
    import yaml

    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    data = {key: Data(**values) for key, values in content.get("data", {}).items()}
    conditions = {}
    for row in content["conditions"]:
        for values in row.pop("each", [{}]):
            condition = _condition(_filled(row, values))
            conditions[condition.name] = condition
            if unknown := condition.needs() - data.keys():
                raise XqgError(
                    f"{path}: {condition.name} names {', '.join(sorted(unknown))}, of which the "
                    "file's 'data' says nothing"
                )
    return Collection(
        content["title"],
        content.get("notes", []),
        data,
        conditions,
        content.get("counts", {}),
        content.get("caveat", ""),
        content.get("sampled", []),
    )


def _condition(row: Mapping[str, Any]) -> Condition:
    published = []
    for each in row.get("published", []):
        figures = {
            table: {name: {c: float(value) for c, value in of.items()} for name, of in rows.items()}
            for table, rows in each["figures"].items()
        }
        published.append(Published(**{**each, "figures": figures}))
    return Condition(**{**row, "published": published})


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return Template(value).safe_substitute(values)
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, dict):
        return {_filled(key, values): _filled(each, values) for key, each in value.items()}
    return value
