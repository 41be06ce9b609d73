"""How many tokens an encoder makes of a word, and of a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyserini_xqg.collection.languages import scripts_of
from pyserini_xqg.collection.topics import Topic
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.loading import load_tokenizer
from pyserini_xqg.encoder.spec import EncoderSpec

#: From texts to the number of tokens of each.
CountTokens = Callable[[Sequence[str]], list[int]]

# Scripts that languages are written in without spaces between words. Korean's Han stand among
# Hangul, which has spaces.
_UNSPACED = {"Hani", "Hira", "Kana", "Khmr", "Laoo", "Mymr", "Thai", "Tibt"}


class Fertility(NamedTuple):
    """Tokens a word (white space parts words; None where none does) and a character."""

    words: float | None
    characters: float | None


def has_spaces(language: str) -> bool:
    """Whether white space parts the words of a language; taken to be so for an unlisted one."""
    scripts = scripts_of(language)
    return not scripts or not _UNSPACED.issuperset(scripts)


def fertility(topics: Sequence[Topic], count_tokens: CountTokens) -> Fertility:
    """Tokens of all topics by their words, and by their characters without white space.

    Parameters
    ----------
    topics : sequence of Topic
        If one is in a language without spaces between words, there are no words to count.
    count_tokens : callable
    """
    texts = [topic.text for topic in topics]
    tokens = sum(count_tokens(texts))
    words = [word for text in texts for word in text.split()]
    characters = sum(map(len, words))
    spaced = all(has_spaces(topic.language) for topic in topics)
    return Fertility(
        tokens / len(words) if words and spaced else None,
        tokens / characters if characters else None,
    )


def token_counter(spec: EncoderSpec) -> CountTokens:
    """Counts the tokens that an encoder's query side makes of texts, special ones left out.

    Raises
    ------
    XqgError
        If the tokenizer cannot be loaded.
    """
    named = Named(spec.query_model or spec.model, spec.revision, what="tokenizer of")
    tokenizer = load_tokenizer(named)

    def count(texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        ids = tokenizer(list(texts), add_special_tokens=False, truncation=False)["input_ids"]
        return [len(of_text) for of_text in ids]

    return count
