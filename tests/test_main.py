"""The list of commands, and what every command's help and errors look like."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import pyserini_xqg
from pyserini_xqg.__main__ import FIRST, MORE, main
from pyserini_xqg.base.commands import Parser, main_of, shows_default
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.__main__ import COMMANDS, FURTHER

PACKAGE = Path(pyserini_xqg.__file__).parent
TRAIN = ("generator", "negatives", "retriever", "vocabulary", "language-model")
# Each command with what stands before its options.
ALL = sorted(
    {name for name in {**FIRST, **MORE} if " " not in name} - {"evaluate", "train", "encode"}
    | {f"evaluate {name}" for name in {**COMMANDS, **FURTHER}}
    | {f"train {name}" for name in TRAIN}
    | {f"encode {name}" for name in ("input", "output", "encoder", "xqg")}
)


class Parsed(Exception):  # noqa: N818 - no error
    """What a command would do next."""


@pytest.fixture
def parsers(monkeypatch):
    """The parsers that were asked for their help or to parse, in order; no command goes on."""
    seen = []
    stock_help, stock_parse = Parser.format_help, Parser.parse_args

    def format_help(self):
        seen.append(self)
        return stock_help(self)

    def parse_args(self, *given, **more):
        found = stock_parse(self, *given, **more)
        if self.prog.endswith(("evaluate", "encode input", "encode output", "encode encoder")):
            return found
        raise Parsed

    monkeypatch.setattr(Parser, "format_help", format_help)
    monkeypatch.setattr(Parser, "parse_args", parse_args)
    return seen


def helped(name, parsers, capsys):
    """The help of a command, and its parser."""
    words = name.split()
    with pytest.raises(SystemExit):
        main_of(f"pyserini_xqg.{words[0]}")(
            [*words[1:], "--help"] if words[0] != "encode" else ["-h"]
        )
    parser = next(each for each in reversed(parsers) if each.prog.endswith(f"pyserini_xqg.{name}"))
    return capsys.readouterr().out, parser


def test_the_list_holds_every_command():
    names = {
        path.parent.name if path.name == "__main__.py" else path.stem
        for pattern in ("*.py", "*/__main__.py")
        for path in PACKAGE.glob(pattern)
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    listed = {name.split()[0] for name in {**FIRST, **MORE}}
    assert names - {PACKAGE.name, "__main__"} == listed


def test_the_list_is_printed(capsys):
    main([])
    said = capsys.readouterr().out
    assert len(said.splitlines()) < 40
    assert said.index("  encode ") < said.index("  index ") < said.index("less often")
    assert said.index("less often") < said.index("  reproduce ")


def test_a_name_runs_its_command(capsys):
    with pytest.raises(SystemExit):
        main(["merge", "--help"])
    assert capsys.readouterr().out.startswith("usage: python -m pyserini_xqg.merge ")
    with pytest.raises(XqgError, match="no command 'mege'; python -m pyserini_xqg lists them"):
        main(["mege"])


def test_the_console_script():
    script = Path(sys.executable).with_name("xqg")
    if not script.exists():
        pytest.skip("the package is not installed in this environment")
    said = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert said.stdout.strip() == pyserini_xqg.__version__


@pytest.mark.parametrize("name", ALL)
def test_every_default_is_shown(name, parsers, capsys):
    said, parser = helped(name, parsers, capsys)
    own = parser.format_help()
    for action in filter(shows_default, parser._actions):
        flag = re.escape(action.option_strings[-1])
        found = re.search(rf"^  (-h, |-\w, )?{flag}\b.*?(?=^  -|^\S|\Z)", own, re.M | re.S)
        assert "default" in found[0], found[0]
        assert found[0].count("default:") == 1 or "(default)" in found[0], found[0]
    assert own in said


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("encode ")])
def test_every_command_has_an_example_that_parses(name, parsers, capsys):
    said, _ = helped(name, parsers, capsys)
    if name == "doctor":  # which takes nothing
        return
    line = said.split("example:\n")[1].replace("\\\n", " ")
    python, dash, module, *arguments = shlex.split(line)
    assert (python, dash) == ("python", "-m")
    with pytest.raises(Parsed):
        main_of(module)(arguments)


def test_encode_has_an_example_that_parses(capsys):
    from pyserini_xqg.encode.groups import parse_groups

    with pytest.raises(SystemExit):
        parse_groups(["--help"])
    line = capsys.readouterr().out.split("example:\n")[1].split("\n\n")[0].replace("\\\n", " ")
    groups = parse_groups(shlex.split(line)[3:])
    assert groups.xqg.queries


@pytest.mark.parametrize("name", ALL)
def test_no_option_means_two_things_without_saying_so(name, parsers, capsys):
    _, parser = helped(name, parsers, capsys)
    for action in parser._actions:
        if action.option_strings and not isinstance(action, argparse._HelpAction):
            assert action.help, f"{name} {action.option_strings[0]} does not say what it is"


def test_an_error_comes_first():
    said = subprocess.run(
        [sys.executable, "-m", "pyserini_xqg.index", "--output", "x", "--hits", "3"],
        capture_output=True,
        text=True,
    )
    assert said.returncode == 2
    assert said.stderr.splitlines() == [
        "error: unrecognized arguments: --hits 3",
        "see: python -m pyserini_xqg.index --help",
    ]


def test_an_output_that_is_there_is_refused_before_any_work(tmp_path):
    parser = Parser(prog="p")
    for option in ("--overwrite", "--dry-run"):
        parser.add_argument(option, action="store_true")
    parser.add_argument("--output")
    parser.add_argument("--engine", default="local")
    (tmp_path / "there").touch()
    there = ["--output", str(tmp_path / "there")]
    with pytest.raises(XqgError, match="there exists; give another name, or --overwrite"):
        parser.parse_args(there)
    for more in (["--overwrite"], ["--dry-run"], ["--engine", "ray"]):
        parser.parse_args([*there, *more])
    for more in ([], ["--overwrite"]):
        with pytest.raises(XqgError, match="is the folder that this runs in, or one around it"):
            parser.parse_args(["--output", ".", *more])
    parser.parse_args(["--output", str(tmp_path / "new")])
    parser.parse_args([])


def test_each_command_that_overwrites_looks_first():
    """By its option's name: an output is called --output, but by encode, which looks by itself."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if '"--overwrite", action' in text and path.name != "groups.py":
            assert '"--output"' in text, path
