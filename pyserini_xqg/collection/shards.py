"""How work on a corpus is cut: into shards for processes, and these into blocks."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError, shortened

#: Passages in a block: the unit of work, commit and resume.
BLOCK = 1024


def shard_range(passages: int, shard_id: int, shard_num: int) -> tuple[int, int]:
    """The rows of a shard, as Pyserini cuts them: equal parts, the rest in the last one.

    Raises
    ------
    XqgError
        If there is no such shard, or no passage in it.
    """
    if shard_num < 1 or not 0 <= shard_id < shard_num:
        raise XqgError(
            f"--shard-id {shard_id} --shard-num {shard_num}: ids go from 0 to shard-num - 1"
        )
    size = passages // shard_num
    start = shard_id * size
    stop = passages if shard_id == shard_num - 1 else start + size
    if start == stop:
        raise XqgError(
            f"shard {shard_id} of {shard_num} is empty: the corpus has only {passages} passages"
        )
    return start, stop


def check_same_settings(
    what: str, path: Path, settings: Mapping[str, Any], first: Path, expected: Mapping[str, Any]
) -> None:
    """Refuse a shard with other settings than the first one's; `what` would be done with the two.

    Raises
    ------
    XqgError
        Naming the first that differs.
    """
    for key, here in settings.items():
        if here != expected[key]:
            found, wanted = (shortened(repr(value)) for value in (here, expected[key]))
            raise XqgError(
                f"{path} cannot be {what} with {first}: {key} is {found}, expected {wanted}; make "
                "them with the same settings"
            )


def add_shard_options(parser: argparse._ActionsContainer) -> None:
    """The part of a corpus that a command does."""
    parser.add_argument("--shard-id", type=int, default=0, help="counted from 0")
    parser.add_argument("--shard-num", type=int, default=1, help="shards of the corpus")
