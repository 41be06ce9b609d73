"""Every ``bash`` and ``python`` block of the README is run, in order, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(section):
    text = re.search(rf"^##+ {section}\n(.*?)(?=^##+ |\Z)", README, re.MULTILINE | re.DOTALL)[1]
    return re.findall(r"^```(bash|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(parts, folder):
    script = "set -euo pipefail\n"
    for kind, block in parts:
        script += block if kind == "bash" else f"python - <<'END_OF_PYTHON'\n{block}END_OF_PYTHON\n"
    environment = {
        **os.environ,
        "XQG_E5": "",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_walk_through(tmp_path):
    said = run(blocks("Your own files"), tmp_path)
    assert float(re.search(r"recip_rank\s+all\s+([\d.]+)", said)[1]) >= 0.75
    assert said.splitlines()[-2].startswith("1 ")  # the hit that Python prints first
    run(blocks("At Pyserini's door"), tmp_path)
    assert (tmp_path / "stock.run").read_text().split()[:4] == ["ru-1", "Q0", "1", "1"]


@pytest.mark.skipif("XOR_TYDI" not in os.environ, reason="XOR_TYDI names no XOR-TyDi download")
def test_real_questions(tmp_path):
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    said = run(blocks("Real questions"), tmp_path)
    found = float(re.search(r"recip_rank\s+all\s+([\d.]+)", said)[1])
    stated = float(re.search(r"a reciprocal rank of ([\d.]+)", README)[1])
    assert found == pytest.approx(stated, abs=1e-3)
