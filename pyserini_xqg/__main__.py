"""The list of commands: ``python -m pyserini_xqg``, or ``xqg``.

``xqg encode ...`` is ``python -m pyserini_xqg.encode ...``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyserini_xqg import __version__
from pyserini_xqg.base.commands import main_of
from pyserini_xqg.base.errors import XqgError, run_command

#: What most people need, in the order in which they need it.
FIRST = {
    "demo": "the whole pipeline on a small collection, in a minute",
    "doctor": "what is installed, whether it works, and how to mend what does not",
    "advise": "do generated queries help here? all of the below, and the answer in 15 lines",
    "generate": "queries for your passages, from a model or a chat server",
    "filter": "queries that are noise, taken out",
    "encode": "passages and queries to an embedding store",
    "index": "a store, or texts, to an index that is searched",
    "search": "topics to a run",
    "hybrid": "topics to a run, dense and BM25 fused",
    "evaluate trec": "scores of runs by language, with intervals",
    "evaluate compare": "which differences between runs are real",
    "evaluate sweep": "alpha, method and languages, chosen on dev topics",
}
#: The rest.
MORE = {
    "evaluate": "all kinds of evaluation: xor, controls, returned, leakage, resource, ...",
    "run": "any stock Pyserini module, with Java and our encoder class ready",
    "verify": "stores and indexes checked: counts, checksums, encoder, vectors",
    "merge": "shards of a store, or of a flat index, to one",
    "expand": "topics with passages, paraphrases or translations that a model writes",
    "export": "an encoder as sentence-transformers loads it, with ONNX and int8",
    "train": "generators and retrievers of your own",
    "romanise": "queries and topics in Latin letters, too",
    "reproduce": "published and own experiments, step by step, with their figures",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the list, or run a command by its name.

    Raises
    ------
    XqgError
        For a name that is no command.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if not words or words[0] in ("-h", "--help"):
        print(listing())
        return
    if words[0] == "--version":
        print(__version__)
        return
    name, *arguments = words
    if name not in {*FIRST, *MORE}:
        raise XqgError(f"no command {name!r}; python -m pyserini_xqg lists them")
    main_of(f"pyserini_xqg.{name}")(arguments)


def listing() -> str:
    """The list of commands, a line each."""
    width = max(map(len, {**FIRST, **MORE})) + 2
    return "\n".join(
        [
            "xqg COMMAND ..., or python -m pyserini_xqg.COMMAND ...; COMMAND --help tells more\n",
            *(f"  {name:<{width}}{what}" for name, what in FIRST.items()),
            "\nand, less often:\n",
            *(f"  {name:<{width}}{what}" for name, what in MORE.items()),
        ]
    )


def program() -> None:
    """The console script ``xqg``."""
    run_command(main)


if __name__ == "__main__":
    program()
