"""A model that is a table of token vectors: its tokenizer, its vectors to start from, its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.train.progress import quiet
from pyserini_xqg.train.tiny_pairs import Pair

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
