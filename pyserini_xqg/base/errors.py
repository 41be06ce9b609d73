"""The one exception that users see, and how commands turn it into one line."""

from __future__ import annotations

import errno
import sqlite3
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

_DISK_FULL = (
    "no space left on the device (writing {}): free some and run the same command again; finished "
    "blocks are kept"
)


class XqgError(Exception):
    """Something the user can mend: the message says what was found, expected and what to do."""

    #: The exit status of a command that it ends.
    status = 2


class NothingMadeError(XqgError):
    """All went well, and nothing came of it."""

    status = 1


def shortened(text: str, most: int = 80) -> str:
    """A text for a message, in so many characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def reason_of(error: BaseException) -> str:
    """The first line of what an error of another library says; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def check_positive(settings: Any, *names: str) -> None:
    """Check that these fields of some settings are at least 1.

    Raises
    ------
    XqgError
        Naming the option that a field comes from.
    """
    for name in names:
        if getattr(settings, name) < 1:
            option = "--" + name.replace("_", "-")
            raise XqgError(f"{option} {getattr(settings, name)}: expected at least 1")


def run_command(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a command's ``main`` as a program: errors become one line and an exit status.

    Parameters
    ----------
    main : callable
        Takes the argument list, or None for ``sys.argv[1:]``.

    Notes
    -----
    Exit status 2 for an `XqgError` (1 where nothing was made) and for what the machine refuses
    (disk full, no permission, no such file), 130 when interrupted, 0 otherwise. A
    traceback means a defect of ours.
    """
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        main(None)
    except XqgError as error:
        _stop(str(error), error.status)
    except BrokenPipeError:  # `... | head` closed our output: not the user's mistake
        sys.stderr.close()
        sys.exit(1)
    except sqlite3.OperationalError as error:
        if "full" not in str(error):
            raise
        _stop(_DISK_FULL.format("a temporary table"))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            _stop(_DISK_FULL.format(error.filename or "the output"))
        _stop(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)


def _stop(message: str, status: int = 2) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(status)
