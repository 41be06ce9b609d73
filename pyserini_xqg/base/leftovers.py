"""What a finished folder must still lose, and loses when it is next looked at."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyserini_xqg.base.files import read_json

#: Names what must go; there only between a folder's last two moments.
LEFTOVERS = "leftovers.json"
#: A line for each block that is committed; some kinds of folder keep it.
LOG = "blocks.jsonl"
#: What every kind loses.
REMOVED = ("work", "plan.json", "lock")


def tidy(path: Path) -> None:
    """Remove what a process killed at the very end left inside its finished folder."""
    if not (path / LEFTOVERS).is_file():
        return
    listed = read_json(path / LEFTOVERS)
    # These alone: the list may be somebody else's, and name anything.
    for name in (*REMOVED, LOG):
        if name not in listed:
            continue
        if name == "work":
            shutil.rmtree(path / name, ignore_errors=True)
        else:
            (path / name).unlink(missing_ok=True)
    (path / LEFTOVERS).unlink(missing_ok=True)
