"""Which index of a routed folder a topic goes to, where topics do not name their language."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import detect_language
from pyserini_xqg.index.manifest import is_ours, read_manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pyserini_xqg.collection.topics import Topic

#: Topics without a language, or those that name one, too: the choices of ``--detect-language``.
WHICH = ("missing", "all")


def routes_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The languages that an index has an index of their own for; none where it is not routed."""
    return tuple(manifest.get("routes", ()))


def check_routable(
    where: str,
    queries: Sequence[str] | NDArray[np.float32],
    languages: Sequence[str] | None,
    *,
    detect: bool,
) -> list[str]:
    """The language of each query to a routed index.

    Parameters
    ----------
    where : str
        The index, for the message.
    queries : sequence of str, or array of vectors
    languages : sequence of str or None
        One a query, empty where it is not known.
    detect : bool
        Take the one that a text seems to be in where none is given.

    Raises
    ------
    XqgError
        If a query has none: it would be searched in the index over all languages, which is
        another ranking.
    """
    codes = list(languages or [""] * len(queries))
    if detect and not isinstance(queries, np.ndarray):
        codes = [code or detect_language(text) for code, text in zip(codes, queries, strict=True)]
    if missing := codes.count(""):
        raise XqgError(
            f"{where} is routed by language, and {missing} of {len(codes)} queries name none: give "
            "their language (as 'lang' in the topics, --language, or languages= in Python), or "
            "have it detected from their text (--detect-language, detect=True)"
        )
    return codes


def detected_for(searcher: Any, topics: Sequence[Topic]) -> list[Topic]:
    """The topics as a searcher routes them."""
    detects = getattr(searcher, "routes", ()) and searcher.detect
    return detect_topics(topics) if detects else list(topics)


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
        If it is given beside ``--language``, or no index is routed.
    """
    if args.detect_language is None:
        return list(topics)
    if args.language:
        raise XqgError("--language says the language of all topics: leave --detect-language out")
    if not any(is_ours(path) and routes_of(read_manifest(path)) for path in indexes):
        raise XqgError(
            f"{' '.join(map(str, indexes))}: not routed: leave --detect-language out, or build "
            "with index --routed"
        )
    return detect_topics(topics, args.detect_language)
