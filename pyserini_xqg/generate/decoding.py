"""The decoding loop: from encoded prompts to token ids, a step at a time.

mT5's vocabulary has 250,112 tokens, and scoring them all is most of the work of a step. Drawing
among those that the target language needs saves it, and cannot leave the language. Where the
`top_k` likeliest tokens all are kept, the draw is the same as from the whole vocabulary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import scripts_of
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.scripts import digit_scripts, letters_by_script
from pyserini_xqg.generate.sampling import sample_top_k

if TYPE_CHECKING:
    import torch


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


# Asking whether all have ended waits for the device, so it is not asked at every step.
_STEPS_BETWEEN_LOOKS = 4


class Decoder(Protocol):
    """A model that takes steps, for several samples of each prompt; rows are prompt by prompt.

    Attributes
    ----------
    candidates : tensor of int64, or None
        The token id of each column of the scores, ascending; None where they are the ids.
    """

    candidates: torch.Tensor | None

    def first(self, prompts: Sequence[Sequence[int]], samples: int, steps: int) -> torch.Tensor:
        """Read the prompts; the hidden states that decide the first tokens, one a row."""

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        """Take the rows' newest tokens, shape (n,); the hidden states that decide the next."""

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of the candidates, shape (n, candidates)."""

    def all_scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits of the whole vocabulary, shape (n, vocabulary)."""

    def keep(self, prompts: torch.Tensor) -> None:
        """Go on with these prompts only, given by their positions."""


class Outside(NamedTuple):
    """How often a trimmed vocabulary could have changed a draw.

    Attributes
    ----------
    steps : int
        Draws that were checked against the whole vocabulary.
    outside : int
        Those whose `top_k` likeliest tokens did not all lie in the trimmed one.
    lost : float
        Sum over the draws of the probability that a token outside would have been drawn.
    """

    steps: int = 0
    outside: int = 0
    lost: float = 0.0

    def plus(self, other: Outside) -> Outside:
        """The sums."""
        return Outside(
            self.steps + other.steps, self.outside + other.outside, self.lost + other.lost
        )


def decode(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    uniform: torch.Tensor,
    *,
    top_k: int,
    ends: Sequence[int],
    check: bool = False,
) -> tuple[list[list[list[int]]], Outside]:
    """Sample answers to a batch of prompts.

    Parameters
    ----------
    decoder : Decoder
    prompts : sequence of sequences of int
        Token ids.
    uniform : tensor, shape (prompts, samples, steps), float64
        The noise of every draw, on the decoder's device.
    top_k : int
        1 is greedy.
    ends : sequence of int
        Tokens that end an answer.
    check : bool
        Count how often the trimmed vocabulary could have changed a draw.

    Returns
    -------
    answers : list of list of list of int
        For each prompt and sample the tokens, without the one that ended it.
    outside : Outside

    Raises
    ------
    XqgError
        If the model's scores are not finite.
    """
    import torch

    with torch.inference_mode():
        count, samples, steps = uniform.shape
        uniform = uniform.reshape(count * samples, steps)
        device = uniform.device
        end_tokens = torch.tensor(list(ends), device=device)
        answers = torch.full((count * samples, steps), -1, device=device)
        rows = torch.arange(count * samples, device=device)  # the place of each living row
        done = torch.zeros(count * samples, dtype=torch.bool, device=device)
        finite = torch.ones((), dtype=torch.bool, device=device)
        found = torch.zeros(3, dtype=torch.float64, device=device)  # the fields of `Outside`
        hidden = decoder.first(prompts, samples, steps)
        for step in range(steps):
            scores = decoder.scores(hidden)
            finite = finite & scores[:, 0].isfinite().all()
            tokens = sample_top_k(scores, uniform[rows, step], top_k)
            if decoder.candidates is not None:
                if check:
                    found += _outside(decoder, hidden[~done], top_k)
                tokens = decoder.candidates[tokens]
            answers[rows, step] = tokens.masked_fill(done, -1)
            done = done | torch.isin(tokens, end_tokens)
            if step + 1 == steps:
                break
            if step % _STEPS_BETWEEN_LOOKS == _STEPS_BETWEEN_LOOKS - 1:
                living = (~done.view(-1, samples).all(dim=1)).nonzero().squeeze(1)
                if not len(living):
                    break
                if 4 * len(living) * samples <= 3 * len(rows):  # else moving costs more
                    decoder.keep(living)
                    of_living = living[:, None] * samples + torch.arange(samples, device=device)
                    rows, done = rows[of_living.flatten()], done[of_living.flatten()]
                    tokens = tokens[of_living.flatten()]
            hidden = decoder.next(tokens)
        if not bool(finite):
            raise XqgError(
                "the generator's scores are not finite (NaN): its weights are broken, or do not "
                "fit the dtype; take --dtype float32"
            )
        stop = set(ends)
        texts = [[t for t in row if t >= 0 and t not in stop] for row in answers.tolist()]
    grouped = [texts[at : at + samples] for at in range(0, len(texts), samples)]
    checked, outside, lost = found.tolist()
    return grouped, Outside(int(checked), int(outside), lost)


def _outside(decoder: Decoder, hidden: torch.Tensor, top_k: int) -> torch.Tensor:
    """The fields of `Outside` for one step of some rows, shape (3,)."""
    import torch

    scores = decoder.all_scores(hidden).float()
    scores, likeliest = scores.topk(min(top_k, scores.shape[1]), dim=1)
    away = ~torch.isin(likeliest, decoder.candidates)
    lost = (scores.double().softmax(dim=1) * away).sum()
    counts = torch.tensor(len(hidden), device=hidden.device), away.any(dim=1).sum()
    return torch.stack([*(count.double() for count in counts), lost])
