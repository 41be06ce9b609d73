"""Build, search and score xqg-mini, and show what came out."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.errors import XqgError, run_command

_MARK = ".made-by-the-demo"


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m pyserini_xqg.demo", description=__doc__)
    parser.add_argument(
        "--output",
        default="xqg-demo",
        metavar="DIR",
        help="for stores, indexes, runs, plot and page (xqg-demo); an earlier demo's is replaced",
    )
    args = parser.parse_args(argv)
    output = _empty(Path(args.output))
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {what}", file=sys.stderr, flush=True)

    say("starting Java and loading the libraries")
    from pyserini_xqg.demo.page import write_page
    from pyserini_xqg.demo.pipeline import Demo
    from pyserini_xqg.demo.plot import write_plot
    from pyserini_xqg.demo.table import format_table

    results = Demo(output, say).run()
    table = format_table(results)
    (output / "table.txt").write_text(table, encoding="utf-8")
    (output / "commands.sh").write_text("\n".join(results.commands) + "\n", encoding="utf-8")
    write_plot(results, output / "plot.png")
    write_page(results, output)
    say("done")
    print(table)
    print("The commands that led here; put your own files in their place:\n")
    print("\n".join(f"  {command}" for command in results.commands))
    print(f"\nRuns, plot and page: {output / 'index.html'}")


def _empty(output: Path) -> Path:
    """The output folder, new; one that an earlier demo made is replaced, any other refused."""
    if output.exists() and not (output / _MARK).exists():
        raise XqgError(f"{output} exists and is not the demo's own; give another --output")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    (output / _MARK).touch()
    return output


if __name__ == "__main__":
    run_command(main)
