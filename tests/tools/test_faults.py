"""The fault harness at a small count: ``tools/fault_harness.py`` says what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).parents[2] / "tools" / "fault_harness.py"


def run(*words):
    return subprocess.run(
        [sys.executable, HARNESS, *words], capture_output=True, text=True, check=False
    )


#: How often each is killed; generate and filter are in tests of their own.
KILLS = {"encode": 3, "index": 12, "index --routed": 12, "merge": 12, "index --to parquet": 4,
         "index --to lucene-flat": 2}  # fmt: skip


def test_kills_full_disks_and_locked_folders():
    kills = map(str, KILLS.values())
    ended = run("--sizes", "1", "--passages", "2100", "--commands", *KILLS, "--kills", *kills)
    assert ended.returncode == 0, ended.stderr
    header, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in ended.stdout.splitlines()
    )
    table = [dict(zip(header, row, strict=True)) for row in rows]
    assert {row["command"]: int(row["kills"]) for row in table} == KILLS
    for row in table:
        assert int(row["at a line"]) + int(row["by time"]) == int(row["kills"])
        assert int(row["resumed"]) > 0
        assert [row[fault] for fault in ("torn", "differs", "failed", "unclear")] == ["0"] * 4
        assert row["full"] == "1" or "disk full and read-only: skipped, mounting" in ended.stderr
