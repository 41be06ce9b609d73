"""Which tokens of a vocabulary the queries of a language need.

mT5's vocabulary has 250,112 tokens, and scoring them all is most of the work of a decoding step.
Drawing among those that the target language needs saves it, and cannot leave the language.
Where the `top_k` likeliest tokens all are kept, the draw is the same as from the whole vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import scripts_of
from pyserini_xqg.collection.scripts import digit_scripts, letters_by_script

if TYPE_CHECKING:
    from pyserini_xqg.collection.records import Passage

#: Passages, evenly spread over the corpus, whose names are looked at.
NAME_SAMPLE = 2048

_SPACE = "\u2581"  # SentencePiece's sign for the space before a word
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_WORD = re.compile(r"[^\W\d_]+")
# Not the first word of a sentence, which has its capital from there.
_INNER_WORD = re.compile(r"(?<=[\w,;(] )[^\W\d_]+")
# Of characters without a script: digits, punctuation, marks, currency and mathematical signs,
# joiners. Not emoji, box drawings and the like.
_NEUTRAL = ("N", "P", "M", "Sc", "Sm", "Cf")


def names_in(passages: Iterable[Passage]) -> set[str]:
    """Words that may be names: those of the titles, and capitalised ones inside sentences."""
    words: set[str] = set()
    for passage in passages:
        words.update(_WORD.findall(passage.title))
        words.update(word for word in _INNER_WORD.findall(passage.text) if word[0].isupper())
    return words


def kept_tokens(
    tokenizer: Any, languages: Sequence[str], names: Iterable[str]
) -> dict[str, list[int]]:
    """By language the tokens that its queries need, ascending.

    These are the tokens of the language's scripts, with their own and European digits, and
    punctuation; those that spell `names` in Latin script, and every single Latin letter; the ends
    of text, unknown and byte tokens.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        With a vocabulary in readable characters, as SentencePiece has.
    languages : sequence of str
    names : iterable of str

    Raises
    ------
    XqgError
        For a language whose script is not known.
    """
    if unknown := [language for language in languages if not scripts_of(language)]:
        raise XqgError(
            f"--trim-vocabulary: no script is known for {unknown[0]!r}; name it in the code, as in "
            f"{unknown[0].split('-')[0]}-Latn, or leave the option out"
        )
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    special = set(tokenizer.all_special_ids)  # mT5's hundred sentinels, too
    always = {tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id} - {None}
    of_scripts, spelling = [], _spelling(tokenizer, names)
    latin: set[int] = set()
    for token, number in vocabulary.items():
        if number in special:
            continue
        text = token.lstrip(_SPACE)
        scripts = frozenset({*letters_by_script(text), *digit_scripts(text)})
        if _BYTE.fullmatch(token) or (not scripts and _neutral(text)):
            always.add(number)
        elif scripts:
            of_scripts.append((number, scripts))
            if scripts == {"Latn"} and (len(text) == 1 or text in spelling):
                latin.add(number)
    return {
        language: sorted(
            always
            | latin
            | {number for number, scripts in of_scripts if scripts <= set(scripts_of(language))}
        )
        for language in languages
    }


def _spelling(tokenizer: Any, names: Iterable[str]) -> set[str]:
    """The pieces of the names, with and without a space before them."""
    words = sorted(names)
    if not words:
        return set()
    ids = tokenizer(words, add_special_tokens=False)["input_ids"]
    unique = sorted({number for row in ids for number in row})
    return {piece.lstrip(_SPACE) for piece in tokenizer.convert_ids_to_tokens(unique)}


def _neutral(text: str) -> bool:
    return all(unicodedata.category(c).startswith(_NEUTRAL) for c in text)
