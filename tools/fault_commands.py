"""What the fault harness runs: a made corpus, small models, and the commands that write."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import NamedTuple

LANGUAGES = ("fi", "ru", "te")
_PARTS = ["ka", "lo", "mi", "pu", "re", "su", "ta", "vo"]
WORDS = [first + second for first in _PARTS for second in _PARTS]


class Command(NamedTuple):
    """A command of ours.

    Attributes
    ----------
    module : str
        Below ``pyserini_xqg``.
    words : list of str
        Its arguments; OUT stands for what it makes.
    topics : str
        Where the bytes differ from run to run, as Lucene's do: what must find the same hits.
    again : bool
        What it makes has its name from the start, and the command may be run on it again.
    """

    module: str
    words: list[str]
    topics: str = ""
    again: bool = False


def made_corpus(folder: Path, passages: int) -> None:
    """Passages of a few words, up to two queries each in three languages, and some topics.

    Some passages have one query more, in a file of its own.
    """
    draw = random.Random(0)
    with (
        open(folder / "corpus.jsonl", "w") as corpus,
        open(folder / "q.jsonl", "w") as queries,
        open(folder / "more.jsonl", "w") as more,
    ):
        for number in range(passages):
            text = " ".join(draw.choices(WORDS, k=6))
            corpus.write(json.dumps({"docid": f"d{number}", "text": text}) + "\n")
            generated = {
                language: [" ".join(draw.choices(WORDS, k=3)) for _ in range(draw.randrange(3))]
                for language in LANGUAGES
            }
            row = {"docid": f"d{number}", "generated_queries": generated}
            queries.write(json.dumps(row) + "\n")
            if number % 2 and number < passages // 2:
                row["generated_queries"] = {"fi": [" ".join(draw.choices(WORDS, k=3))]}
                more.write(json.dumps(row) + "\n")
    with open(folder / "topics.tsv", "w") as topics:
        for number in range(20):
            topics.write(f"t{number}\t{' '.join(draw.choices(WORDS, k=3))}\n")


def made_generator(folder: Path) -> None:
    """An mT5 of one layer and few dimensions with random weights, which answers in our words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import MT5Config, MT5ForConditionalGeneration, PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    MT5ForConditionalGeneration(MT5Config(
        vocab_size=len(vocabulary), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )).save_pretrained(folder)  # fmt: skip


def commands(folder: Path) -> dict[str, Command]:
    """By name; the first two make the shards that others read."""
    from pyserini_xqg.demo import TINY_ENCODER

    corpus, queries = str(folder / "corpus.jsonl"), str(folder / "q.jsonl")
    tiny = ["--encoder", str(TINY_ENCODER), "--device", "cpu", "--batch-size", "256"]

    def encode(*output: str, xqg: tuple[str, ...] = ()) -> Command:
        return Command("encode", [
            "input", "--corpus", corpus, *output, "encoder", *tiny, "xqg", "--queries", queries,
            *xqg,
        ])  # fmt: skip

    def shard(number: int) -> Command:
        return encode("--shard-id", str(number), "--shard-num", "2", "output", "--embeddings",
                      str(folder / f"s{number}"))  # fmt: skip

    fusion = ["--method", "mean", "--alpha", "0.3"]
    shards = [str(folder / f"s{number}") for number in (0, 1)]
    index = ["--embeddings", *shards, "--output", "OUT", *fusion]
    return {
        "shard 0": shard(0),
        "shard 1": shard(1),
        "encode": encode("output", "--embeddings", "OUT", xqg=("--keep-queries",)),
        "encode --to-faiss": encode(
            "output", "--embeddings", "OUT", "--to-faiss", xqg=tuple(fusion)
        ),
        "encode --add": Command("encode", [
            "input", "--vectors", shards[0], "output", "--embeddings", "OUT", "encoder", *tiny,
            "xqg", "--queries", str(folder / "more.jsonl"), "--add",
        ]),
        "index": Command("index", index),
        "index, chosen": Command("index", ["--embeddings", *shards, "--output", "OUT"]),
        "index --routed": Command("index", [*index, "--routed"]),
        "index --to parquet": Command("index", [*index, "--to", "parquet"]),
        "index --to lucene-flat": Command(
            "index", [*index, "--to", "lucene-flat"], topics=str(folder / "topics.tsv")
        ),
        "merge": Command("merge", ["--embeddings", *shards, "--output", "OUT"]),
        "generate": Command("generate.__main__", [
            "--corpus", corpus, "--generator", str(folder / "generator"), "--output", "OUT",
            "--languages", *LANGUAGES, "--num-queries", "1", "--max-length", "16",
            "--max-new-tokens", "4", "--batch-size", "256", "--device", "cpu",
        ]),
        "filter": Command("filter.__main__", [
            "--corpus", corpus, "--queries", queries, "--output", "OUT", "--deduplicate",
            "--min-score", "0", *tiny,
        ]),
        "advise": Command("advise", [
            "--corpus", corpus, "--queries", queries, "--output", "OUT", *tiny,
        ], again=True),
    }  # fmt: skip
