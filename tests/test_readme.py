"""READMEs hold what they say: blocks marked bash or python are run, all other commands parsed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyserini_xqg.base.commands import Parser, main_of
from pyserini_xqg.encode.groups import parse_groups

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", *sorted((ROOT / "pyserini_xqg").glob("*/README.md"))]
README = READMES[0].read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(section):
    text = re.search(rf"^##+ {section}\n(.*?)(?=^##+ |\Z)", README, re.MULTILINE | re.DOTALL)[1]
    return [(kind, block) for kind, block in _BLOCK.findall(text) if kind in ("bash", "python")]


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
    return done.stdout, done.stderr


def commands():
    """Every command line of ours in a fenced block, words expanded as a shell does."""
    for readme in READMES:
        for _, block in _BLOCK.findall(readme.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                line = re.sub(r"^\$ ", "", line.strip())
                if re.match(r"(python -m pyserini_xqg|xqg )", line):
                    yield f"{readme.parent.name}: {' '.join(line.split())}"


def words_of(line):
    # Variables stay words: what they stand for decides nothing of how a line is read.
    line = re.sub(r'"?\$\{?(\w+)\}?"?', r"\1", line)
    expanded = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True
    )
    return expanded.stdout.split("\0")[:-1]


class Parsed(Exception):  # noqa: N818 - no error
    """What a command would do next."""


@pytest.mark.parametrize("command", sorted({*commands()}))
def test_every_command_parses(command, monkeypatch):
    words = words_of(re.split(r"\s(?:>|\||&&|#)\s?", command.partition(": ")[2])[0])
    if words[0] == "xqg":
        words = ["python", "-m", f"pyserini_xqg.{words[1]}", *words[2:]]
    module, *arguments = words[2:]
    if module == "pyserini_xqg":
        return
    if module == "pyserini_xqg.encode":
        parse_groups(arguments)
        return
    stock = Parser.parse_args

    def parse_args(self, *given, **more):
        found = stock(self, *given, **more)
        if self.prog.endswith("pyserini_xqg.evaluate"):  # which hands the rest on
            return found
        raise Parsed

    monkeypatch.setattr(Parser, "parse_args", parse_args)
    with pytest.raises(Parsed):
        main_of(module)(arguments)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_every_link_and_tool_is_there(readme):
    text = readme.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (readme.parent / link).exists(), link
    for tool in re.findall(r"(?<!tests/)\btools/[\w.-]+\b", text):
        assert (ROOT / tool).exists(), tool


def test_every_room_has_a_sign():
    rooms = {path.parent for path in (ROOT / "pyserini_xqg").glob("*/__init__.py")}
    assert {path.parent for path in READMES[1:]} == rooms


def test_a_stranger_finishes_it():
    assert len(README.split()) <= 1300


@pytest.fixture(scope="module")
def own_data(tmp_path_factory):
    """A folder where the commands were run, and what they said."""
    folder = tmp_path_factory.mktemp("own")
    return folder, *run(blocks("Your own data"), folder)


def test_your_own_data(own_data):
    parts, (_, out, err) = blocks("Your own data"), own_data
    assert float(re.search(r"recip_rank\s+all\s+([\d.]+)", out)[1]) >= 0.75
    for stated in re.findall(r"^# (.+)$", "".join(block for _, block in parts), re.MULTILINE):
        assert re.sub(r"\d+ s$", "", stated) in re.sub(r"\s+", " ", out + err), stated


def test_python_in_ten_lines(own_data):
    parts = blocks("In Python")
    assert len(parts[0][1].splitlines()) <= 12
    out, _ = run(parts, own_data[0])
    assert out.split()[0] == "1"  # the right passage comes first
