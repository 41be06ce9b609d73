"""What native code, Java's above all, finds and leaves in this process: locale, noise, signals."""

from __future__ import annotations

import ctypes
import locale
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def plain_locale() -> str | None:
    """What sets the C locale, in which Java, unlike Python, takes no file names outside ASCII.

    None in another locale. To be asked before Java starts, which changes it.
    """
    if locale.setlocale(locale.LC_CTYPE) not in ("C", "POSIX"):
        return None
    names = (name for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name))
    return next((f"{name}={os.environ[name]}" for name in names), "no LC_ALL, LC_CTYPE or LANG")


@contextmanager
def names_in_utf8() -> Iterator[None]:
    """Let a Java that is started take file names as Python does in the C locale: in UTF-8.

    It looks at the locale once, as it starts, and has no option that works.
    """
    if plain_locale() is None or sys.getfilesystemencoding() != "utf-8":
        yield
        return
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = "C.UTF-8"
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


@contextmanager
def without_lines(noise: str) -> Iterator[None]:
    """Drop lines with these words from what native code writes to standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as lines:
        os.dup2(lines.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            lines.seek(0)
            for line in lines:
                if noise.encode() not in line:
                    os.write(2, line)


def fault_handlers() -> Callable[[], None]:
    """A function that brings back today's handlers of fault signals.

    A Java machine in this process lives by its own, and dies at its next pause without them. Ray
    takes them when it starts, and resets them when it ends.
    """
    libc = ctypes.CDLL(None)
    kept = {}
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE):
        kept[number] = ctypes.create_string_buffer(256)  # larger than any struct sigaction
        libc.sigaction(number, None, kept[number])

    def restore() -> None:
        for number, action in kept.items():
            libc.sigaction(number, action, None)

    return restore
