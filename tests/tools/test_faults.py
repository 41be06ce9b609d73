"""The fault harness at a small count: ``tools/fault_harness.py`` says what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "tools" / "fault_harness.py"


def run(*words):
    return subprocess.run(
        [sys.executable, HARNESS, *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("kills", "commands"),
    [
        (3, ["encode"]),
        (12, ["index", "index --routed", "merge"]),
        (4, ["index --to parquet"]),  # generate and filter are killed in tests of their own
        (2, ["index --to lucene-flat"]),
    ],
)
def test_kills_full_disks_and_locked_folders(kills, commands):
    ended = run(
        "--kills", str(kills), "--sizes", "1", "--passages", "2100", "--commands", *commands
    )
    assert ended.returncode == 0, ended.stderr
    header, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in ended.stdout.splitlines()
    )
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["command"] for row in table] == commands
    for row in table:
        assert int(row["kills"]) == kills
        assert int(row["at a line"]) + int(row["by time"]) == kills
        assert int(row["resumed"]) > 0
        assert [row[fault] for fault in ("torn", "differs", "failed", "unclear")] == ["0"] * 4
        assert row["full"] == "1" or "disk full and read-only: skipped, mounting" in ended.stderr
