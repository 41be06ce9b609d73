"""Check stores and indexes: counts, checksums, vectors, docids, and the encoder.

``python -m pyserini_xqg.verify PATH [PATH ...]`` prints one line a check. Exit status 0 if all is
well (warnings allowed), 1 if anything is wrong, 2 for a command that cannot be understood.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.leftovers import LOG
from pyserini_xqg.encoder.hub import add_trust_option

if TYPE_CHECKING:
    from pyserini_xqg.verify.check import Check, Settings


def verify(path: Path, settings: Settings) -> Iterator[Check]:
    """The checks of whatever the folder is.

    Raises
    ------
    XqgError
        If it is neither a store nor an index of ours, finished or not.
    """
    from pyserini_xqg.index.manifest import MANIFEST as INDEX
    from pyserini_xqg.store.store import MANIFEST as STORE
    from pyserini_xqg.verify.check import WARNING, Check
    from pyserini_xqg.verify.indexes import verify_index
    from pyserini_xqg.verify.stores import verify_store

    partial = path.parent / f"{path.name}.partial"
    if path.name.endswith(".partial") and path.is_dir():
        yield _unfinished(path)
    elif (path / STORE).is_file():
        yield from verify_store(path, settings)
    elif (path / INDEX).is_file():
        yield from verify_index(path, settings)
    elif path.exists():
        raise XqgError(f"{path} is neither an embedding store ({STORE}) nor an index ({INDEX})")
    elif partial.is_dir():
        yield _unfinished(partial)
        return
    else:
        raise XqgError(f"no such folder: {path}")
    if partial.is_dir():
        yield Check(path, WARNING, "unfinished", f"{partial} is there too, from --overwrite")


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.verify",
        description=__doc__,
        example="stores/mine indexes/mine --store stores/mine",
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="stores, and indexes of any kind")
    add(
        "--store",
        nargs="+",
        metavar="STORE",
        help="recompute the indexes' vectors from this one, or from its shards in order",
    )
    add("--encoder", help="another place of the recorded model")
    add("--no-encoder", action="store_true", help="do not load the model")
    add("--device", help="of the encoder; by default the first accelerator")
    add_trust_option(parser)
    args = parser.parse_args(argv)
    if args.no_encoder and (args.encoder or args.device or args.trust_remote_code):
        raise XqgError("--no-encoder loads no model: leave the options of the encoder out")

    from pyserini_xqg.store.store import Store
    from pyserini_xqg.verify.check import ERROR, Settings

    settings = Settings(
        args.encoder,
        args.device,
        not args.no_encoder,
        Store(args.store) if args.store else None,
        args.trust_remote_code,
    )
    wrong = False
    for path in map(Path, args.paths):
        for check in verify(path, settings):
            print(check, flush=True)
            wrong |= check.verdict == ERROR
    if wrong:
        sys.exit(1)


def _unfinished(partial: Path) -> Check:
    from pyserini_xqg.verify.check import ERROR, Check

    blocks = 0
    for log in partial.rglob(LOG):  # a routed index has one for each of its own
        with open(log, "rb") as file:
            blocks += sum(line.endswith(b"\n") for line in file)
    return Check(
        partial,
        ERROR,
        "unfinished",
        f"{blocks} committed block(s); run the command that began it again, and it goes on there",
    )


if __name__ == "__main__":
    run_command(main)
