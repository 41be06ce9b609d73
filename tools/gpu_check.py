"""Show in a few minutes what only a GPU can, as one table; where there is none, say so in one line.

Each row is a command in a process of its own, with what is left of the time as its limit: encoding,
generating and training with ``--device cuda``, the same vectors as on the CPU, encoding in bfloat16
beside the padded way and Pyserini's with its part of the peak, and generation beside
transformers.generate.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.demo import TINY_ENCODER, XQG_MINI

HERE = Path(__file__).parent
#: Dense bfloat16 TFLOP/s by what a device's name holds, from its maker's data sheet.
PEAKS = {"H100": 989, "H200": 989, "A100": 312, "L40S": 362, "L4": 121, "A10": 125, "T4": 65}


class Check(NamedTuple):
    """A row: what it shows, its command, and how many of its last lines to show below the table."""

    title: str
    command: list[str]
    lines: int = 0


def checks(work: Path, device: str, peak: float | None) -> list[Check]:
    python = [sys.executable, "-m"]
    mini = str(XQG_MINI / "corpus.jsonl")
    encode = [
        *python, "pyserini_xqg.encode", "input", "--corpus", mini, "--fields", "title", "text",
        "output", "--embeddings",
    ]  # fmt: skip
    encoder = ["encoder", "--encoder", str(TINY_ENCODER), "--fields", "title", "text", "--device"]
    queries = ["xqg", "--queries", str(XQG_MINI / "queries.jsonl")]
    on_cpu, on_gpu = str(work / "cpu"), str(work / "gpu")
    bench = [sys.executable, str(HERE / "bench_encode.py"), "--device", device, "--texts", "20000",
             "--dtypes", "float32", "bfloat16", "--repeat", "2"]  # fmt: skip
    return [
        Check("encode on the CPU", [*encode, on_cpu, *encoder, "cpu", *queries]),
        Check("encode on the GPU", [*encode, on_gpu, *encoder, device, *queries]),
        Check("the same vectors", [sys.executable, __file__, "--compare", on_cpu, on_gpu], 1),
        Check(
            "train retriever on the GPU",
            [*python, "pyserini_xqg.train", "retriever", "--model", str(TINY_ENCODER), "--train",
             str(work / "pairs.jsonl"), "--epochs", "1", "--negatives", "0", "--device", "cuda",
             "--output", str(work / "trained")],
        ),
        Check(
            "generation beside transformers.generate, bfloat16",
            [sys.executable, str(HERE / "bench_generate.py"), "--device", device, "--dtype",
             "bfloat16", "--passages", "32"],
            4,
        ),
        Check(
            "encoding beside padded and Pyserini, bfloat16",
            [*bench, *(["--peak-tflops", f"{peak:g}"] if peak else [])],
            9,
        ),
    ]  # fmt: skip


def write_pairs(path: Path) -> None:
    """Passages with their queries in one row, as training takes them."""
    import json

    rows = map(json.loads, (XQG_MINI / "corpus.jsonl").read_text("utf-8").splitlines())
    texts = {row["docid"]: row for row in rows}
    with open(path, "w", encoding="utf-8") as file:
        for line in (XQG_MINI / "queries.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            file.write(json.dumps({**texts[row["docid"]], **row}, ensure_ascii=False) + "\n")


def compare(one: Path, other: Path) -> None:
    """Print the least cosine of two stores' passages, and fail below 0.99999."""
    import numpy as np

    a, b = (np.load(path / "passages.npy").astype(np.float64) for path in (one, other))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    least = float(((a * b).sum(axis=1) / norms).min())
    print(f"least cosine of {len(a)} passages {least:.8f}")
    if least < 0.99999:
        sys.exit(1)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8, help="for all of it (8)")
    parser.add_argument("--compare", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.compare:
        compare(*given.compare)
        return
    import torch

    if not torch.cuda.is_available():
        print("torch finds no GPU here: nothing was checked")
        return
    name = torch.cuda.get_device_name(0)
    peak = next((value for key, value in PEAKS.items() if key in name), None)
    end = time.monotonic() + 60 * given.minutes
    rows, shown, failed = [], [], False
    with tempfile.TemporaryDirectory() as work:
        write_pairs(Path(work) / "pairs.jsonl")
        for check in checks(Path(work), "cuda:0", peak):
            began = time.monotonic()
            try:
                done = subprocess.run(
                    check.command, capture_output=True, text=True, timeout=max(1.0, end - began)
                )
                said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
                verdict = "ok" if done.returncode == 0 else (said[-1] if said else "failed")
                failed |= done.returncode != 0
            except subprocess.TimeoutExpired:
                said, verdict = [], "no time was left"
            rows.append(f"{check.title:<52}{time.monotonic() - began:7.1f} s  {verdict}")
            if check.lines and said:
                shown += [f"\n{check.title}", *said[-check.lines :]]
            print(rows[-1], flush=True)
    print(f"\n{name}; torch {torch.__version__}")
    print("\n".join(shown))
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
