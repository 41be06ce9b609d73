"""What is installed from a wheel: the code, and all the files that it reads."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_a_wheel_holds_every_file_of_the_package(tmp_path):
    pytest.importorskip("setuptools", minversion="64")
    listed = subprocess.run(
        ["git", "ls-files", "pyserini_xqg"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is no git checkout, so that nobody knows which files belong to it")
    clone = tmp_path / "source"
    for name in [*listed.stdout.split("\n"), "setup.cfg", "pyproject.toml", "README.md", "LICENSE"]:
        if name and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
         "--wheel-dir", str(tmp_path), str(clone)],
        check=True, capture_output=True,
    )  # fmt: skip
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = {*wheel.namelist()}
    assert {*filter(None, listed.stdout.split("\n"))} <= held
