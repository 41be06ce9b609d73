from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys

import pytest

from pyserini_xqg.errors import XqgError, run_command


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


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_disk_full_ends_in_one_line_and_can_be_resumed(corpus_and_queries, model_dir, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    corpus, queries = corpus_and_queries
    command = [
        sys.executable, "-m", "pyserini_xqg.encode", "input", "--corpus", corpus,
        "output", "--embeddings", small / "s", "encoder", "--encoder", model_dir,
        "--device", "cpu", "xqg", "--queries", queries, "--keep-queries",
    ]  # fmt: skip
    try:
        (small / "ballast").write_bytes(b"x" * 30_000)
        full = subprocess.run(command, capture_output=True, text=True)
        assert full.returncode == 2, full.stderr
        assert full.stderr.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in full.stderr
        assert not (small / "s").exists()
        (small / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
        subprocess.run(command, check=True)
        assert (small / "s/manifest.json").exists()
    finally:
        subprocess.run(["umount", small], check=True)
