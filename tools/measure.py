"""Run a function in a process of its own, and say how long it took and how much memory it had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Peak memory is VmHWM: getrusage would count what the process was before its program was loaded.
_CHILD = """
import importlib, json, sys, time
said, module, function, *words = sys.argv[1:]
if function == "main":
    from pyserini_xqg.base.commands import main_of
    run = main_of(module)
else:
    run = getattr(importlib.import_module(module), function)
began, worked = time.perf_counter(), time.process_time()
run(words)
seconds, cpu = time.perf_counter() - began, time.process_time() - worked
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
with open(said, "w") as file:
    json.dump([seconds, cpu, peak / 1024], file)
"""


class Measured(NamedTuple):
    """Seconds of the call, those that a core worked, and the peak of the memory in MiB."""

    seconds: float
    cpu: float
    peak: float


def measure(module: str, words: Sequence[str], function: str = "main") -> Measured:
    """Call ``module.function(words)`` in a new process.

    A module beside this file is found by its name alone. A failure ends the program.
    """
    with tempfile.NamedTemporaryFile() as said:
        command = [sys.executable, "-c", _CHILD, said.name, module, function, *words]
        done = subprocess.run(command, env=_environment(), stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"{module}.{function} {' '.join(words)} failed")
        return Measured(*json.loads(Path(said.name).read_text()))


def _environment() -> dict[str, str]:
    here = str(Path(__file__).parent)
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
