"""What models and searches have answered, kept so that a killed run does not ask them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pyserini_xqg.base.files import read_lines
from pyserini_xqg.base.leftovers import LOG
from pyserini_xqg.base.output import OutputFolder

T = TypeVar("T")
#: From how to ask to what was answered.
Recall = Callable[[Callable[[], list[T]]], list[T]]

SCORES, FOUND = "scores.jsonl", "found.jsonl"


class Answers:
    """The answers of the dear steps, batch by batch, in the files of an `OutputFolder`.

    A run that is taken up does the cheap steps again, which leads it to the same batches.

    Parameters
    ----------
    folder : OutputFolder
        Entered, not yet started.
    plan : mapping
        What decides the answers; while none is kept, a run may begin with another.
    """

    def __init__(self, folder: OutputFolder, plan: Mapping[str, Any]) -> None:
        self._folder = folder
        if not are_kept(folder):
            (folder.partial / "plan.json").unlink(missing_ok=True)
        folder.start(plan, {SCORES: b"", FOUND: b""})

    def recall(self, name: str) -> Recall[Any]:
        """Gives the answers in `name` one after the other, then asks and keeps what is new."""
        before = read_lines(self._folder.partial / name)  # it ends before the first new one

        def answer(ask: Callable[[], list[Any]]) -> list[Any]:
            line = next(before, None)
            if line is not None:
                kept: list[Any] = json.loads(line.content)
                return kept
            found = ask()
            self._folder.append(len(found), {name: json.dumps(found).encode() + b"\n"})
            return found

        return answer


def are_kept(folder: OutputFolder) -> bool:
    """Whether an earlier run has left answers."""
    log = folder.partial / LOG
    return log.exists() and log.stat().st_size > 0


def asked(ask: Callable[[], list[T]]) -> list[T]:
    """A `Recall` that keeps nothing."""
    return ask()
