"""Topics with the texts that they have in another language: what a perfect translator would give.

For files whose topic ids are a language and a number, as in ``te-007`` and ``en-007``. Ids stay, so
that runs are judged and compared with those of the topics themselves.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from pyserini_xqg.errors import XqgError, run_command
from pyserini_xqg.files import written_whole
from pyserini_xqg.languages import check_language
from pyserini_xqg.topics import Topic, read_topics


def translated(topics: Sequence[Topic], language: str) -> list[Topic]:
    """The topics with the text and the language of their counterparts in a language.

    Raises
    ------
    XqgError
        For a topic without a counterpart.
    """
    texts = {topic.qid: topic.text for topic in topics if topic.language == language}
    found = []
    for topic in topics:
        number = topic.qid.removeprefix(f"{topic.language}-")
        name = f"{language}-{number}"
        if name not in texts:
            raise XqgError(
                f"topic {topic.qid!r}: there is no topic {name!r} in {language!r} beside it"
            )
        found.append(topic._replace(text=texts[name], language=language))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m pyserini_xqg.reproduce.translated", description=__doc__
    )
    parser.add_argument("--topics", required=True, help="JSONL, in all languages")
    parser.add_argument("--to", default="en", metavar="LANG", help="the texts' language (en)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    topics = translated(read_topics(args.topics), check_language(args.to, "--to"))
    with written_whole(args.output) as file:
        for topic in topics:
            row = {"qid": topic.qid, "title": topic.text, "lang": topic.language}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run_command(main)
