"""The package's face: small, and free until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pyserini_xqg

HEAVY = "{'torch', 'faiss', 'pyserini', 'transformers', 'jnius', 'scipy'}"


@pytest.mark.parametrize(
    "code",
    [
        "import pyserini_xqg",
        "from pyserini_xqg import fuse, EncoderSpec, Store, XqgError",
        *(
            f"import runpy; sys.argv = ['x', '--help']\n"
            f"try: runpy.run_module('pyserini_xqg.{name}', run_name='__main__')\n"
            f"except SystemExit: pass"
            for name in ("encode", "index", "search", "run", "doctor", "demo")
        ),
    ],
)
def test_nothing_heavy_is_imported(code):
    script = f"import sys\n{code}\nprint(sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert said.stderr.strip().splitlines()[-1] == "[]"


def test_every_name_is_there():
    for name in pyserini_xqg.__all__:
        assert getattr(pyserini_xqg, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'XqgNothing'"):
        pyserini_xqg.XqgNothing  # noqa: B018


def test_commands_run_without_a_warning():
    # an eager __init__ would make `python -m package.module` warn
    said = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pyserini_xqg.index", "--help"],
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (0, "")
