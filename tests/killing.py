"""Work that is killed (-9) or stopped, and begun again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_LOOP = """
import os, random, signal, sys, time

output, kills = sys.argv[1], int(sys.argv[2])
log, whole, ends, took = output + ".partial/blocks.jsonl", set(), [], None
while kills or os.path.exists(output + ".partial"):
    began, child = time.monotonic(), os.fork()
    if not child:
        work(output)
        os._exit(0)
    if kills and took:
        time.sleep(random.uniform(0, took))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    took = took or time.monotonic() - began  # of the first run, which is unbroken
    if os.WIFSIGNALED(status):
        kills -= 1
        ends.append(os.path.getsize(log) if os.path.exists(log) else 0)
    else:
        assert status == 0, status
    if os.path.exists(output):  # and again from the start, until the kills are used up
        whole.add(open(output, "rb").read())
        os.remove(output)
(written,) = whole  # the same bytes each time
open(output, "wb").write(written)
print(len(ends), len(set(ends)))
"""


def kill_at_any_moment(program: str, output: Path, *words: object) -> None:
    """Kill what `program`'s function `work` does, and check that it writes the same all the same.

    The program finds `words` in ``sys.argv[3:]``. XQG_KILLS=20 for as many kills.
    """
    kills = os.environ.get("XQG_KILLS", "4")
    command = [sys.executable, "-c", program + _LOOP, output, kills, *words]
    ended = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    killed, moments = map(int, ended.stdout.split()[-2:])
    assert killed == int(kills)
    assert moments > 1 or killed < 20  # of a few, all may strike before the first commit


@contextmanager
def training_stopped(after: int | None = None) -> Iterator[list[int]]:
    """Let transformers' trainer take so many passes, or all, and list the updates they were for.

    One more raises KeyboardInterrupt.
    """
    from transformers import Trainer

    step, taken = Trainer.training_step, []

    def training_step(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        if len(taken) == after:
            raise KeyboardInterrupt
        taken.append(self.state.global_step)
        return step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "training_step", training_step)
        yield taken
