"""The languages, scripts and titles of passages that runs return, and of the collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.columns import read_columns
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.runs import stream_corpus
from pyserini_xqg.collection.scripts import letters_by_script

# So many characters tell a script, and a collection of millions is through in minutes.
_READ = 200
_KANA = ("Hira", "Kana")
# Japanese texts mix three scripts; a word of kana in a Chinese one does not make it Japanese.
_KANA_SHARE = 0.1


class PassageFacts(NamedTuple):
    """What is known of a passage; empty where nothing is."""

    title: str = ""
    language: str = ""
    script: str = ""


class CollectionFacts(NamedTuple):
    """What is known of a collection.

    Attributes
    ----------
    passages : dict of str to PassageFacts
        Those asked for, by docid.
    size : int
        Passages in the whole collection.
    languages, scripts : Counter of str
        Of all passages; empty where nothing is known of them.
    """

    passages: dict[str, PassageFacts]
    size: int
    languages: Counter[str]
    scripts: Counter[str]


def collection_facts(
    wanted: Container[str], corpus: str | Path | None = None, languages: str | Path | None = None
) -> CollectionFacts:
    """Facts of the passages asked for, and counts over all.

    Parameters
    ----------
    wanted : container of str
        Docids.
    corpus : path-like or None
        Where titles, scripts, and the languages that its rows name (``lang``) are.
    languages : path-like or None
        Instead of the corpus: docid and language, white space between them, a passage a line.

    Raises
    ------
    XqgError
        For broken input.
    """
    if (corpus is None) == (languages is None):
        raise XqgError("give either --corpus or --languages-of: one of them says what is returned")
    rows = _of_corpus(corpus) if corpus is not None else _of_table(Path(languages or ""))
    passages: dict[str, PassageFacts] = {}
    size, by_language, by_script = 0, Counter[str](), Counter[str]()
    for docid, facts in rows:
        size += 1
        if facts.language:
            by_language[facts.language] += 1
        if facts.script:
            by_script[facts.script] += 1
        if docid in wanted:
            passages[docid] = facts
    return CollectionFacts(passages, size, by_language, by_script)


def main_script(text: str) -> str:
    """The script of most of a text's first letters: ISO 15924, ``Jpan`` for kana with Han.

    ``Zyyy`` (the code for common characters) for a text without letters.
    """
    letters = letters_by_script(text[:_READ])
    kana = sum(letters.pop(script, 0) for script in _KANA)
    if kana > _KANA_SHARE * (letters.total() + kana):
        letters["Jpan"] = kana + letters.pop("Hani", 0)
    return max(letters, key=letters.__getitem__, default="Zyyy")


def _of_corpus(corpus: str | Path) -> Iterator[tuple[str, PassageFacts]]:
    for passage, language in stream_corpus(corpus):
        code = _code(language, str(corpus)) if language else ""
        yield passage.docid, PassageFacts(passage.title, code, main_script(passage.text))


def _of_table(path: Path) -> Iterator[tuple[str, PassageFacts]]:
    for (docid, language), _ in read_columns(path, {2: "docid and language"}):
        yield docid, PassageFacts(language=_code(language, str(path)))


@lru_cache(maxsize=1024)  # a language that is not listed warns once
def _code(language: str, where: str) -> str:
    return check_language(language, where)
