"""How likely a generator finds queries that are there already, written beside them as ``scores``.

A score is the mean log-probability of a query's tokens after the prompt with its passage and
language. `bench_selection.py` measures what such scores are worth; so does ``filter --min-score``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import refuse_existing, written_whole
from pyserini_xqg.collection.join import Join
from pyserini_xqg.evaluate.from_store.retrieval import Part
from pyserini_xqg.filter.rows import Row, read_rows, write_rows
from pyserini_xqg.train.pairs import Pair
from pyserini_xqg.train.settings import GeneratorSettings

#: Gives the scores of pairs.
Likelihoods = Callable[[Sequence[Pair]], list[float]]
#: What the tiny generators for a small collection are trained with.
TINY = {"max_steps": 300, "effective_batch_size": 32, "learning_rate": 3e-3, "eval_steps": 50}


def likelihoods(generator: str, batch_size: int = 32, device: str = "cpu") -> Likelihoods:
    """The mean log-probability of a query's tokens, by a model of the T5 family and our prompt."""
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, DataCollatorForSeq2Seq

    from pyserini_xqg.train.seq2seq import Examples

    model = AutoModelForSeq2SeqLM.from_pretrained(generator).float().eval().to(device)
    tokenizer = AutoTokenizer.from_pretrained(generator)
    collate = DataCollatorForSeq2Seq(tokenizer, model=model)
    settings = GeneratorSettings.resolve(generator)

    def score(pairs: Sequence[Pair]) -> list[float]:
        examples = Examples(pairs, tokenizer, settings)
        found: list[float] = []
        for first in range(0, len(pairs), batch_size):
            rows = range(first, min(first + batch_size, len(pairs)))
            inputs = collate([examples[row] for row in rows]).to(device)
            with torch.inference_mode():
                logits = model(**inputs).logits.transpose(1, 2)
            of_tokens = -cross_entropy(logits, inputs["labels"], reduction="none")
            found += (of_tokens.sum(1) / (inputs["labels"] != -100).sum(1)).tolist()
        return found

    return score


def pairs_of(row: Row) -> list[Pair]:
    passage = row.passage
    return [
        Pair(code, text, passage.title, passage.text)
        for code, texts in row.queries.items()
        for text in texts
    ]


def with_scores(rows: Iterable[Row], score: Callable[[Row], list[float]]) -> Iterator[Row]:
    for row in rows:
        scores = iter(score(row))
        of_row: dict[str, list[float | None]] = {
            code: [round(next(scores), 6) for _ in texts] for code, texts in row.queries.items()
        }
        yield row._replace(scores=of_row, line=b"")


def score_by_tiny_generators(corpus: Path, queries: Path, output: Path, work: Path) -> None:
    """By two generators of random beginnings, each trained on the queries that the other scores.

    Articles are halved, so that no generator has seen queries of a passage that it scores, nor of
    its neighbours. With some thousand queries it learns what questions look like, and little more.
    """
    join = Join(corpus, [queries], work)
    rows = list(read_rows(join))
    join.close()
    articles = sorted({row.passage.title for row in rows})
    half = {title: number % 2 for number, title in enumerate(articles)}
    dev = {title for number, title in enumerate(articles) if number % 10 < 2}
    generators = []
    for other in (1, 0):
        learnt = [row for row in rows if half[row.passage.title] == other]
        generators.append(likelihoods(train_tiny(learnt, dev, work / f"generator-{other}")))
    scored = with_scores(rows, lambda row: generators[half[row.passage.title]](pairs_of(row)))
    write_rows(scored, output)


def train_tiny(rows: Sequence[Row], dev: set[str], folder: Path) -> str:
    from pyserini_xqg.train.generator import train_generator

    folder.mkdir()
    sides: dict[str, list[Pair]] = {"train": [], "dev": []}
    for row in rows:
        sides["dev" if row.passage.title in dev else "train"] += pairs_of(row)
    for name, pairs in sides.items():
        lines = ["\t".join(" ".join(cell.split()) for cell in pair) for pair in pairs]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    start = make_start(folder / "start", sides["train"])
    settings = GeneratorSettings.resolve(start, **TINY)
    train_generator(
        [folder / "train.tsv"], [folder / "dev.tsv"], folder / "trained", settings, device="cpu"
    )
    return str(folder / "trained")


