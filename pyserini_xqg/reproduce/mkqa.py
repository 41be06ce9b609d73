"""MKQA as topics and gold answers: ``id``, ``question``, ``lang``, ``answers``, a row each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import input_files, read_lines, written_whole
from pyserini_xqg.collection.languages import check_language, code_of
from pyserini_xqg.collection.records import parse_json

# What has no short answer that a passage could hold.
_WITHOUT_SPAN = {"unanswerable", "long_answer", "binary"}


def questions(
    row: dict[str, Any], answers_in: str, languages: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    """The questions of a row in each language, with the answers in one.

    Parameters
    ----------
    row : dict
        ``example_id``, ``queries`` by language, ``answers`` by language: ``type``, ``text``,
        ``aliases``.
    answers_in : str
        The language of the passages.
    languages : sequence of str or None
        Of the questions; all by default.
    """
    spans = [
        span
        for answer in row["answers"][answers_in]
        if answer["type"] not in _WITHOUT_SPAN
        for span in (answer["text"], *answer.get("aliases", ()))
        if span
    ]
    if not spans:
        return
    for code, question in row["queries"].items():
        language = check_language(code.replace("_", "-"), "MKQA")  # it says zh_cn
        if languages is None or language in languages:
            yield {
                "id": f"{language}-{row['example_id']}",
                "question": question,
                "lang": language,
                "answers": spans,
            }


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.mkqa",
        description=__doc__,
        example="--input mkqa.jsonl.gz --output gold.jsonl",
    )
    add = parser.add_argument
    add("--input", required=True, help="mkqa.jsonl or mkqa.jsonl.gz")
    add("--answers-in", default="en", help="the language of the passages")
    add(
        "--languages",
        nargs="+",
        type=code_of("--languages"),
        help="of the questions (default: all)",
    )
    add("--output", required=True, type=Path, metavar="FILE", help="the file to write")
    args = parser.parse_args(argv)
    count = 0
    with written_whole(args.output) as file:
        for name in input_files(args.input):
            for line in read_lines(name):
                where = f"{name}:{line.number}"
                try:
                    rows = list(
                        questions(parse_json(line.content, where), args.answers_in, args.languages)
                    )
                except (KeyError, TypeError, AttributeError) as error:
                    raise XqgError(
                        f"{where}: not as MKQA's rows are (example_id, queries and answers by "
                        f"language): {error!r}"
                    ) from None
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += len(rows)
        if not count:
            raise XqgError(
                f"{args.input}: no question in the languages asked for has a short answer"
            )


if __name__ == "__main__":
    run_command(main)
