"""XOR-Retrieve: R@kt, the share of questions whose answer is in the first k tokens retrieved.

After the official script of XOR QA (Asai et al., NAACL 2021): answers "yes" and "no" are dropped,
and a question left with none is not counted; each passage text (without its title) is tokenized;
tokens are joined in rank order, cut at exactly k, and joined by spaces; a question is a hit if any
of its answers, as it stands, is a substring; the score is the mean of the languages' percentages.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import write_json
from pyserini_xqg.evaluate.by_query import write_by_query
from pyserini_xqg.evaluate.report.publish import add_output_options, publish
from pyserini_xqg.evaluate.report.sections import Cell, Section, Table
from pyserini_xqg.evaluate.xor.predictions import (
    NOT_OFFICIAL,
    TOKENIZERS,
    Prediction,
    Question,
    Tokenize,
    add_tokenizer_option,
    prediction_rows,
    predictions_of_run,
    read_gold,
    read_predictions,
)

BUDGETS = (2000, 5000)


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
    hits : dict of int to dict of str to bool
        Whether the answer is there, by budget and question.
    """

    by_language: dict[int, dict[str, float]]
    mean: dict[int, float]
    counted: dict[str, int]
    unanswered: list[str]
    short: dict[int, int]
    hits: dict[int, dict[str, bool]]


def score_xor(
    predictions: Iterable[Prediction],
    questions: Sequence[Question],
    tokenize: Tokenize,
    budgets: Sequence[int] = BUDGETS,
) -> XorScores:
    """Score predictions as the official script does.

    A question counts for the language that its prediction names; where the gold file names
    another, that is said in a warning.

    Raises
    ------
    XqgError
        For a prediction for a question that is not in the gold file, or given twice, and if none
        of the questions is answered.
    """
    gold = {question.qid: question for question in questions}
    hits: dict[int, dict[str, bool]] = {budget: {} for budget in budgets}
    short = dict.fromkeys(budgets, 0)
    answered: set[str] = set()
    language: dict[str, str] = {}
    for prediction in predictions:
        if prediction.qid in answered:
            raise XqgError(f"question {prediction.qid!r} is predicted twice")
        answered.add(prediction.qid)
        question = gold.get(prediction.qid)
        if question is None:
            raise XqgError(f"question {prediction.qid!r} is not in the gold file")
        if not question.answers:
            continue
        in_turn = chain.from_iterable(map(tokenize, prediction.texts))
        tokens = list(islice(in_turn, max(budgets)))  # no text is made into tokens for nothing
        for budget in budgets:
            short[budget] += len(tokens) < budget
            read = " ".join(tokens[:budget])
            hits[budget][question.qid] = any(answer in read for answer in question.answers)
        language[question.qid] = prediction.language
    others = [qid for qid, code in language.items() if gold[qid].language not in ("", code)]
    if others:
        first = others[0]
        warnings.warn(
            f"{len(others)} question(s) have another language in the predictions than in the gold "
            f"file, e.g. {first!r}: {language[first]!r}, gold {gold[first].language!r}; scored "
            "under that of the predictions, as the official script does",
            stacklevel=2,
        )
    counted = dict(sorted(Counter(language.values()).items()))
    by_language = {
        budget: {
            code: 100 * sum(hit for qid, hit in found.items() if language[qid] == code) / n
            for code, n in counted.items()
        }
        for budget, found in hits.items()
    }
    if not counted:
        raise XqgError("no question of the gold file with a span answer is answered")
    return XorScores(
        by_language,
        {budget: sum(scores.values()) / len(scores) for budget, scores in by_language.items()},
        counted,
        [q.qid for q in questions if q.answers and q.qid not in answered],
        short,
        hits,
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.evaluate xor",
        description=__doc__.partition("\n")[0],
        example="--run wiki.run --corpus corpus.jsonl --gold xor_dev_retrieve_eng_span_v1_1.jsonl",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", help="a TREC run; needs --corpus")
    source.add_argument("--predictions", help="the official prediction file instead")
    add = parser.add_argument
    add("--corpus", help="where the run's texts are: JSONL or TSV")
    add("--gold", required=True, help="JSONL with id, answers, lang")
    add("--budget", type=int, nargs="+", default=list(BUDGETS), help="tokens")
    add_tokenizer_option(parser)
    add("--save-predictions", metavar="FILE", help="write the official format")
    add("--by-query", metavar="CSV", help="write every question's hits, for compare --scores")
    add(
        "--allow-missing",
        action="store_true",
        help="leave unanswered questions out of the count, as the official script does",
    )
    add("--allow-short", action="store_true", help="score shorter texts too")
    add_output_options(parser)
    args = parser.parse_args(argv)
    if args.run and not args.corpus:
        raise XqgError("--run needs --corpus: the measure reads the passages' texts")
    if min(args.budget) < 1:
        raise XqgError(f"--budget {min(args.budget)}: expected at least 1 token")
    tokenize = TOKENIZERS[args.tokenizer]()
    questions = read_gold(args.gold)
    predictions = (
        predictions_of_run(args.run, args.corpus, questions)
        if args.run
        else read_predictions(args.predictions)
    )
    if args.save_predictions:
        write_json(Path(args.save_predictions), prediction_rows(predictions))
    scores = score_xor(predictions, questions, tokenize, args.budget)
    _check(scores, args.allow_missing, args.allow_short)
    official = args.tokenizer == "official"
    if args.by_query:
        named = {_name(budget, official): hits for budget, hits in scores.hits.items()}
        write_by_query(args.by_query, named)
    section = xor_section(scores, official=official)
    publish([section], args.output, "XOR-Retrieve", overwrite=args.overwrite, full=args.full)


def xor_section(scores: XorScores, *, official: bool) -> Section:
    """A table: a row a budget, a column a language, the mean; coverage above it."""
    languages = list(scores.counted)
    total, missing = sum(scores.counted.values()), len(scores.unanswered)
    rows: list[list[Cell]] = []
    for budget, by_language in scores.by_language.items():
        rows.append(
            [
                _name(budget, official),
                *(by_language[code] for code in languages),
                scores.mean[budget],
            ]
        )
    rows.append(["n", *scores.counted.values(), total])
    covered = 100 * total / (total + missing)
    short = ", ".join(f"{count} under {budget}" for budget, count in scores.short.items())
    return Section(
        "XOR-Retrieve",
        [f"coverage {covered:.1f} % ({missing} unanswered); short of tokens: {short}"],
        [
            Table(
                "xor",
                "Questions with an answer in the first tokens, %",
                ["", *languages, "mean"],
                rows,
                formats=dict.fromkeys([*languages, "mean"], ".2f"),
                note="The mean is that of the languages.",
            )
        ],
        caveat="" if official else NOT_OFFICIAL,
    )


def _name(budget: int, official: bool) -> str:
    name = f"R@{budget / 1000:g}kt" if budget >= 1000 else f"R@{budget}t"
    # In the name itself, so that no figure goes anywhere without it.
    return name if official else f"{name} (not official)"


def _check(scores: XorScores, allow_missing: bool, allow_short: bool) -> None:
    if scores.unanswered and not allow_missing:
        raise XqgError(
            f"{len(scores.unanswered)} question(s) are not answered, e.g. "
            f"{scores.unanswered[0]!r}; the official script would leave them out of the count: "
            "answer them, or --allow-missing"
        )
    if any(scores.short.values()):
        found = ", ".join(f"{count} under {budget}" for budget, count in scores.short.items())
        if not allow_short:
            raise XqgError(f"questions short of tokens: {found}; search deeper, or --allow-short")
        print(f"warning: questions short of tokens: {found}", file=sys.stderr)
