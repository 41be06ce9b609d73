"""Train a tiny multilingual sentence encoder with ``python -m pyserini_xqg.train``, and measure it.

``pyserini_xqg.train.tiny`` makes what it starts from, ``train retriever`` trains it, and here it is
measured on held-out questions beside other encoders, by default the one that ships with the
package. What is trained already is only measured. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from pyserini_xqg.base.errors import run_command
from pyserini_xqg.demo import TINY_ENCODER
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.train.__main__ import main as train
from pyserini_xqg.train.tiny import PASSAGES, add_options, prepare_from, read_and_hold_out
from pyserini_xqg.train.tiny_pairs import Pair

#: What `train retriever` is told beside the files, the epochs and the seed.
SETTINGS = [
    "--pooling", "mean", "--l2-norm", "--query-max-length", "64", "--max-length", "160",
    "--generated-queries-as", "query", "--effective-batch-size", "1024", "--batch-size", "1024",
    "--learning-rate", "0.02", "--warmup", "0.05", "--scale", "20", "--device", "cpu",
]  # fmt: skip


def train_retriever(start: Path, output: Path, epochs: int, seed: int) -> None:
    """Train on what `prepare` made, to the last epoch.

    The held-out pairs choose nothing: they are what the result is measured on.
    """
    train([
        "retriever", "--model", str(start), "--train", str(start / "train.jsonl"),
        "--epochs", str(epochs), "--seed", str(seed), "--output", str(output), *SETTINGS,
    ])  # fmt: skip


def held_out_table(folder: Path, held: Sequence[Pair], others: Sequence[Pair], seed: int) -> str:
    """Measure hit@1 and hit@10 among all held-out English sides, alone and hidden among five."""
    rng = random.Random(seed)
    alone = [pair.english for pair in held]
    hidden = [[text, *(other.english for other in rng.sample(others, 5))] for text in alone]
    encoder = Encoder(EncoderSpec.resolve(str(folder)), device="cpu")
    queries, columns = encoder.encode_queries([pair.question for pair in held]), []
    for texts in (alone, [" ".join(rng.sample(row, len(row))) for row in hidden]):
        scores = queries @ encoder.encode_passages(texts).T
        ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
        columns += [ranks < 1, ranks < 10]
    lines = ["| language | alone @1 | alone @10 | hidden @1 | hidden @10 |", "|---|" + "---:|" * 4]
    for lang in [*sorted({pair.lang for pair in held}), "all"]:
        rows = [lang in (pair.lang, "all") for pair in held]
        lines.append(f"| {lang} |" + "".join(f" {100 * hit[rows].mean():.1f} |" for hit in columns))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and measure what came out beside others."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    add = parser.add_argument
    add("--epochs", type=int, default=PASSAGES, help="(%(default)s)")
    add("--compare", type=Path, nargs="*", default=[TINY_ENCODER], metavar="DIR",
        help="encoders to measure beside it (the one that ships)")  # fmt: skip
    add("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    pairs, held = read_and_hold_out(args)
    print(f"{len(pairs)} pairs to train on, {len(held)} held out")
    if not args.output.exists():
        start = args.output.with_name(args.output.name + ".start")
        if not start.exists():
            prepare_from(args, pairs, held, start)
        train_retriever(start, args.output, args.epochs, args.seed)
        shutil.rmtree(start)
    for folder in (args.output, *args.compare):
        size = (folder / "model.safetensors").stat().st_size
        print(f"{folder}, {size / 1e6:.1f} MB:\n{held_out_table(folder, held, pairs, args.seed)}")


if __name__ == "__main__":
    run_command(main)
