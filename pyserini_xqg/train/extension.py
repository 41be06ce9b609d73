"""What a tokenizer of each kind needs to know new pieces, and vectors for them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.train.pieces import learn_pieces

if TYPE_CHECKING:
    import torch


#: The most characters of a new piece.
_LONGEST = 16


class New(NamedTuple):
    """A new piece, the two that it is made of, and its parts down to those that have vectors.

    A new character is made of nothing.
    """

    text: str
    pair: tuple[str, str] | tuple[()]
    parts: tuple[str, ...]


class Kind(NamedTuple):
    """How a kind of tokenizer keeps its pieces.

    Attributes
    ----------
    join : callable
        From the model as in ``tokenizer.json`` and two neighbours to the piece that both make.
    add : callable
        Puts new pieces into the model, with their ids.
    """

    join: Callable[[Mapping[str, Any], str, str], str]
    add: Callable[[dict[str, Any], Sequence[New], Sequence[int]], None]


def _join(model: Mapping[str, Any], left: str, right: str) -> str:
    return left + right.removeprefix(model.get("continuing_subword_prefix") or "")


def _add_wordpiece(model: dict[str, Any], pieces: Sequence[New], ids: Sequence[int]) -> None:
    model["vocab"] |= {piece.text: number for piece, number in zip(pieces, ids, strict=True)}


def _add_bpe(model: dict[str, Any], pieces: Sequence[New], ids: Sequence[int]) -> None:
    _add_wordpiece(model, pieces, ids)
    as_text = model["merges"] and isinstance(model["merges"][0], str)  # written by old versions
    merges = [list(piece.pair) for piece in pieces if piece.pair]
    model["merges"] += [" ".join(pair) for pair in merges] if as_text else merges


def _add_unigram(model: dict[str, Any], pieces: Sequence[New], ids: Sequence[int]) -> None:
    scores = dict(model["vocab"])
    lowest = min(scores.values())
    for piece in pieces:
        # As probable as its parts together, and a little more: words are parted where they were,
        # but into fewer pieces.
        together = sum(scores[part] for part in piece.pair) + 1e-3 if piece.pair else lowest
        scores[piece.text] = together
        model["vocab"].append([piece.text, scores[piece.text]])


#: By the ``type`` in ``tokenizer.json``.
KINDS: dict[str, Kind] = {
    "WordPiece": Kind(_join, _add_wordpiece),
    "BPE": Kind(_join, _add_bpe),
    "Unigram": Kind(_join, _add_unigram),
}


#: By name, a vector from those of a piece's parts, shape ``(parts, d)``. Where a text's vector is
#: the sum or mean of its tokens', ``sum`` leaves its direction as it was.
INITIAL: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "mean": lambda parts: parts.mean(dim=0),
    "sum": lambda parts: parts.sum(dim=0),
}


def new_pieces(
    tokenizer: Any, texts: Iterable[str], count: int, min_count: int
) -> tuple[list[New], str]:
    """Learn pieces from texts, and write the tokenizer that has them.

    Characters that it cannot read come first, the most frequent before the others; then what its
    pieces make together, within what it takes for a word (GPT-2's pattern, for one, parts words at
    vowel signs).

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
    texts : iterable of str
    count : int
        The most pieces to learn.
    min_count : int
        How often a piece must occur.

    Returns
    -------
    list of New, and the content of ``tokenizer.json``
        The pieces in the order of their ids.

    Raises
    ------
    XqgError
        For a tokenizer of a kind that is none of `KINDS`.
    """
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.to_str())
    model = content["model"]
    if model["type"] not in KINDS:
        raise XqgError(
            f"--model has a tokenizer of the type {model['type']}; expected one of "
            f"{', '.join(KINDS)}"
        )
    kind = KINDS[model["type"]]
    words = _words(tokenizer, texts)
    added = [
        New(text, (), ())
        for text, times in _unread(model, words).most_common()
        if times >= min_count
    ][:count]
    ids = _fill(content)
    kind.add(model, added, range(ids, ids + len(added)))
    old = frozenset(_vocabulary(model))
    segmented = _segmented(Tokenizer.from_str(json.dumps(content)), words)
    parts: dict[str, tuple[str, ...]] = {piece.text: (piece.text,) for piece in added}
    learnt = []
    # In a byte-level vocabulary a character counts for each of its bytes.
    by_bytes = '"ByteLevel"' in json.dumps([content["pre_tokenizer"], content["decoder"]])
    for piece in learn_pieces(
        segmented, count - len(added), lambda left, right: kind.join(model, left, right),
        known=old, min_count=min_count, longest=_LONGEST * (3 if by_bytes else 1),
    ):  # fmt: skip
        whole = tuple(part for each in piece.parts for part in parts.get(each, (each,)))
        parts[piece.text] = whole
        learnt.append(New(piece.text, piece.parts, whole))
    first = ids + len(added)
    kind.add(model, learnt, range(first, first + len(learnt)))
    return added + learnt, json.dumps(content, ensure_ascii=False)


def _words(tokenizer: Any, texts: Iterable[str]) -> Counter[str]:
    """What the tokenizer's model is asked to part, and how often."""
    words: Counter[str] = Counter()
    for text in texts:
        read = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        if tokenizer.pre_tokenizer is None:
            words[read] += 1
        else:
            words.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(read))
    return words


def _unread(model: Mapping[str, Any], words: Mapping[str, int]) -> Counter[str]:
    """Characters, as the model writes them, that it has no piece for."""
    found: Counter[str] = Counter()
    if model.get("byte_fallback"):
        return found
    prefix = model.get("continuing_subword_prefix") or ""
    for word, times in words.items():
        for place, character in enumerate(word):
            found[prefix * (place > 0) + character] += times
    known = set(_vocabulary(model))
    return Counter({text: times for text, times in found.items() if text not in known})


def _vocabulary(model: Mapping[str, Any]) -> Iterable[str]:
    vocabulary = model["vocab"]
    return vocabulary if isinstance(vocabulary, dict) else (piece for piece, _ in vocabulary)


def _fill(content: dict[str, Any]) -> int:
    """The first free id, after those of special tokens that stand behind the vocabulary.

    A Unigram's ids are places in its list, so those tokens are put into it.
    """
    vocabulary = content["model"]["vocab"]
    behind = {token["id"]: token["content"] for token in content["added_tokens"]}
    if isinstance(vocabulary, dict):
        return 1 + int(max([*vocabulary.values(), *behind]))
    while len(vocabulary) in behind:
        vocabulary.append([behind[len(vocabulary)], 0.0])
    return len(vocabulary)


def _segmented(tokenizer: Any, words: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    """Words in pieces; without those that have a character too rare to be learnt."""
    unknown = getattr(tokenizer.model, "unk_token", None)
    found: dict[tuple[str, ...], int] = {}
    for word, times in words.items():
        pieces = tuple(token.value for token in tokenizer.model.tokenize(word))
        if unknown not in pieces and "".join(pieces):
            found[pieces] = found.get(pieces, 0) + times
    return found
