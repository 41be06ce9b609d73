"""Build, search and score xqg-mini, and show what came out."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.demo import ENCODER_VARIABLE, TINY_ENCODER

_MARK = ".made-by-the-demo"


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.demo",
        description=__doc__,
        example="--output xqg-demo",
    )
    parser.add_argument(
        "--output",
        default="xqg-demo",
        metavar="DIR",
        help="for stores, indexes, runs, plot and page; an earlier demo's is replaced",
    )
    parser.add_argument(
        "--encoder",
        metavar="MODEL",
        help="a hub name, or a folder such as tools/e5_folder.py makes (default: what "
        f"{ENCODER_VARIABLE} names, else the tiny one that is shipped)",
    )
    args = parser.parse_args(argv)
    named = os.environ.get(ENCODER_VARIABLE)
    encoder = args.encoder or named or TINY_ENCODER
    output = _empty(Path(args.output))
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {what}", file=sys.stderr, flush=True)

    if not args.encoder and named:
        say(f"the encoder is {named}, as {ENCODER_VARIABLE} says")
    say("starting Java and loading the libraries")
    from pyserini_xqg.demo.pipeline import Demo
    from pyserini_xqg.demo.sections import searches, sections
    from pyserini_xqg.evaluate.report.forms import as_page, as_png, as_text

    results = Demo(output, say, encoder).run()
    found = sections(results)
    text, picture = as_text(found), as_png(found[0].plots[0])
    page = as_page(
        "Questions in seven languages, passages in English",
        found,
        {"plot.png": picture},
        "demo/page.html",
        searches=searches(results),
    )
    (output / "table.txt").write_text(text, encoding="utf-8")
    (output / "commands.sh").write_text("\n".join(results.commands) + "\n", encoding="utf-8")
    (output / "plot.png").write_bytes(picture)
    (output / "index.html").write_text(page, encoding="utf-8")
    say("done")
    print(text)
    print(f"Runs, plot and page: {output / 'index.html'}")


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
