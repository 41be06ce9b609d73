"""The tools that no other test runs: that they start, and what the fuzzer calls a defect."""

from __future__ import annotations

import importlib
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.mark.parametrize(
    "tool",
    [
        "bench_coverage",
        "bench_encode",
        "cut_queries",
        "gpu_check",
        "bench_index",
        "bench_memory",
        "bench_start",
        "fault_harness",
    ],
)
def test_a_tool_starts(tool):
    said = subprocess.run([sys.executable, TOOLS / f"{tool}.py", "--help"], capture_output=True)
    assert said.returncode == 0, said.stderr
    assert b"--" in said.stdout


def test_the_benchmarks_model_is_an_encoder(monkeypatch, tmp_path):
    from pyserini_xqg.encoder.encoder import Encoder

    monkeypatch.syspath_prepend(TOOLS)
    bench = importlib.import_module("bench_encode")
    small = {"hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 600}
    bench.make_model(tmp_path, ["one two", "three"], 1, **small)  # far fewer pieces than rows
    encoder = Encoder(str(tmp_path), device="cpu")  # the folder says how it pools
    assert encoder.encode_queries(["one three"]).shape == (1, 8)


@pytest.fixture
def fuzzer(monkeypatch):
    """The module without atheris, which is not for every machine."""
    stand_in = SimpleNamespace(instrument_imports=lambda include: nullcontext())
    monkeypatch.setitem(sys.modules, "atheris", stand_in)
    monkeypatch.syspath_prepend(TOOLS)
    yield importlib.import_module("fuzz_readers")
    del sys.modules["fuzz_readers"]


@pytest.fixture
def work(fuzzer, tmp_path):
    for name in fuzzer.READERS:
        (tmp_path / "work" / name).mkdir(parents=True)
    return tmp_path / "work"


def test_the_fuzzers_first_inputs_are_rows(fuzzer, work, tmp_path):
    fuzzer.write_seeds(tmp_path / "seeds")
    seeds = sorted((tmp_path / "seeds").iterdir())
    assert {seed.name for seed in seeds} == {*fuzzer.READERS}
    for seed in seeds:
        fuzzer.try_one(work, seed.read_bytes())
        fuzzer.READERS[seed.name](work / seed.name / seed.name)  # whole: no error of ours either


def test_what_the_fuzzer_calls_a_defect(fuzzer, work, monkeypatch):
    def careless(path):
        path.read_bytes().decode()
        if path.stat().st_size > 3:
            raise fuzzer.XqgError("somewhere in it")
        path.with_name("left").touch()

    fuzzer.try_one(work, b"")
    fuzzer.try_one(work, b"\0{")  # an error of ours, with its place
    monkeypatch.setitem(fuzzer.READERS, "corpus.jsonl", careless)
    with pytest.raises(UnicodeDecodeError):
        fuzzer.try_one(work, b"\0\xff")
    with pytest.raises(AssertionError, match="an error without its place: somewhere in it"):
        fuzzer.try_one(work, b"\0four")
    with pytest.raises(AssertionError, match=r"left beside corpus.jsonl: \['left'\]"):
        fuzzer.try_one(work, b"\0a")
