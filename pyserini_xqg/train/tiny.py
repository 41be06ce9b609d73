"""A tiny multilingual retriever's beginning: token vectors, and the pairs that it learns from.

A text's vector is the mean of its tokens' vectors, and a token's vector is the longer the more the
token tells. ``python -m pyserini_xqg.train.tiny`` makes these of XOR-TyDi QA's questions and their
translations; ``python -m pyserini_xqg.train retriever`` does the rest.
"""

from __future__ import annotations

import argparse
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.train.tiny_model import save_start, token_vectors, train_tokenizer
from pyserini_xqg.train.tiny_pairs import (
    Pair,
    hold_out,
    in_english,
    passage,
    read_pairs,
    texts_of,
    write_examples,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Passages of a question: no epoch need see one again.
PASSAGES = 48
#: The least and the most other pairs of a pseudo-passage.
HIDDEN = 3, 7


def prepare(
    folder: Path,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    pairs: Sequence[Pair],
    dim: int,
    seed: int,
    *,
    dev: Sequence[Pair] = (),
    passages: int = PASSAGES,
    among: tuple[int, int] = HIDDEN,
) -> None:
    """Make a folder of all that a training starts from: the model, the pairs, and dev pairs.

    Raises
    ------
    XqgError
        If the folder exists.
    """
    if folder.exists():
        raise XqgError(f"{folder} exists; give another name")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_start(tokenizer, token_vectors(tokenizer, texts, pairs, dim, seed), partial)
    write_examples(pairs, partial / "train.jsonl", seed, passages, among)
    rng = random.Random(seed)
    with open(partial / "dev.tsv", "w", encoding="utf-8") as file:
        for pair in dev:
            same = pair.question == pair.english
            text = passage(pair, dev, among, rng) if same else pair.english
            file.write(f"{pair.lang}\t{pair.question}\t{text}\n")
    partial.rename(folder)  # a killed run takes it up as it is, or makes it anew


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = Parser(
        prog="python -m pyserini_xqg.train.tiny", description=__doc__.partition("\n")[0]
    )
    add_options(parser)
    args = parser.parse_args(argv)
    pairs, held = read_and_hold_out(args)
    prepare_from(args, pairs, held, Path(args.output))
    print(f"{args.output}: {len(pairs)} pairs to train on, {len(held)} held out")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What decides the beginning."""
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="XOR-TyDi QA's files")
    add("--output", type=Path, required=True, metavar="DIR", help="to make")
    add("--held-out", type=int, default=200, help="pairs a language not trained on")
    add("--vocab-size", type=int, default=6000, help="tokens")
    add("--dim", type=int, default=400, help="of the vectors")
    add("--english-only", action="store_true",
        help="pair the English translations with themselves and the answers: zero-shot. The "
        "vocabulary has seen the other languages' questions, the vectors have not")  # fmt: skip
    add("--passages", type=int, default=PASSAGES,
        help="of a question, each epoch's another")  # fmt: skip
    add("--seed", type=int, default=13, help="of everything that is drawn")


def read_and_hold_out(args: argparse.Namespace) -> tuple[list[Pair], list[Pair]]:
    """The pairs to train on and those to measure on, by the options."""
    return hold_out(read_pairs(args.data), args.held_out, args.seed)


def prepare_from(
    args: argparse.Namespace, pairs: Sequence[Pair], held: Sequence[Pair], folder: Path
) -> None:
    """Prepare by the options."""
    texts = texts_of(pairs)
    tokenizer = train_tokenizer(texts, args.vocab_size)
    learnt, dev = (in_english(each) if args.english_only else each for each in (pairs, held))
    prepare(folder, tokenizer, texts, learnt, args.dim, args.seed, dev=dev, passages=args.passages)


if __name__ == "__main__":
    run_command(main)
