"""``python -m pyserini_xqg.evaluate xor``: R@kt of XOR-Retrieve, from a run or its predictions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.errors import XqgError, run_command
from pyserini_xqg.evaluate.xor import (
    BUDGETS,
    TOKENIZERS,
    XorScores,
    prediction_rows,
    predictions_of_run,
    read_gold,
    read_predictions,
    score_xor,
)
from pyserini_xqg.files import write_json


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(prog="python -m pyserini_xqg.evaluate", description=__doc__)
    xor = parser.add_subparsers(required=True, metavar="xor").add_parser("xor", help=__doc__)
    source = xor.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", help="a TREC run; needs --corpus")
    source.add_argument("--predictions", help="the official prediction file instead")
    xor.add_argument("--corpus", help="where the run's texts are: JSONL or TSV")
    xor.add_argument("--gold", required=True, help="JSONL with id, answers, lang")
    xor.add_argument("--budget", type=int, nargs="+", default=list(BUDGETS), help="tokens")
    xor.add_argument("--tokenizer", default="official", choices=TOKENIZERS)
    xor.add_argument("--save-predictions", metavar="FILE", help="write the official format")
    xor.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave unanswered questions out of the count, as the official script does",
    )
    xor.add_argument("--allow-short", action="store_true", help="score shorter texts too")
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
    print(format_xor(scores, official=args.tokenizer == "official"))


def format_xor(scores: XorScores, *, official: bool) -> str:
    """A table: a row a budget, a column a language, the mean, and the coverage below."""
    languages = list(scores.counted)
    total, missing = sum(scores.counted.values()), len(scores.unanswered)
    lines = [f"{'':<14}{''.join(f'{code:>7}' for code in languages)}{'mean':>7}"]
    for budget, by_language in scores.by_language.items():
        name = f"R@{budget / 1000:g}kt" if budget >= 1000 else f"R@{budget}t"
        cells = "".join(f"{by_language[code]:7.2f}" for code in languages)
        lines.append(f"{name:<14}{cells}{scores.mean[budget]:7.2f}")
    counts = "".join(f"{scores.counted[code]:7}" for code in languages)
    lines.append(f"{'n':<14}{counts}{total:7}")
    covered = 100 * total / (total + missing)
    short = ", ".join(f"{count} under {budget}" for budget, count in scores.short.items())
    lines.append(f"coverage {covered:.1f} % ({missing} unanswered); short of tokens: {short}")
    if not official:
        lines.append("NOT OFFICIAL: not the official tokenizer")
    return "\n".join(lines)


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


if __name__ == "__main__":
    run_command(main)
