"""A tiny multilingual retriever's beginning: token vectors, and the pairs that it learns from.

A text's vector is the mean of its tokens' vectors, and a token's vector is the longer the more the
token tells. ``python -m pyserini_xqg.train.tiny`` makes these of XOR-TyDi QA's questions and their
translations; ``python -m pyserini_xqg.train retriever`` does the rest.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.train.progress import quiet
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
    import torch
    from tokenizers import Tokenizer


SPECIAL = PAD, UNK, CLS = "[PAD]", "[UNK]", "[CLS]"
# Accents, Arabic vowel signs and tatweel, joiners; not the vowel signs of Indic scripts.
MARKS = "[\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u200b-\u200f]"
RUNS = r"\p{Han}+|\p{Hiragana}+|[\p{Katakana}ー]+|\p{Hangul}+|\p{Latin}+|\p{N}+"
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512}
INPUTS = {"model_input_names": ["input_ids", "attention_mask"]}
TOKENS = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS}


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a Unigram tokenizer that drops punctuation and splits where the script changes."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from tokenizers.trainers import UnigramTrainer

    tokenizer = Tokenizer(models.Unigram())
    strip_marks = normalizers.Replace(Regex(MARKS), "")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.Lowercase(), strip_marks, normalizers.NFC()]
    )
    words = pre_tokenizers.Split(Regex(r"[^\p{L}\p{M}\p{N}]+"), "removed")
    runs = pre_tokenizers.Split(Regex(RUNS), "isolated")
    marker = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, runs, marker])
    trainer = UnigramTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL), unk_token=UNK, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    # So that a text of nothing but punctuation still has a token.
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[(CLS, SPECIAL.index(CLS))]
    )
    return tokenizer


def token_vectors(
    tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[Pair], dim: int, seed: int
) -> torch.Tensor:
    """Vectors to start from, shape ``(tokens, dim)``: direction from the pairs, length from texts.

    Tokens that stand in the same pairs point the same way (latent semantic analysis, Deerwester et
    al., 1990, with the languages of a pair in one document), those in none anywhere. A token is the
    longer the fewer of the texts it is in; the median is 1, special tokens are 0.

    Raises
    ------
    XqgError
        For more dimensions than pairs or tokens.
    """
    import torch

    size = tokenizer.get_vocab_size()
    if dim > min(size, len(pairs)):
        raise XqgError(f"--dim {dim}: more than the {min(size, len(pairs))} of tokens or pairs")

    def tokens(rows: Sequence[str]) -> list[list[int]]:
        encoded = tokenizer.encode_batch(rows, add_special_tokens=False)
        return [sorted(set(each.ids)) for each in encoded]

    found = np.bincount([token for row in tokens(texts) for token in row], minlength=size)
    weights = 1 + np.log((1 + len(texts)) / (1 + found))
    both = tokens([f"{pair.question} {pair.english} {pair.answer}" for pair in pairs])
    rows = np.repeat(np.arange(len(both)), [len(row) for row in both])
    columns = np.array([token for row in both for token in row])
    lengths = np.sqrt(np.bincount(rows, weights[columns] ** 2, len(both)))
    values = torch.tensor(weights[columns] / lengths[rows], dtype=torch.float32)
    matrix = torch.sparse_coo_tensor(
        np.stack([rows, columns]), values, (len(both), size), check_invariants=False
    )
    torch.manual_seed(seed)
    _, strengths, parts = torch.svd_lowrank(matrix, q=dim, niter=3)
    # A little noise, and nothing else for what is in no pair.
    vectors = unit(parts * strengths.sqrt()) + 0.1 * unit(torch.randn(size, dim))
    vectors = unit(vectors) * torch.tensor(weights / np.median(weights))[:, None].float()
    vectors[: len(SPECIAL)] = 0
    return vectors


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Rows scaled to length 1; those of almost 0 become 0."""
    lengths = vectors.norm(dim=1, keepdim=True)
    return vectors / lengths.where(lengths > 1e-6, float("inf"))


def save_start(tokenizer: Tokenizer, vectors: torch.Tensor, folder: Path) -> None:
    """Save tokenizer and vectors as a model that transformers loads: an XLNet without layers.

    It is the stock class that looks vectors up and adds neither positions nor a norm.
    """
    import torch
    from transformers import XLNetConfig, XLNetModel

    size, dim = vectors.shape
    sizes = {"vocab_size": size, "d_model": dim, "n_layer": 0, "n_head": 1, "d_inner": 1}
    tokens = {"pad_token_id": SPECIAL.index(PAD), "bos_token_id": None, "eos_token_id": None}
    model = XLNetModel(XLNetConfig(**sizes, **tokens, dropout=0.0, use_mems_eval=False))
    model.load_state_dict({"word_embedding.weight": vectors, "mask_emb": torch.zeros(1, 1, dim)})
    with quiet():
        model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = json.dumps(TOKENIZER | INPUTS | TOKENS, indent=2)
    (folder / "tokenizer_config.json").write_text(settings + "\n", encoding="utf-8")


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
