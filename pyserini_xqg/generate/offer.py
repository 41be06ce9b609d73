"""What the filter would do to queries that were just generated, from a few of them."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_lines
from pyserini_xqg.collection.languages import Identifier, detect_language
from pyserini_xqg.collection.records import PassageFormat
from pyserini_xqg.collection.runs import stream_corpus
from pyserini_xqg.collection.scripts import in_scripts_of

# Rows are looked at in so many places of the file, so many in each; and so many queries of a
# language at most. It takes a second or two, whatever the size of the file.
_PLACES, _ROWS = 32, 32
_QUERIES = 1000
_PASSAGES = 20


def offer_filter(corpus: str | Path, queries: str | Path, form: PassageFormat) -> list[str]:
    """What ``filter --script`` and ``--identify`` would drop of some queries, and their command.

    Parameters
    ----------
    corpus : path-like
    queries : path-like
        JSONL that was generated for it; of a packed file the first rows are looked at.
    form : PassageFormat
        How corpus rows are read.

    Returns
    -------
    list of str
        Two lines for the user.
    """
    path = Path(queries)
    spoken = _language_of(corpus, form)
    looked: Counter[str] = Counter()
    script: Counter[str] = Counter()
    other: Counter[str] = Counter()
    rows = list(_rows(path))
    languages = {language for row in rows for language in row}
    identifier = None
    with contextlib.suppress(XqgError):  # it knows too few of them to tell them apart
        identifier = Identifier(sorted({*languages, spoken}))
    for row in rows:
        for language, texts in row.items():
            for text in texts[: _QUERIES - looked[language]]:
                looked[language] += 1
                if not in_scripts_of(text, language):
                    script[language] += 1
                elif identifier is not None and identifier.is_other(text, language):
                    other[language] += 1
    options, found = ["--script"], [_share("--script", script, looked)]
    if identifier is not None:
        options += ["--identify", *([spoken] if spoken not in languages else [])]
        found.append(_share(" ".join(options[1:]), other, looked))
    words = ["--corpus", str(corpus), "--queries", str(path), *options, "--output", _clean(path)]
    return [
        f"of {looked.total():,} queries looked at, filter would drop "
        f"{' and another '.join(found)}:",
        f"python -m pyserini_xqg.filter {shlex.join(words)}",
    ]


def _share(option: str, dropped: Counter[str], looked: Counter[str]) -> str:
    """What one option would drop, in per cent, and in which language the most."""
    text = f"{100 * dropped.total() / max(looked.total(), 1):.1f} % by {option}"
    worst = max(looked, key=lambda language: dropped[language] / looked[language], default="")
    if len(looked) > 1 and dropped[worst]:
        text += f" ({worst} {100 * dropped[worst] / looked[worst]:.1f} %)"
    return text


def _clean(path: Path) -> str:
    stem, dot, suffixes = path.name.partition(".")
    return str(path.with_name(f"{stem}-clean{dot}{suffixes}"))


def _language_of(corpus: str | Path, form: PassageFormat) -> str:
    """What most of the first passages are in."""
    rows = islice(stream_corpus(corpus, form), _PASSAGES)
    return Counter(detect_language(row.passage.text) for row in rows).most_common(1)[0][0]


def _rows(path: Path) -> Iterator[dict[str, list[str]]]:
    """The queries of some rows, by language."""
    lines: Iterable[bytes] = (line.content for line in read_lines(path))
    if path.suffix != ".gz":
        lines = _spread(path)
    for line in islice(lines, _PLACES * _ROWS):
        yield json.loads(line)["generated_queries"]


def _spread(path: Path) -> Iterator[bytes]:
    """Whole lines from all over a file, each once."""
    size, end = path.stat().st_size, 0
    with open(path, "rb") as file:
        for place in range(_PLACES):
            if (start := size * place // _PLACES) < end:
                start = end
            file.seek(max(start - 1, 0))
            if start:
                file.readline()  # the rest of a line that begins before
            yield from islice(file, _ROWS)
            end = file.tell()
