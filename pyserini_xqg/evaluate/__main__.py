"""``python -m pyserini_xqg.evaluate COMMAND``: from runs to tables, and to what may be believed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from pyserini_xqg.errors import run_command

#: Each command is the ``main`` of the module of its name (``xor-qrels`` of ``xor_qrels``).
COMMANDS = {
    "xor": "R@2kt and R@5kt of XOR-Retrieve, from a run or its predictions",
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