def make_start(path: Path, pairs: Sequence[Pair]) -> str:
    """An mT5 of two layers with random weights, and a Unigram tokenizer of the pairs' texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import MT5Config, MT5ForConditionalGeneration, PreTrainedTokenizerFast

    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=2000, special_tokens=list(special.values()), unk_token="<unk>",
        show_progress=False,
    )  # fmt: skip
    texts = {pair.text for pair in pairs} | {pair.query for pair in pairs}
    tokenizer.train_from_iterator(sorted(texts), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(path)
    torch.manual_seed(0)
    config = MT5Config(
        vocab_size=tokenizer.get_vocab_size(), d_model=64, d_kv=16, d_ff=128, num_layers=2,
        num_heads=4, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
        tie_word_embeddings=False,
    )  # fmt: skip
    model = MT5ForConditionalGeneration(config)
    model.lm_head.weight.data *= 0.01  # so that all tokens are alike at first
    model.save_pretrained(path)
    return str(path)


class FileScores:
    """The scores that stand beside the queries of a file, for the queries that a store keeps.

    `spread` is their standard deviation within a passage and language.
    """

    def __init__(self, corpus: str, path: str, work: Path) -> None:
        work.mkdir()
        self._path, self._join = path, Join(corpus, [path], work)
        self._last: tuple[int, dict[str, list[np.ndarray]]] = (-1, {})
        groups = [
            of
            for row in read_rows(self._join)
            for code in row.queries
            if len(of := self._kept(row, code))
        ]
        if not groups:
            raise XqgError(f"{path}: no queries in it")
        squares = sum(((of - of.mean()) ** 2).sum() for of in groups)
        self.spread = float(np.sqrt(squares / sum(map(len, groups)))) or 1.0

    def of(self, part: Part) -> dict[str, list[np.ndarray]]:
        """By language, an array a passage."""
        first = int(part.rows[0])
        if self._last[0] != first:
            stop = first + len(part.rows)
            rows = {row.passage.docid: row for row in read_rows(self._join, first, stop)}
            self._last = (
                first,
                {
                    code: [
                        self._checked(rows.get(docid), docid, code, count)
                        for docid, count in zip(part.block.docids, counts, strict=True)
                    ]
                    for code, counts in part.block.counts.items()
                },
            )
        return self._last[1]

    def _checked(self, row: Row | None, docid: str, code: str, count: int) -> np.ndarray:
        found = self._kept(row, code) if row and code in row.queries else np.empty(0)
        if len(found) != count:
            raise XqgError(
                f"{self._path}: passage {docid!r} has {len(found)} queries in {code}, and the "
                f"store {count}; give the corpus and queries that it was encoded with"
            )
        return found

    def _kept(self, row: Row, code: str) -> np.ndarray:
        """Of the queries that are encoded: not of blank ones."""
        texts = row.queries[code]
        both = zip(texts, row.scores.get(code, [None] * len(texts)), strict=True)
        found = [score for text, score in both if text.strip()]
        if None in found:
            raise XqgError(
                f"{self._path}: passage {row.passage.docid!r} has queries without scores in {code};"
                " python -m pyserini_xqg.filter --encoder and tools/score_queries.py write them"
            )
        return np.array(found, dtype=np.float64)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--queries", nargs="+", required=True)
    parser.add_argument("--generator", required=True, help="hub name or folder of a T5 or mT5")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--overwrite", action="store_true")
    args: Any = parser.parse_args(argv)
    refuse_existing(args.output, args.overwrite)
    score = likelihoods(args.generator, args.batch_size, args.device)
    with tempfile.TemporaryDirectory() as work:
        join = Join(args.corpus, args.queries, Path(work))
        with written_whole(args.output) as file:
            for row in with_scores(read_rows(join), lambda row: score(pairs_of(row))):
                file.write(row.to_json().decode())
        join.close()


if __name__ == "__main__":
    run_command(main)
