"""``python -m pyserini_xqg.evaluate COMMAND``: from runs to tables, and to what may be believed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from pyserini_xqg.base.errors import run_command

#: Each command: the module whose ``main`` it is, and what it is for.
COMMANDS = {
    "trec": ("trec.command", "scores of runs by language, with intervals, as trec_eval has them"),
    "xor": ("xor.command", "R@2kt and R@5kt of XOR-Retrieve, from a run or its predictions"),
    "xor-qrels": ("xor.qrels", "TREC qrels of the answer-bearing passages that runs return"),
    "compare": ("compare.command", "runs beside a baseline: which differences are real"),
    "resource": ("resource.command", "the gain by language against what each language has"),
    "returned": ("returned.command", "languages of what comes back, overlap, hubs, misses"),
    "leakage": ("leakage.command", "topics that queries or training data nearly repeat"),
    "controls": ("from_store.controls", "other passages' queries: what is content, what language"),
    "swapped": ("swapped", "a queries file that gives each passage its neighbour's"),
    "sweep": ("from_store.sweep", "alpha, method, languages and number of queries"),
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m pyserini_xqg.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:<11} {what}" for name, (_, what) in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see COMMAND --help")
    given = parser.parse_args(argv)
    module, _ = COMMANDS[given.command]
    import_module(f"pyserini_xqg.evaluate.{module}").main(given.arguments)


if __name__ == "__main__":
    run_command(main)
