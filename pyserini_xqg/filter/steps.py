"""The steps that judge a query by its text: each takes rows and gives rows, counting its drops."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.scripts import OWN_SHARE, in_scripts_of, normalise

#: A query this much of which is in the passage, word for word, is a copy. Questions borrow names
#: and noun phrases, so that half is common.
COPIED_SHARE = 0.8
# What counts as copied is a run of at least so many characters: about three words, or a clause in
# Chinese or Japanese.
_RUN = 12
PROMPT = "Generate a {lang} question for this passage: {title} {passage}"
_PROMPT_WORDS = 4


def drop_short(rows: Iterable[Row], tally: Tally, min_length: int = 1) -> Iterator[Row]:
    """Leave out queries with fewer than `min_length` letters, vowel signs and digits."""
    for reason, least in (("empty", 1), ("short", min_length)):
        rows = sift(
            rows,
            tally,
            reason,
            lambda _, __, texts, least=least: [_length(text) >= least for text in texts],
        )
    yield from rows


def drop_duplicates(rows: Iterable[Row], tally: Tally) -> Iterator[Row]:
    """Leave out what a passage has twice in one language, but for form, case and white space."""

    def first_ones(_: Row, __: str, texts: Sequence[str]) -> list[bool]:
        seen: set[str] = set()
        verdicts = []
        for text in map(normalise, texts):
            verdicts.append(text not in seen)
            seen.add(text)
        return verdicts

    return sift(rows, tally, "duplicate", first_ones)


def drop_wrong_script(
    rows: Iterable[Row], tally: Tally, share: float = OWN_SHARE
) -> Iterator[Row]:
    """Leave out queries whose letters are not those of their language.

    See `pyserini_xqg.scripts.in_scripts_of`. Languages that share a script (Finnish and English)
    are not told apart.
    """
    return sift(
        rows,
        tally,
        "script",
        lambda _, language, texts: [in_scripts_of(text, language, share) for text in texts],
    )


def drop_copies(
    rows: Iterable[Row], tally: Tally, share: float = COPIED_SHARE, prompt: str = PROMPT
) -> Iterator[Row]:
    """Leave out queries that repeat the prompt's opening, or little else than the passage.

    Parameters
    ----------
    rows : iterable of Row
    tally : Tally
    share : float
        Part of a query's characters that must lie in runs of 12 or more which title or text have
        too (or in a query shorter than that, found whole).
    prompt : str
        What the generator was told, with ``{lang}``, ``{title}`` and ``{passage}``.
    """
    opening = _opening(prompt)

    def own_words(row: Row, _: str, texts: Sequence[str]) -> list[bool]:
        source = _bare(f"{row.passage.title} {row.passage.text}")
        return [
            not (opening and opening.match(normalise(text))) and copied(text, source) < share
            for text in texts
        ]

    return sift(rows, tally, "copy", own_words)


def copied(query: str, source: str) -> float:
    """Share of a query's characters that lie in runs which `source` (as `_bare` gives it) has."""
    text = _bare(query)
    if not text:
        return 0.0
    run, covered = min(_RUN, len(text)), 0
    inside = 0  # the end of what is covered so far
    for start in range(len(text) - run + 1):
        if text[start : start + run] in source:
            covered += start + run - max(start, inside)
            inside = start + run
    return covered / len(text)


def sift(
    rows: Iterable[Row],
    tally: Tally,
    reason: str,
    judge: Callable[[Row, str, Sequence[str]], Sequence[bool]],
) -> Iterator[Row]:
    """Rows with only those queries that `judge` accepts; the others are counted under `reason`.

    Parameters
    ----------
    rows : iterable of Row
    tally : Tally
    reason : str
    judge : callable
        From a row, a language and its queries to one verdict a query.
    """
    for row in rows:
        verdicts = {lang: judge(row, lang, texts) for lang, texts in row.queries.items()}
        for language, of_language in verdicts.items():
            for text, good in zip(row.queries[language], of_language, strict=True):
                if not good:
                    tally.drop(language, reason, row.passage.docid, text)
        yield row.keep(verdicts)


def _length(text: str) -> int:
    return sum(unicodedata.category(c)[0] in "LMN" for c in text)


def _bare(text: str) -> str:
    """Words without punctuation, so that a quote mark does not end a run; no space around CJK."""
    words = "".join(
        c if c == " " or unicodedata.category(c)[0] in "LMN" else " " for c in normalise(text)
    )
    return "".join(words.split())


def _opening(prompt: str) -> re.Pattern[str] | None:
    """The first words of the prompt's longest stretch without title or passage."""
    stretch = max(re.split(r"\{(?!lang\})\w*\}", prompt), key=len)
    words = normalise(stretch).split()[:_PROMPT_WORDS]
    if not words:
        return None
    # The language has names of one or two words.
    pattern = r"\W+".join(re.escape(word).replace(r"\{lang\}", r"\w+( \w+)?") for word in words)
    return re.compile(pattern)
