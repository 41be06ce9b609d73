"""Which index of a routed folder a topic goes to, where topics do not name their language."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import detect_language
from pyserini_xqg.index.manifest import read_manifest

if TYPE_CHECKING:
    from pyserini_xqg.collection.topics import Topic

#: Topics without a language, or those that name one, too: the choices of ``--detect-language``.
WHICH = ("missing", "all")


def detect_topics(topics: Sequence[Topic], which: str = "missing") -> list[Topic]:
    """Topics with the languages that their texts seem to be in.

    A language is detected among all that `languages.NAMES` lists, not among the routes
    alone: a topic in a language without a route is then searched among all languages, and not sent
    to the route that resembles it most.

    Parameters
    ----------
    topics : sequence of Topic
    which : str
        One of `WHICH`.
    """
    return [
        topic
        if topic.language and which == "missing"
        else topic._replace(language=detect_language(topic.text))
        for topic in topics
    ]


def add_detect_option(parser: argparse.ArgumentParser) -> None:
    """``--detect-language``, for every command that searches a routed index."""
    parser.add_argument(
        "--detect-language",
        nargs="?",
        const=WHICH[0],
        choices=WHICH,
        help="route topics by the language of their text: those without 'lang' (missing, also "
        "where no word follows), or all; a language without a route takes the index over all",
    )


def detected(
    args: argparse.Namespace, topics: Sequence[Topic], indexes: Sequence[str | Path]
) -> list[Topic]:
    """The topics as ``--detect-language`` wants them.

    Raises
    ------
    XqgError
        If it is given beside ``--language``, or for an index that is not routed.
    """
    if args.detect_language is None:
        return list(topics)
    if args.language:
        raise XqgError("--language says the language of all topics: leave --detect-language out")
    for path in indexes:
        if not read_manifest(path).get("routes"):
            raise XqgError(
                f"{path} is not routed: leave --detect-language out, or build it with index "
                "--routed"
            )
    return detect_topics(topics, args.detect_language)
