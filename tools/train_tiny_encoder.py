"""Train the tiny multilingual sentence encoder that ships with the package.

The model is a table of token vectors: a text's vector is the mean of its tokens' vectors, scaled
to length 1, and a token's vector is the longer the more the token tells. It is saved as an XLNet
without layers, the stock class that looks vectors up and adds neither positions nor a norm, so
that ``AutoModel`` loads it. Needs sentence-transformers 6 with accelerate and datasets.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset  # type: ignore[import-untyped]
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers import SentenceTransformerTrainingArguments as TrainingArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import XLNetConfig, XLNetModel

SPECIAL = PAD, UNK, CLS = "[PAD]", "[UNK]", "[CLS]"
GAIN = 2.0  # how much faster the logarithms of the tokens' weights move than the vectors
TRAIN, DEV = "xor_train_retrieve_eng_span.jsonl", "xor_dev_retrieve_eng_span_v1_1.jsonl"
NO_ANSWER = {"yes", "no", "unknown"}
# Accents, Arabic vowel signs and tatweel, joiners; not the vowel signs of Indic scripts.
MARKS = "[\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u200b-\u200f]"
RUNS = r"\p{Han}+|\p{Hiragana}+|[\p{Katakana}ー]+|\p{Hangul}+|\p{Latin}+|\p{N}+"
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512}
INPUTS = {"model_input_names": ["input_ids", "attention_mask"]}
TOKENS = {"pad_token": PAD, "unk_token": UNK, "cls_token": CLS}
POOLING = {"pooling_mode_mean_tokens": True}
# What pyserini_xqg needs to know of the model; a static one reads a long question for nothing.
SETTINGS = {"pooling": "mean", "l2_norm": True, "query_max_length": 64, "max_length": 256}
PARTS = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
MODULES = [
    {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for at, (path, kind) in enumerate(PARTS)
]


class Pair(NamedTuple):
    """A question, its human English translation, and its English answer ("" if unknown)."""

    lang: str
    question: str
    english: str
    answer: str


def read_lines(path: Path) -> list[str]:
    """Read the lines of a file; the texts in it may hold line separators of other kinds."""
    return path.read_text("utf-8").rstrip("\n").split("\n")


def read_pairs(data: Path) -> list[Pair]:
    """Read all pairs but those whose question also stands in the dev file."""
    answers = {
        row["question"].strip(): next((a for a in row["answers"] if a.lower() not in NO_ANSWER), "")
        for row in map(json.loads, read_lines(data / TRAIN))
    }
    dev = {json.loads(line)["question"].strip() for line in read_lines(data / DEV)}
    pairs = []
    for line in read_lines(data / "question_translations.tsv"):
        lang, question, english = (field.strip() for field in line.split("\t"))
        if question not in dev:
            pairs.append(Pair(lang, question, english, answers.get(question, "")))
    return list(dict.fromkeys(pairs))


def hold_out(pairs: Sequence[Pair], per_lang: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Split into training pairs and `per_lang` held-out pairs a language, with no text in both."""
    rng = random.Random(seed)
    langs = sorted({pair.lang for pair in pairs})
    held = [p for lang in langs for p in rng.sample([q for q in pairs if q.lang == lang], per_lang)]
    taken = {text for pair in held for text in (pair.question, pair.english)}
    return [pair for pair in pairs if taken.isdisjoint((pair.question, pair.english))], held


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a Unigram tokenizer that drops punctuation and splits where the script changes."""
    tokenizer = Tokenizer(models.Unigram())
    strip_marks = normalizers.Replace(Regex(MARKS), "")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.Lowercase(), strip_marks, normalizers.NFC()]
    )
    words = pre_tokenizers.Split(Regex(r"[^\p{L}\p{M}\p{N}]+"), "removed")
    runs = pre_tokenizers.Split(Regex(RUNS), "isolated")
    marker = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, runs, marker])
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL), unk_token=UNK, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    # So that a text of nothing but punctuation still has a token; its vector is zero.
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[(CLS, SPECIAL.index(CLS))]
    )
    return tokenizer


class WeightedEmbedding(StaticEmbedding):
    """Token vectors with a trained weight each, so that telling tokens can outgrow the others."""

    def __init__(self, tokenizer: Tokenizer, start: torch.Tensor) -> None:
        super().__init__(tokenizer, embedding_weights=start)
        self.log_weight = torch.nn.Parameter(torch.zeros(len(start)))

    def forward(self, features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
        """Sum the weighted vectors of each text; the loss scales sums to length 1."""
        ids, offsets = features["input_ids"], features["offsets"]
        weights = torch.exp(GAIN * self.log_weight)[ids]
        features["sentence_embedding"] = torch.nn.functional.embedding_bag(
            ids, self.embedding.weight, offsets, mode="sum", per_sample_weights=weights
        )
        return features

    def table(self) -> torch.Tensor:
        """Return weight times vector of every token, the median length 1, padding and CLS zero."""
        table = self.embedding.weight * torch.exp(GAIN * self.log_weight)[:, None]
        table = table.detach() / table.detach().norm(dim=1).median()
        table[[SPECIAL.index(PAD), SPECIAL.index(CLS)]] = 0.0
        return table


def passage(pair: Pair, pool: Sequence[Pair], rng: random.Random) -> str:
    """Hide a pair's English side among 3 to 8 others from `pool`, answers after the questions."""
    pairs = [pair, *rng.sample(pool, rng.randint(3, 8))]
    shuffled = rng.sample(pairs, len(pairs))
    return " ".join(f"{pair.english} {pair.answer}".strip() for pair in shuffled)


