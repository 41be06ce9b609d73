"""Topics with the texts that they have in another language: what a perfect translator would give.

For files whose topic ids are a language and a number, as in ``te-007`` and ``en-007``. Ids stay, so
that runs are judged and compared with those of the topics themselves. The text stands in place of a
topic's own, or beside it as an expansion.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import written_whole
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.collection.topics import Expansion, Topic, read_topics
from pyserini_xqg.expand.topics import with_field


def translated(topics: Sequence[Topic], language: str) -> list[Topic]:
    """The topics with the text and the language of their counterparts in a language.

    Raises
    ------
    XqgError
        For a topic without a counterpart.
    """
    return [
        topic._replace(text=other.text, language=language)
        for topic, other in zip(topics, _counterparts(topics, language, 0), strict=True)
    ]


def expanded(topics: Sequence[Topic], language: str, *, after: int = 0) -> list[Topic]:
    """The topics with their counterparts' text as an expansion.

    Parameters
    ----------
    topics : sequence of Topic
    language : str
    after : int
        Take the topic that comes so many after the counterpart: not a translation, for a control.

    Raises
    ------
    XqgError
        For a topic without a counterpart.
    """
    return [
        topic._replace(expansions=(Expansion("translation", language, other.text),))
        for topic, other in zip(topics, _counterparts(topics, language, after), strict=True)
    ]


def _counterparts(topics: Sequence[Topic], language: str, after: int) -> list[Topic]:
    theirs = [topic for topic in topics if topic.language == language]
    places = {topic.qid: place for place, topic in enumerate(theirs)}
    found = []
    for topic in topics:
        name = f"{language}-{topic.qid.removeprefix(f'{topic.language}-')}"
        if name not in places:
            raise XqgError(
                f"topic {topic.qid!r}: there is no topic {name!r} in {language!r} beside it"
            )
        found.append(theirs[(places[name] + after) % len(theirs)])
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.reproduce.translated",
        description=__doc__,
        example="--topics topics.jsonl --to en --output english.jsonl",
    )
    add = parser.add_argument
    add("--topics", required=True, help="JSONL, in all languages")
    add(
        "--to",
        type=code_of("--to"),
        default="en",
        metavar="CODE",
        help="the texts' language",
    )
    add("--output", required=True, type=Path, metavar="FILE", help="the file to write")
    add("--beside", action="store_true", help="keep the topics, and write the texts as expansions")
    add(
        "--after", type=int, default=0, metavar="N",
        help="with --beside: the text of the topic N after, which is no translation: a control",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.after and not args.beside:
        raise XqgError("--after goes with --beside")
    topics, language = read_topics(args.topics), args.to
    if args.beside:
        topics = expanded(topics, language, after=args.after)
    else:
        topics = translated(topics, language)
    with written_whole(args.output) as file:
        for topic in topics:
            row = json.dumps(
                {"qid": topic.qid, "title": topic.text, "lang": topic.language}, ensure_ascii=False
            )
            if args.beside:
                file.write(with_field(row.encode(), topic).decode())
            else:
                file.write(row + "\n")


if __name__ == "__main__":
    run_command(main)
