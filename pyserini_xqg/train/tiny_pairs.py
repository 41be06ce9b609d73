"""XOR-TyDi QA's questions with their translations, as what a tiny retriever learns from."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import Line, input_files, read_lines
from pyserini_xqg.collection.columns import tsv_cells
from pyserini_xqg.collection.records import (
    parse_json,
)

TRAIN, DEV = "xor_train_retrieve_eng_span.jsonl", "xor_dev_retrieve_eng_span_v1_1.jsonl"
TRANSLATIONS = "question_translations.tsv"
NO_ANSWER = {"yes", "no", "unknown"}


class Pair(NamedTuple):
    """A question, its human English translation, and its English answer ("" if unknown)."""

    lang: str
    question: str
    english: str
    answer: str


def read_pairs(data: Path) -> list[Pair]:
    """Read all pairs but those whose question also stands in the dev file.

    Raises
    ------
    XqgError
        For a file of XOR-TyDi's that is missing, or a row that is not of its form.
    """
    answers = {
        row["question"].strip(): next((a for a in row["answers"] if a.lower() not in NO_ANSWER), "")
        for row in _rows(data / TRAIN)
    }
    dev = {row["question"].strip() for row in _rows(data / DEV)}
    pairs = []
    for line in _lines(data / TRANSLATIONS):
        where = f"{data / TRANSLATIONS}:{line.number}"
        cells = tsv_cells(line.content, where)
        if len(cells) != 3:
            raise XqgError(
                f"{where}: {len(cells)} tab-separated column(s); expected language, question, "
                "English translation"
            )
        lang, question, english = (cell.strip() for cell in cells)
        if question not in dev:
            pairs.append(Pair(lang, question, english, answers.get(question, "")))
    return list(dict.fromkeys(pairs))


def _lines(path: Path) -> Iterator[Line]:
    (path,) = input_files(path)
    return read_lines(path)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    for line in _lines(path):
        row = parse_json(line.content, f"{path}:{line.number}")
        if not isinstance(row.get("question"), str) or not isinstance(row.get("answers"), list):
            raise XqgError(f"{path}:{line.number}: expected 'question' and a list 'answers'")
        yield row


def hold_out(pairs: Sequence[Pair], per_lang: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Split into training pairs and `per_lang` held-out pairs a language, with no text in both.

    Raises
    ------
    XqgError
        If a language has no more pairs than that.
    """
    rng = random.Random(seed)
    langs = sorted({pair.lang for pair in pairs})
    for lang in langs:
        if (there := sum(pair.lang == lang for pair in pairs)) <= per_lang:
            raise XqgError(f"--held-out {per_lang}: {lang} has {there} pairs")
    held = [p for lang in langs for p in rng.sample([q for q in pairs if q.lang == lang], per_lang)]
    taken = {text for pair in held for text in (pair.question, pair.english)}
    return [pair for pair in pairs if taken.isdisjoint((pair.question, pair.english))], held


def in_english(pairs: Iterable[Pair]) -> list[Pair]:
    """The same with the English translation as the question: nothing in another language."""
    return [Pair("en", pair.english, pair.english, pair.answer) for pair in pairs]


def texts_of(pairs: Sequence[Pair]) -> list[str]:
    """The texts that the vocabulary is learnt from: every question, every translation once."""
    return [pair.question for pair in pairs] + sorted({pair.english for pair in pairs})


def passage(pair: Pair, pool: Sequence[Pair], among: tuple[int, int], rng: random.Random) -> str:
    """Hide a pair's English side among others from `pool`, answers after the questions."""
    pairs = [pair, *rng.sample(pool, rng.randint(*among))]
    shuffled = rng.sample(pairs, len(pairs))
    return " ".join(f"{pair.english} {pair.answer}".strip() for pair in shuffled)


def write_examples(
    pairs: Sequence[Pair], path: Path, seed: int, passages: int, among: tuple[int, int]
) -> None:
    """Write each question with its passages: its translation alone, and in pseudo-passages.

    They are made by halves, those of one half hiding among pairs of the other, so that a question
    seldom meets a passage that holds its answer by chance as one that does not.
    """
    rng = random.Random(seed)
    shuffled = rng.sample(pairs, len(pairs))
    halves = shuffled[: len(pairs) // 2], shuffled[len(pairs) // 2 :]
    with open(path, "w", encoding="utf-8") as file:
        for own, pool in (halves, halves[::-1]):
            for pair in own:
                # A question that is its own translation would teach nothing.
                alone = round(passages / 6) if pair.question != pair.english else 0
                texts = alone * [pair.english]
                texts += [passage(pair, pool, among, rng) for _ in range(passages - alone)]
                row = {
                    "query": pair.question,
                    "lang": pair.lang,
                    "positive_passages": [{"text": text} for text in texts],
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
