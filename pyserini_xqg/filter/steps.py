"""The steps that judge a query by its text: each takes rows and gives rows, counting its drops.

Languages that share a script are told apart by py3langid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pyserini_xqg.collection.languages import Identifier
from pyserini_xqg.collection.scripts import OWN_SHARE, in_scripts_of, normalise, word_characters
from pyserini_xqg.filter.report import Tally
from pyserini_xqg.filter.rows import Row
from pyserini_xqg.generate.prompts import PROMPTS

#: A query this much of which is in the passage, word for word, is a copy. Questions borrow names
#: and noun phrases, so that half is common.
COPIED_SHARE = 0.8
# What counts as copied is a run of at least so many characters: about three words, or a clause in
# Chinese or Japanese.
_RUN = 12
_PROMPT_WORDS = 4


def drop_short(rows: Iterable[Row], tally: Tally, min_length: int = 1) -> Iterator[Row]:
    """Leave out queries with fewer than `min_length` letters, vowel signs and digits."""

    def has_letters(_: Row, __: str, texts: Sequence[str]) -> list[bool]:
        return [len(word_characters(text)) > 0 for text in texts]

    def long_enough(_: Row, __: str, texts: Sequence[str]) -> list[bool]:
        return [len(word_characters(text)) >= min_length for text in texts]

    return sift(sift(rows, tally, "empty", has_letters), tally, "short", long_enough)


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


def drop_wrong_script(rows: Iterable[Row], tally: Tally, share: float = OWN_SHARE) -> Iterator[Row]:
    """Leave out queries whose letters are not those of their language.

    See `in_scripts_of`. Languages that share a script (Finnish and English)
    are not told apart; for these there is `pyserini_xqg.filter.steps.drop_other_languages`.
    """
    return sift(
        rows,
        tally,
        "script",
        lambda _, language, texts: [in_scripts_of(text, language, share) for text in texts],
    )


def drop_copies(
    rows: Iterable[Row],
    tally: Tally,
    share: float = COPIED_SHARE,
    prompts: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Leave out queries that repeat a prompt's opening, or little else than the passage.

    Parameters
    ----------
    rows : iterable of Row
    tally : Tally
    share : float
        Part of a query's characters that must lie in runs of 12 or more which title or text have
        too (or in a query shorter than that, found whole).
    prompts : sequence of str or None
        What the generator may have been told, with ``{lang}``, ``{title}`` and ``{passage}``; by
        default those of `pyserini_xqg.generate.prompts.PROMPTS`.
    """
    if prompts is None:
        prompts = [prompt.template for prompt in PROMPTS.values()]
    openings = [opening for opening in map(_opening, prompts) if opening is not None]

    def own_words(row: Row, _: str, texts: Sequence[str]) -> list[bool]:
        source = word_characters(normalise(f"{row.passage.title} {row.passage.text}"))
        return [
            not any(opening.match(normalise(text)) for opening in openings)
            and copied(text, source) < share
            for text in texts
        ]

    return sift(rows, tally, "copy", own_words)


def copied(query: str, source: str) -> float:
    """Share of a query's letters and digits that lie in runs which the source has too.

    Parameters
    ----------
    query : str
    source : str
        Normalised, and without what is no letter, mark or digit: neither a quote mark nor a space
        ends a run.
    """
    text = word_characters(normalise(query))
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


def sift_in_turn(
    rows: Iterable[Row], tally: Tally, reason: str, verdicts: Iterable[bool]
) -> Iterator[Row]:
    """As `sift`, with the verdicts on all queries of these rows, one after the other."""
    following = iter(verdicts)
    return sift(rows, tally, reason, lambda _, __, texts: [next(following) for _ in texts])


def _opening(prompt: str) -> re.Pattern[str] | None:
    """The first words of the prompt's longest stretch without title or passage."""
    stretch = max(re.split(r"\{(?!lang\})\w*\}", prompt), key=len)
    words = re.findall(r"\{lang\}|\w+", normalise(stretch))[:_PROMPT_WORDS]
    if len(words) < 2:  # one word is what a question may begin with
        return None
    # The language has names of one or two words.
    pattern = r"\W+".join(r"\w+( \w+)?" if word == "{lang}" else word for word in words)
    return re.compile(pattern + r"(?!\w)")


def drop_other_languages(
    rows: Iterable[Row], tally: Tally, identifier: Identifier
) -> Iterator[Row]:
    """Leave out queries that are rather in another of the languages that are told apart."""

    def own(_: Row, language: str, texts: Sequence[str]) -> list[bool]:
        return [not identifier.is_other(text, language) for text in texts]

    return sift(rows, tally, "language", own)
