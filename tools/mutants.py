"""Do the tests bite? Sampled mutants of the core, each run against its own tests.

``python tools/mutants.py --number 20`` draws so many mutants of each module: a comparison, an
operator, a constant, a boolean or a loop changed by cosmic-ray's operators (``pip install
cosmic-ray``), or a ``raise`` removed. It prints those that no test noticed, and the share killed.
A mutant that changes annotations alone is none, nor one of ``if TYPE_CHECKING``, of the ``*`` in a
signature, of ``strict`` in a ``zip`` or of a number that only speed depends on. Modules can be
named (``--modules fusion``), and another ``--seed`` draws others: 20 of a module take one to five
minutes of one core.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
#: Each module of the core with the tests that must notice what is wrong in it.
CORE = {
    "fusion": ("test_fusion.py",),
    "collection/join": ("collection/test_join.py", "collection/test_named.py"),
    "collection/places": ("collection/test_join.py",),
    "collection/records": ("collection/test_records.py", "collection/test_join.py"),
    "collection/runs": ("collection/test_runs.py",),
    "encode/blocks": ("encode/test_blocks.py", "encode/test_encode.py"),
    "store/store": ("store/test_store.py", "store/test_sample.py"),
    "store/writer": ("store/test_store.py", "store/test_sample.py"),
    "base/output": ("base/test_output.py",),
    "index/exact": ("index/test_exact.py",),
    "index/maps": ("index/test_maps.py", "index/test_maps_file.py"),
    "index/ridge": ("index/test_maps.py", "index/test_maps_file.py"),
    "encoder/probes": ("encoder/test_probes.py",),
    "evaluate/compare/significance": ("evaluate/test_significance.py",),
    "evaluate/xor/command": ("evaluate/test_xor.py",),
}
#: Numbers of how much is done at a time: whatever they are, the same comes out.
SPEED = {"_INSERT_ROWS"}
FAMILIES = (
    "ReplaceComparisonOperator", "ReplaceBinaryOperator", "ReplaceUnaryOperator", "NumberReplacer",
    "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd",
    "AddNot", "ZeroIterationForLoop", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak",
)  # fmt: skip
#: A mutant counts as killed after so many times the seconds that the tests take without it, and
#: this many more: it never ends.
TIMES, MORE = 5, 10


class Mutant(NamedTuple):
    """A module, its operator's name, and its code with one change."""

    module: str
    operator: str
    code: str


def mutants(module: str) -> Iterator[Mutant]:
    """All mutants of a module that change what it does."""
    from cosmic_ray import plugins
    from cosmic_ray.mutating import mutate_code

    code = (ROOT / "pyserini_xqg" / f"{module}.py").read_text(encoding="utf-8")
    same = _meaning(code)
    operators = [
        plugins.get_operator(name)()
        for name in plugins.operator_names()
        if name.removeprefix("core/").startswith(FAMILIES) and "_Is" not in name
    ]
    for operator in operators:
        for occurrence in range(10_000):
            changed = mutate_code(code.encode(), operator, occurrence)
            if changed is None:
                break
            text = changed if isinstance(changed, str) else changed.decode()
            if _meaning(text) not in (same, None):
                yield Mutant(module, type(operator).__name__, text)
    for text in _without_a_raise(code):
        yield Mutant(module, "RemoveRaise", text)


def _without_a_raise(code: str) -> Iterator[str]:
    lines = code.splitlines(keepends=True)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Raise) and node.end_lineno:
            first = lines[node.lineno - 1]
            rest = "".join(lines[node.end_lineno :])
            yield "".join(lines[: node.lineno - 1]) + first[: node.col_offset] + "pass\n" + rest


def _meaning(code: str) -> str | None:
    """What is run of it: without annotations and their imports; None where it does not parse."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.test, node.body = ast.Constant(False), [ast.Pass()]
        if isinstance(node, ast.arguments):
            node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
            node.posonlyargs = node.kwonlyargs = []
            node.defaults = [*node.defaults, *filter(None, node.kw_defaults)]
            node.kw_defaults = []
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.Assign) and SPEED & {ast.unparse(of) for of in node.targets}:
            node.value = ast.Constant(None)
        if isinstance(node, ast.Call):  # zip's stops a defect of ours alone: lengths are checked
            node.keywords = [word for word in node.keywords if word.arg != "strict"]
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)  # type: ignore[assignment]
    return ast.dump(tree)


def survives(mutant: Mutant, copy: Path, limit: float) -> bool:
    """Whether its module's tests pass within so many seconds, in a process of their own."""
    target = copy / "pyserini_xqg" / f"{mutant.module}.py"
    whole = target.read_text(encoding="utf-8")
    target.write_text(mutant.code, encoding="utf-8")
    try:
        child = os.fork()
        if not child:
            _test(copy, CORE[mutant.module])
        return _status(child, limit) == 0
    finally:
        target.write_text(whole, encoding="utf-8")


def _test(copy: Path, tests: Sequence[str]) -> None:
    """Run the tests on the copy, and end the process."""
    status = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(copy)
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(copy))
        os.environ["PYTHONPATH"] = str(copy)
        import pytest

        status = int(
            pytest.main(
                ["-x", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in tests)]
            )
        )
    finally:
        os._exit(status)


def _status(child: int, limit: float) -> int:
    began = time.monotonic()
    while time.monotonic() - began < limit:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def _unchanged(module: str) -> Mutant:
    code = (ROOT / "pyserini_xqg" / f"{module}.py").read_text(encoding="utf-8")
    return Mutant(module, "none", code)


def _shown(mutant: Mutant) -> str:
    before = (ROOT / "pyserini_xqg" / f"{mutant.module}.py").read_text(encoding="utf-8")
    changed: list[Any] = list(
        difflib.unified_diff(before.splitlines(), mutant.code.splitlines(), n=0, lineterm="")
    )
    return "\n".join(f"    {line}" for line in changed[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=20, help="mutants of each module")
    parser.add_argument("--modules", nargs="+", default=list(CORE), choices=CORE)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    # Imported once, so that a fork starts at the tests. Nothing of the package itself.
    import numpy
    import pytest  # noqa: F401
    import torch
    import transformers
    from transformers import AutoModel, AutoTokenizer, BertModel  # noqa: F401

    del numpy, transformers
    torch.set_num_threads(1)
    killed = total = 0
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work)
        for name in ("pyserini_xqg", "tests"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        for name in ("pyproject.toml", "setup.cfg", "README.md"):
            shutil.copy(ROOT / name, copy / name)
        for module in args.modules:
            found = sorted(mutants(module))
            drawn = random.Random(args.seed).sample(found, min(args.number, len(found)))
            began = time.monotonic()
            if not survives(_unchanged(module), copy, 600):
                sys.exit(f"{module}: its tests fail without any change")
            limit = TIMES * (time.monotonic() - began) + MORE
            left = [mutant for mutant in drawn if survives(mutant, copy, limit)]
            killed, total = killed + len(drawn) - len(left), total + len(drawn)
            print(f"{module}: {len(drawn) - len(left)} of {len(drawn)} killed, of {len(found)}")
            for mutant in left:
                print(f"  {mutant.operator} survives\n{_shown(mutant)}", flush=True)
    print(f"{killed} of {total} killed: {100 * killed / max(total, 1):.1f} %")
    sys.exit(killed < 0.95 * total)


if __name__ == "__main__":
    main()
