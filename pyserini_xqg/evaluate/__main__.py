"""``python -m pyserini_xqg.evaluate COMMAND``: from runs to tables, and to what may be believed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from pyserini_xqg.errors import run_command

#: Each command is the ``main`` of the module of its name (``xor-qrels`` of ``xor_qrels``).
COMMANDS = {
    "scores": "TREC measures of runs, by language, with intervals",
    "xor": "R@2kt and R@5kt of XOR-Retrieve, from a run or its predictions",
    "trec": "scores by language, also through trec_eval",
    "compare": "runs beside a baseline: which differences are real",
    "xor-qrels": "TREC qrels of the answer-bearing passages that runs return",
    "leakage": "topics that queries or training data nearly repeat, and scores without them",
    "resource": "the gain by language against pre-training, training data and tokens a word",
    "returned": "languages of what comes back, overlap of runs, hubs, kinds of misses",
    "controls": "a fusion with other passages' queries: what is content, what is language",
    "sweep": "alpha, method, languages and number of queries, from one store",
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m pyserini_xqg.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{name:<11} {what}" for name, what in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see COMMAND --help")
    given = parser.parse_args(argv)
    module = import_module(f"pyserini_xqg.evaluate.{given.command.replace('-', '_')}")
    module.main(given.arguments)


if __name__ == "__main__":
    run_command(main)
