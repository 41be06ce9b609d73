"""``python -m pyserini_xqg.evaluate COMMAND``: from runs to tables, and to what may be believed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib import import_module

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import run_command

#: Each command: the module whose ``main`` it is, and what it is for.
COMMANDS = {
    "trec": ("trec.command", "scores of runs by language, with intervals, as trec_eval has them"),
    "compare": ("compare.command", "runs beside a baseline: which differences are real"),
    "sweep": ("from_store.sweep", "alpha, method, languages and number of queries"),
    "xor": ("xor.command", "R@2kt and R@5kt of XOR-Retrieve, from a run or its predictions"),
}
#: What a study needs, and its authors.
FURTHER = {
    "controls": ("from_store.controls", "other passages' queries: what is content, what language"),
    "leakage": ("leakage.command", "topics that queries or training data nearly repeat"),
    "resource": ("resource.command", "the gain by language against what each language has"),
    "returned": ("returned.command", "languages of what comes back, overlap, hubs, misses"),
    "swapped": ("swapped", "a queries file that gives each passage its neighbour's"),
    "xor-qrels": ("xor.qrels", "TREC qrels of the answer-bearing passages that runs return"),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        quiet=False,
        prog="python -m pyserini_xqg.evaluate",
        usage="%(prog)s COMMAND ...",
        description=__doc__,
        epilog=f"commands:\n{_listed(COMMANDS)}\n\nfor a study:\n{_listed(FURTHER)}",
        example="trec --topics topics.jsonl --qrels qrels.txt --runs dense.run",
    )
    parser.add_argument("command", choices=(*COMMANDS, *FURTHER), metavar="COMMAND")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help=argparse.SUPPRESS
    )
    given = parser.parse_args(argv)
    module, _ = {**COMMANDS, **FURTHER}[given.command]
    import_module(f"pyserini_xqg.evaluate.{module}").main(given.arguments)


def _listed(commands: Mapping[str, tuple[str, str]]) -> str:
    return "\n".join(f"  {name:<11}{what}" for name, (_, what) in commands.items())


if __name__ == "__main__":
    run_command(main)
