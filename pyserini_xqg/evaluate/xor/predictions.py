"""XOR-Retrieve's files: gold answers, predictions, and the tokenizers that it reads texts with."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, parsed_json, read_lines, read_whole
from pyserini_xqg.collection.records import parse_json, text_field
from pyserini_xqg.collection.runs import read_passages, read_run

Tokenize = Callable[[str], list[str]]


class Question(NamedTuple):
    """A question of the gold file, its yes and no answers left out."""

    qid: str
    language: str
    answers: list[str]


class Prediction(NamedTuple):
    """The passage texts retrieved for a question, best first."""

    qid: str
    language: str
    texts: list[str]


def read_gold(path: str | Path) -> list[Question]:
    """The questions of a gold file: ``id``, ``answers``, ``lang``."""
    questions = []
    for name in input_files(path):
        for line in read_lines(name):
            where = f"{name}:{line.number}"
            row = parse_json(line.content, where)
            qid, answers = row.get("id"), row.get("answers")
            if not isinstance(qid, str) or not isinstance(answers, list):
                raise XqgError(f"{where}: expected 'id' (a string) and 'answers' (a list)")
            if wrong := [answer for answer in answers if not isinstance(answer, str)]:
                raise XqgError(f"{where}: expected 'answers' to be strings, found {wrong[0]!r:.60}")
            spans = [answer for answer in answers if answer not in ("yes", "no")]
            questions.append(Question(qid, text_field(row, "lang", where).strip(), spans))
    return questions


def predictions_of_run(
    run: str | Path, corpus: str | Path, questions: Sequence[Question], depth: int = 100
) -> list[Prediction]:
    """Predictions from a TREC run, with the texts it needs streamed from the corpus.

    Parameters
    ----------
    run, corpus : path-like
    questions : sequence of Question
        Their languages; topics of the run that are none of them are refused.
    depth : int
        Passages kept of each topic; a hundred hold 5,000 tokens many times over.

    Raises
    ------
    XqgError
        For a broken run, and for docids that the corpus lacks.
    """
    ranked = read_run(run)
    docids = {qid: [hit.docid for hit in hits[:depth]] for qid, hits in ranked.items()}
    passages = read_passages(corpus, {docid for of_topic in docids.values() for docid in of_topic})
    language = {question.qid: question.language for question in questions}
    return [
        Prediction(qid, language.get(qid, ""), [passages[docid].text for docid in of_topic])
        for qid, of_topic in docids.items()
    ]


def read_predictions(path: str | Path) -> list[Prediction]:
    """The official prediction file: a JSON list of ``id``, ``lang``, ``ctxs``.

    Raises
    ------
    XqgError
        Naming file and row, for anything else.
    """
    try:
        rows = parsed_json(read_whole(path))
    except (ValueError, RecursionError) as error:
        raise XqgError(
            f"{path}: expected a JSON list of id, lang and ctxs; not JSON ({error})"
        ) from None
    if not isinstance(rows, list):
        raise XqgError(
            f"{path}: expected a JSON list of id, lang and ctxs, found a {type(rows).__name__}"
        )
    return [_prediction(row, f"{path}: row {number}") for number, row in enumerate(rows, 1)]


def _prediction(row: Any, where: str) -> Prediction:
    if not isinstance(row, dict):
        raise XqgError(f"{where}: expected an object with id, lang and ctxs, found {row!r:.60}")
    for field, kind in (("id", str), ("lang", str), ("ctxs", list)):
        if not isinstance(row.get(field), kind):
            raise XqgError(
                f"{where}: expected {field!r} to be a {'list' if kind is list else 'string'}, "
                f"found {row.get(field)!r:.60}"
            )
    for number, text in enumerate(row["ctxs"], 1):
        if not isinstance(text, str):
            raise XqgError(
                f"{where} (question {row['id']!r}): expected 'ctxs' to be strings, found "
                f"{text!r:.60} at place {number}"
            )
    return Prediction(row["id"], row["lang"].strip(), row["ctxs"])


def prediction_rows(predictions: Iterable[Prediction]) -> list[Mapping[str, object]]:
    """What the official prediction file holds."""
    return [{"id": p.qid, "lang": p.language, "ctxs": p.texts} for p in predictions]


def official_tokenizer() -> Tokenize:
    """NLTK's ``word_tokenize``, as the official script.

    Raises
    ------
    XqgError
        If NLTK or its punkt data are missing, with the way to get them.
    """
    try:
        import nltk

        nltk.word_tokenize("a")
    except (ImportError, LookupError):
        raise XqgError(
            "the official tokenizer needs NLTK and its punkt_tab data: pip install nltk, then "
            "python -m nltk.downloader punkt_tab; or --tokenizer simple, which is not official"
        ) from None
    return nltk.word_tokenize  # type: ignore[no-any-return]


def simple_tokenizer() -> Tokenize:
    """Words and single punctuation marks. Its figures are not official."""
    return re.compile(r"\w+|[^\w\s]").findall


#: The choices of ``--tokenizer``.
TOKENIZERS = {"official": official_tokenizer, "simple": simple_tokenizer}
#: Said wherever another one than the official was taken.
NOT_OFFICIAL = "NOT OFFICIAL: not the official tokenizer"


def add_tokenizer_option(parser: argparse.ArgumentParser) -> None:
    """``--tokenizer``, for every command that looks for answers in texts."""
    parser.add_argument(
        "--tokenizer",
        default="official",
        choices=TOKENIZERS,
        help="official: NLTK; simple: an approximation, named as such",
    )