def training_sets(pairs: Sequence[Pair], rounds: int, rng: random.Random) -> dict[str, Dataset]:
    """Make the sets of texts that belong together: pairs, and questions with pseudo-passages.

    The pseudo-passages are made by halves, those of one half hiding among pairs of the other, so
    that within a batch no passage holds by chance what another question asks for.
    """
    sets: dict[str, list[dict[str, str]]] = {"pairs": [], "first_half": [], "second_half": []}
    for _ in range(rounds):
        shuffled = rng.sample(pairs, len(pairs))
        sets["pairs"] += [{"anchor": pair.question, "positive": pair.english} for pair in shuffled]
        first, second = shuffled[: len(pairs) // 2], shuffled[len(pairs) // 2 :]
        for name, half, pool in (("first_half", first, second), ("second_half", second, first)):
            for pair in half:
                query = pair.english if rng.random() < 0.3 else pair.question
                sets[name].append({"anchor": query, "positive": passage(pair, pool, rng)})
    return {name: Dataset.from_list(rows) for name, rows in sets.items()}


def train(pairs: Sequence[Pair], args: argparse.Namespace) -> WeightedEmbedding:
    """Train the tokenizer, then the token vectors, with in-batch negatives in both directions."""
    texts = [pair.question for pair in pairs] + sorted({pair.english for pair in pairs})
    tokenizer = train_tokenizer(texts, args.vocab_size)
    torch.manual_seed(args.seed)
    start = 0.1 * torch.randn(tokenizer.get_vocab_size(), args.dim)
    module = WeightedEmbedding(tokenizer, start)
    model = SentenceTransformer(modules=[module], device="cpu")
    loss = MultipleNegativesRankingLoss(
        model,
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
        hardness_mode="in_batch_negatives",
        hardness_strength=9.0,
    )
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            num_train_epochs=1,
            per_device_train_batch_size=1024,
            dataloader_drop_last=True,
            learning_rate=0.02,
            warmup_steps=0.05,
            seed=args.seed,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        sets = training_sets(pairs, args.rounds, random.Random(args.seed))
        SentenceTransformerTrainer(model, arguments, sets, loss=loss).train()
    return module


def export(module: WeightedEmbedding, folder: Path) -> None:
    """Save as an XLNet without layers, with what sentence-transformers needs to load it too."""
    table = module.table()
    vocab_size, dim = table.shape
    sizes = {"vocab_size": vocab_size, "d_model": dim, "n_layer": 0, "n_head": 1, "d_inner": 1}
    tokens = {"pad_token_id": SPECIAL.index(PAD), "bos_token_id": None, "eos_token_id": None}
    model = XLNetModel(XLNetConfig(**sizes, **tokens, dropout=0.0, use_mems_eval=False))
    model.load_state_dict({"word_embedding.weight": table, "mask_emb": torch.zeros(1, 1, dim)})
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    module.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    files = {
        "tokenizer_config.json": TOKENIZER | INPUTS | TOKENS,
        "modules.json": MODULES,
        "1_Pooling/config.json": {"word_embedding_dimension": dim, **POOLING},
        "xqg_encoder.json": SETTINGS,
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def held_out_table(folder: Path, held: Sequence[Pair], others: Sequence[Pair], seed: int) -> str:
    """Measure hit@1 and hit@10 among all held-out English sides, alone and hidden among five."""
    rng = random.Random(seed)
    alone = [pair.english for pair in held]
    hidden = [[text, *(other.english for other in rng.sample(others, 5))] for text in alone]
    model = SentenceTransformer(str(folder), device="cpu")
    queries, columns = model.encode([pair.question for pair in held]), []
    for texts in (alone, [" ".join(rng.sample(row, len(row))) for row in hidden]):
        scores = queries @ model.encode(texts).T
        ranks = (scores > np.diag(scores)[:, None]).sum(axis=1)
        columns += [ranks < 1, ranks < 10]
    lines = ["| language | alone @1 | alone @10 | hidden @1 | hidden @10 |", "|---|" + "---:|" * 4]
    for lang in [*sorted({pair.lang for pair in held}), "all"]:
        rows = [lang in (pair.lang, "all") for pair in held]
        lines.append(f"| {lang} |" + "".join(f" {100 * hit[rows].mean():.1f} |" for hit in columns))
    return "\n".join(lines)


def main() -> None:
    """Train, save and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the XOR-TyDi files")
    parser.add_argument("--output", type=Path, required=True, help="folder to save the model in")
    parser.add_argument("--held-out", type=int, default=200, help="pairs a language not trained on")
    parser.add_argument("--vocab-size", type=int, default=6000)
    parser.add_argument("--dim", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=12, help="times every pair is seen")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=13)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pairs, held = hold_out(read_pairs(args.data), args.held_out, args.seed)
    print(f"{len(pairs)} pairs to train on, {len(held)} held out")
    export(train(pairs, args), args.output)
    print(held_out_table(args.output, held, pairs, args.seed))


if __name__ == "__main__":
    main()
