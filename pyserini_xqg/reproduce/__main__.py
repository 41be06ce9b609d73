"""Published figures and the commands that lead to them: list them, run them, compare.

``python -m pyserini_xqg.reproduce --list``, then ``--condition NAME [--data KEY=PATH ...]``.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.evaluate.report.publish import publish, write_page
from pyserini_xqg.reproduce.conditions import Collection, Condition, read_collections
from pyserini_xqg.reproduce.matrix import compare, detail, overview
from pyserini_xqg.reproduce.sample import of_sample, sampled
from pyserini_xqg.reproduce.steps import read_results, resolve, run_condition, words_of

Chosen = tuple[Collection, Condition]


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce",
        description=__doc__.partition("\n")[0],
        example="--condition xqg-mini",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="show conditions and figures")
    what.add_argument(
        "--condition", nargs="+", metavar="NAME", help="run these; a collection's name: all of it"
    )
    add = parser.add_argument
    add("--dry-run", action="store_true", help="print the commands only")
    add(
        "--data",
        nargs="+",
        default=[],
        metavar="KEY=PATH",
        help="where the data are that the commands name, or a model's other name",
    )
    add(
        "--output",
        type=Path,
        default=Path("reproduce"),
        metavar="DIR",
        help="for stores, indexes, runs, tables and page/index.html",
    )
    add(
        "--sample",
        type=float,
        metavar="SHARE",
        help="run on so much of the large corpora, such as 0.01; goes into DIR/sample-SHARE, and "
        "nothing is compared with published figures",
    )
    args = parser.parse_args(argv)
    collections = read_collections()
    if args.sample is not None:
        for collection, condition in _choose(args.condition or [], collections):
            sampled(collection, condition, args.sample)  # or an error
        collections = {name: of_sample(each, args.sample) for name, each in collections.items()}
        args.output /= f"sample-{args.sample:g}"
    if args.list:
        results = read_results(args.output)
        sections = [overview(name, each, results) for name, each in collections.items()]
        publish(sections, None, "Reproduction")
        return
    given = _mapping(args.data, collections)
    chosen = _choose(args.condition, collections)
    if args.dry_run:
        for collection, condition in chosen:
            _print_commands(collection, condition, {**given, "output": str(args.output)})
        return
    resolved = [
        resolve(collection, condition, given, os.environ) for collection, condition in chosen
    ]
    for each, values in zip(chosen, resolved, strict=True):
        run_condition(*each, values, args.output, lambda line: print(line, file=sys.stderr))
    _publish(collections, chosen, args.output)


def _publish(collections: Mapping[str, Collection], chosen: Sequence[Chosen], output: Path) -> None:
    """Print what was run, write the page of all conditions, and fail where a figure is outside."""
    results = read_results(output)
    publish([detail(*each, results) for each in chosen], None, "Reproduction")
    everything = [
        section
        for name, collection in collections.items()
        for section in (
            overview(name, collection, results),
            *(detail(collection, each, results) for each in collection.conditions.values()),
        )
    ]
    write_page(everything, output / "page", "Reproduction", overwrite=True)
    compared = [each for condition in chosen for each in compare(*condition, results)]
    if outside := [each for each in compared if not each.within]:
        first = outside[0]
        raise XqgError(
            f"{len(outside)} of {len(compared)} figures are not within their tolerance, e.g. "
            f"{first.row} {first.column}: {first.ours}, expected {first.published} "
            f"-+ {first.allowed:.2g} ({first.source})"
        )


def _choose(names: Sequence[str], collections: Mapping[str, Collection]) -> list[Chosen]:
    by_name = {
        condition.name: (collection, condition)
        for collection in collections.values()
        for condition in collection.conditions.values()
    }
    chosen = []
    for name in names:
        if name in collections:
            chosen += [(collections[name], c) for c in collections[name].conditions.values()]
        elif name in by_name:
            chosen.append(by_name[name])
        else:
            raise XqgError(
                f"--condition {name}: there is no such; expected one of {', '.join(collections)} "
                f"(all of a collection), or {', '.join(by_name)}"
            )
    return chosen


def _mapping(given: Sequence[str], collections: Mapping[str, Collection]) -> dict[str, str]:
    known = {key for collection in collections.values() for key in collection.data}
    mapping: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not value:
            raise XqgError(f"--data {each}: expected KEY=PATH")
        if key not in known:
            raise XqgError(f"--data {each}: no such key; there are {', '.join(sorted(known))}")
        if mapping.setdefault(key, value) != value:
            raise XqgError(f"--data: {key} is given twice, as {mapping[key]} and as {value}")
    return mapping


def _print_commands(
    collection: Collection, condition: Condition, values: Mapping[str, str]
) -> None:
    defaults = {
        key: collection.data[key].default
        for key in condition.needs()
        if collection.data[key].default
    }
    print(f"# {condition.name}: {condition.display}")
    for key in sorted(condition.needs() - values.keys()):
        data = collection.data[key]
        print(f"# {key}: {data.what} ({data.source})")
    for command in condition.commands:
        words = words_of(command, {**defaults, **values})
        # Keys that nothing stands for stay readable, and a shell would expand them.
        print(" ".join(word if "$" in word else shlex.quote(word) for word in words))
    print()


if __name__ == "__main__":
    run_command(main)
