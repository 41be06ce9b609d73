"""XOR-Retrieve: R@kt, the share of questions whose answer is in the first k tokens retrieved.

After the official script of XOR QA (Asai et al., NAACL 2021): answers "yes" and "no" are dropped,
and a question left with none is not counted; each passage text (without its title) is tokenized;
tokens are joined in rank order, cut at exactly k, and joined by spaces; a question is a hit if any
of its answers, as it stands, is a substring; the score is the mean of the languages' percentages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.errors import XqgError
from pyserini_xqg.files import input_files, is_tsv, read_lines
from pyserini_xqg.records import PassageFormat, parse_json, parse_passage, parse_tsv_passage

BUDGETS = (2000, 5000)
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


class XorScores(NamedTuple):
    """R@kt by token budget.

    Attributes
    ----------
    by_language : dict of int to dict of str to float
        Percentages, by budget and language.
    mean : dict of int to float
        The unweighted mean over languages, by budget.
    counted : dict of str to int
        Questions by language.
    unanswered : list of str
        Questions that the run does not answer; the official script leaves them out.
    short : dict of int to int
        By budget, questions with fewer tokens than it.
    """

    by_language: dict[int, dict[str, float]]
    mean: dict[int, float]
    counted: dict[str, int]
    unanswered: list[str]
    short: dict[int, int]


def score_xor(
    predictions: Iterable[Prediction],
    questions: Sequence[Question],
    tokenize: Tokenize,
    budgets: Sequence[int] = BUDGETS,
) -> XorScores:
    """Score predictions as the official script does.

    Raises
    ------
    XqgError
        For a prediction for a question that is not in the gold file, or given twice, and if none
        of the questions is answered.
    """
    gold = {question.qid: question for question in questions}
    hits: dict[int, dict[str, list[bool]]] = {budget: {} for budget in budgets}
    short = dict.fromkeys(budgets, 0)
    answered: set[str] = set()
    for prediction in predictions:
        if prediction.qid in answered:
            raise XqgError(f"question {prediction.qid!r} is predicted twice")
        answered.add(prediction.qid)
        question = gold.get(prediction.qid)
        if question is None:
            raise XqgError(f"question {prediction.qid!r} is not in the gold file")
        if not question.answers:
            continue
        tokens: list[str] = []
        for text in prediction.texts:
            tokens += tokenize(text)
            if len(tokens) >= max(budgets):
                break
        for budget in budgets:
            short[budget] += len(tokens) < budget
            read = " ".join(tokens[:budget])
            found = any(answer in read for answer in question.answers)
            hits[budget].setdefault(question.language, []).append(found)
    by_language = {
        budget: {code: 100 * sum(of) / len(of) for code, of in sorted(found.items())}
        for budget, found in hits.items()
    }
    counted = {code: len(of) for code, of in sorted(hits[budgets[0]].items())}
    if not counted:
        raise XqgError("no question of the gold file with a span answer is answered")
    return XorScores(
        by_language,
        {budget: sum(scores.values()) / len(scores) for budget, scores in by_language.items()},
        counted,
        [q.qid for q in questions if q.answers and q.qid not in answered],
        short,
    )


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
            spans = [str(answer) for answer in answers if answer not in ("yes", "no")]
            questions.append(Question(qid, str(row.get("lang", "")).strip(), spans))
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
    ranked: dict[str, list[tuple[int, str]]] = {}
    for line in read_lines(Path(run)):
        cells = line.content.decode().split()
        if len(cells) != 6 or not cells[3].isdigit():
            raise XqgError(f"{run}:{line.number}: expected six columns of a TREC run")
        ranked.setdefault(cells[0], []).append((int(cells[3]), cells[2]))
    docids = {qid: [docid for _, docid in sorted(hits)[:depth]] for qid, hits in ranked.items()}
    needed = {docid for of_topic in docids.values() for docid in of_topic}
    texts: dict[str, str] = {}
    for name in input_files(corpus):
        for line in read_lines(name):
            where = f"{name}:{line.number}"
            if is_tsv(name):
                passage = parse_tsv_passage(line.content, where)
            else:
                passage = parse_passage(line.content, where, PassageFormat())
            if passage.docid in needed:
                texts[passage.docid] = passage.text
    if missing := needed - texts.keys():
        raise XqgError(f"{run}: {len(missing)} docid(s) are not in {corpus}, e.g. {min(missing)!r}")
    language = {question.qid: question.language for question in questions}
    return [
        Prediction(qid, language.get(qid, ""), [texts[docid] for docid in of_topic])
        for qid, of_topic in docids.items()
    ]


def read_predictions(path: str | Path) -> list[Prediction]:
    """The official prediction file: a JSON list of ``id``, ``lang``, ``ctxs``."""
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        return [Prediction(row["id"], row["lang"], list(row["ctxs"])) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise XqgError(f"{path}: expected a JSON list of id, lang and ctxs ({error!r})") from None


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
