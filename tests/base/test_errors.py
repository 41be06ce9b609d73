from __future__ import annotations

import errno
import sqlite3

import pytest

from pyserini_xqg.base.errors import XqgError, run_command


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (XqgError("a.jsonl:3: broken"), 2, "error: a.jsonl:3: broken\n"),
        (
            OSError(errno.ENOSPC, "No space", "x"),
            2,
            "error: no space left on the device (writing x",
        ),
        (sqlite3.OperationalError("database or disk is full"), 2, "error: no space left"),
        (
            PermissionError(errno.EACCES, "Permission denied", "x"),
            2,
            "error: Permission denied: x\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_one_line_and_a_status(capsys, error, status, message):
    def main(argv):
        raise error

    with pytest.raises(SystemExit) as stop:
        run_command(main)
    assert stop.value.code == status
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_defects_keep_their_traceback():
    def main(argv):
        raise KeyError("ours")

    with pytest.raises(KeyError):
        run_command(main)
