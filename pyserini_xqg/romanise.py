"""Generated queries, or topics, in Latin letters: many people type Bengali or Arabic that way.

``python -m pyserini_xqg.romanise --queries Q --languages bn ar --output R.jsonl`` puts
``bn-Latn`` beside ``bn``: to all that follows, a language of its own. The letters are those of
uroman (Hermjakob, May and Knight, "Out-of-the-box Universal Romanization Tool uroman", ACL 2018):
one spelling a word, where people have many. Filter queries before this: in Latin letters they read
as other languages.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import input_files, read_lines
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.collection.languages import add_languages_option
from pyserini_xqg.collection.records import parse_json, parse_queries
from pyserini_xqg.collection.shards import BLOCK
from pyserini_xqg.collection.topics import (
    add_language_option,
    parse_topic,
    text_name,
    topic_rows,
)
from pyserini_xqg.generate.corpus import ROWS, check_file_name, hand_over, pack

#: ISO 639-3 codes, by which uroman knows languages, of those that are not written in Latin letters.
CODES = {
    "am": "amh", "ar": "ara", "as": "asm", "awa": "awa", "bg": "bul", "bgc": "bgc", "bho": "bho",
    "bn": "ben", "bo": "bod", "brx": "brx", "el": "ell", "fa": "fas", "gbm": "gbm", "gom": "gom",
    "gu": "guj", "he": "heb", "hi": "hin", "hne": "hne", "hoj": "hoj", "ja": "jpn", "km": "khm",
    "kn": "kan", "ko": "kor", "mai": "mai", "ml": "mal", "mni": "mni", "mr": "mar", "mup": "mup",
    "mwr": "mwr", "my": "mya", "ne": "nep", "or": "ori", "pa": "pan", "ps": "pus", "ru": "rus",
    "sa": "san", "sat": "sat", "sr": "srp", "ta": "tam", "te": "tel", "th": "tha", "uk": "ukr",
    "ur": "urd", "zh": "zho",
}  # fmt: skip

_COUNTS = "counts"

Romanise = Callable[[str, str], str]


def latin(language: str) -> str:
    """The code of a language in Latin letters: ``bn-Latn``.

    Raises
    ------
    XqgError
        For a language that is not in `CODES`.
    """
    if language not in CODES:
        raise XqgError(
            f"--languages {language}: expected a language that is written in other letters: "
            f"{' '.join(CODES)}"
        )
    return f"{language}-Latn"


def load_romaniser() -> Romanise:
    """What turns a text and its language into Latin letters; loading takes seconds.

    Raises
    ------
    XqgError
        If uroman is not installed.
    """
    try:
        from uroman import Uroman
    except ImportError:
        raise XqgError(
            "romanising needs the package uroman: pip install 'pyserini_xqg[romanise]'"
        ) from None
    # Words are cached, as they come again and again; the cache does not grow beyond this.
    found = Uroman(cache_size=65536)

    def romanise(text: str, language: str) -> str:
        return " ".join(found.romanize_string(text, lcode=CODES[language]).split())

    return romanise


def queries_row(
    line: bytes, where: str, languages: Sequence[str], romanise: Romanise
) -> dict[str, Any]:
    """A row of generated queries with those in some languages in Latin letters, too.

    Scores go with their queries. Where the row has queries in ``bn-Latn`` already, ours follow
    them.

    Raises
    ------
    XqgError
        Naming `where`, for a row that is broken.
    """
    found, row = parse_queries(line, where), parse_json(line, where)
    queries, scores = dict(found.queries), found.scores and dict(found.scores)
    for language in languages:
        if language in queries:
            code, texts = latin(language), queries[language]
            if scores is not None:
                scores[code] = [*scores.get(code, []), *scores[language]]
            queries[code] = [
                *queries.get(code, []),
                *(romanise(text, language) for text in texts),
            ]
    return {**row, "generated_queries": queries, **({"scores": scores} if scores else {})}


def topic_row(
    line: bytes,
    where: str,
    languages: Sequence[str],
    romanise: Romanise,
    language: str | None = None,
) -> dict[str, Any]:
    """A topic, in Latin letters where it is in one of the languages; its id stays.

    Parameters
    ----------
    language : str or None
        Of the topic, instead of what the line says.
    """
    topic, row = parse_topic(line, where, language), parse_json(line, where)
    if topic.language in languages:
        row[text_name(row)] = romanise(topic.text, topic.language)
        row["lang"] = latin(topic.language)
    return row


def romanise_files(
    paths: Sequence[str | Path],
    output: str | Path,
    languages: Sequence[str],
    lines: Iterable[tuple[bytes, str]],
    row_of: Callable[[bytes, str], dict[str, Any]],
    *,
    overwrite: bool = False,
) -> dict[str, int]:
    """Write the rows of some files anew, a block at a time; a killed run goes on where it stopped.

    Parameters
    ----------
    paths : sequence of path-like
        Where the rows come from, for messages and so that a changed file is not gone on with.
    output : path-like
        Compressed where its name ends in ``.gz``.
    languages : sequence of str
    lines : iterable of bytes and str
        Lines of JSON with their places; they become one file.
    row_of : callable
        From a line and its place to the row.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    dict of str to int
        By the code in Latin letters, rows of the output that have it.
    """
    output = Path(output)
    check_file_name(output)
    codes = [latin(language) for language in languages]
    with OutputFolder(output, ROWS, overwrite=overwrite) as folder:
        files = [name for path in paths if Path(path).exists() for name in input_files(path)]
        stats = [(str(name.resolve()), name.stat()) for name in files]
        plan = {
            "languages": list(languages),
            "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
        }
        folder.start(plan, {ROWS: b"", _COUNTS: b""})
        left = islice(lines, folder.rows, None)
        with Progress(None, "romanising", "rows", done=folder.rows) as bar:
            while block := list(islice(left, BLOCK)):
                rows = [
                    json.dumps(row_of(*line), ensure_ascii=False).encode() + b"\n" for line in block
                ]
                counts = {code: sum(f'"{code}"'.encode() in row for row in rows) for code in codes}
                part = b"".join(rows)
                folder.append(
                    len(rows),
                    {
                        ROWS: pack(part) if output.suffix == ".gz" else part,
                        _COUNTS: json.dumps(counts).encode() + b"\n",
                    },
                )
                bar.update(len(rows))
        counted = [
            json.loads(line) for line in (folder.partial / _COUNTS).read_bytes().splitlines()
        ]
        hand_over(folder, output)
    return {code: sum(of_block[code] for of_block in counted) for code in codes}


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.romanise",
        description=__doc__,
        example="--queries queries.jsonl --languages bn ar --output both.jsonl",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--queries", nargs="+", metavar="FILE", help="generated queries, JSONL")
    what.add_argument("--topics", metavar="FILE", help="JSONL, or TSV with --language")
    add_language_option(parser)
    add_languages_option(
        parser,
        "bn ar ...: queries in them are put in Latin letters beside their own; topics instead",
        required=True,
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that is there")
    args = parser.parse_args(argv)
    languages = list(dict.fromkeys(args.languages))
    for language in languages:
        latin(language)
    spoken: str | None = args.language
    if spoken and args.queries:
        raise XqgError("--language goes with --topics; queries name their languages")
    romanise = load_romaniser()
    if args.topics:
        rows = list(topic_rows(args.topics, spoken))
        if not any(row.topic.language for row in rows):
            raise XqgError(
                f"{args.topics}: its topics do not say their language; give it with --language"
            )
        lines = ((row.line, row.where) for row in rows)
        row_of = partial(topic_row, languages=languages, romanise=romanise, language=spoken)
    else:
        files = [file for path in args.queries for file in input_files(path)]
        lines = (
            (line.content, f"{file}:{line.number}") for file in files for line in read_lines(file)
        )
        row_of = partial(queries_row, languages=languages, romanise=romanise)
    paths = args.queries or [args.topics]
    counts = romanise_files(paths, args.output, languages, lines, row_of, overwrite=args.overwrite)
    for code, count in counts.items():
        print(f"note: {count} rows with {code}", file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
