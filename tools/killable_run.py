"""One run of a command in a forked process, which can be killed at a line of its code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

from fault_commands import Command

# The code that commits; a line of it is where a half-written state could be taken for whole.
COMMITS = ("output.py",)
COMMIT_FUNCTIONS = ("write_json", "sync", "write_parts", "write_lucene", "hand_over", "_commit")


class Run:
    """One run of a command in a forked process, its standard error in a file."""

    def __init__(self, command: Command, out: Path, said: Path, line: int = -1):
        self.said = said
        module = command.module
        words = [str(out) if word == "OUT" else word for word in command.words]
        self.process = os.fork()
        if not self.process:
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            os.dup2(2, 1)
            sys.argv = [module, *words]
            status = 1
            try:
                status = _run(module, line)
            finally:
                os._exit(status)

    def wait(self) -> int:
        """The exit status, negative for a signal."""
        _, status = os.waitpid(self.process, 0)
        return os.waitstatus_to_exitcode(status)

    def kill_after(self, seconds: float) -> int:
        timer = threading.Timer(seconds, os.kill, (self.process, signal.SIGKILL))
        timer.start()
        os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOWAIT)  # the number stays ours
        timer.cancel()
        timer.join()
        return self.wait()


def _run(module: str, line: int) -> int:
    import traceback

    from pyserini_xqg.base.commands import main_of
    from pyserini_xqg.base.errors import run_command

    main = main_of(f"pyserini_xqg.{module}")
    seen = _count_lines(line) if line != -1 else None
    try:
        run_command(main)
    except SystemExit as stop:
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.settrace(None)
        if seen is not None:
            print(f"lines {seen['lines']}", file=sys.stderr, flush=True)
    return 0


def _count_lines(kill_at: int) -> Counter[str]:
    """Count the lines of the committing code, and die at one of them (0: at none)."""
    seen: Counter[str] = Counter()

    def local(frame, event, argument):  # type: ignore[no-untyped-def]
        if event == "line":
            seen["lines"] += 1
            if seen["lines"] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return local

    def trace(frame, event, argument):  # type: ignore[no-untyped-def]
        code = frame.f_code
        folder, _, name = code.co_filename.rpartition("/")
        if "/pyserini_xqg" in folder and (name in COMMITS or code.co_name in COMMIT_FUNCTIONS):
            return local
        return None

    sys.settrace(trace)
    return seen
