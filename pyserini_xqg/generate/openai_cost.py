"""What a corpus will cost with a server, before it is asked anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyserini_xqg.collection.languages import scripts_of
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.generate.openai import ChatSettings

_BYTES_PER_TOKEN = 4
# Bytes of a question in UTF-8, from human ones; any other script has three bytes a letter.
_QUESTION_BYTES = {
    "Latn": 50, "Arab": 80, "Cyrl": 90, "Grek": 90, "Hebr": 80, "Hani": 50, "Hira": 65, "Hang": 60,
}  # fmt: skip


class Cost(NamedTuple):
    """What a run will ask and answer, if every first answer is right.

    Attributes
    ----------
    requests : int
    prompt_tokens, completion_tokens : int
        Reckoned at four bytes a token: the server's own tokenizer may differ by half.
    price : float or None
        In the currency that the prices are in.
    """

    requests: int
    prompt_tokens: int
    completion_tokens: int
    price: float | None

    def lines(self) -> list[str]:
        """The estimate in words, one fact a line."""
        found = [
            f"{self.requests:,} requests",
            f"about {self.prompt_tokens:,} tokens in and {self.completion_tokens:,} out, at four "
            "bytes a token; answers that must be asked for again come on top",
        ]
        return found if self.price is None else [*found, f"about {self.price:,.2f} at these prices"]


def estimate_cost(
    sample: Sequence[Passage],
    passages: int,
    languages: Sequence[str],
    num_queries: int,
    settings: ChatSettings,
    *,
    input_price: float | None = None,
    output_price: float | None = None,
) -> Cost:
    """What a corpus will take, reckoned from a sample of it; nothing is asked.

    Parameters
    ----------
    sample : sequence of Passage
    passages : int
        Of the whole corpus.
    languages : sequence of str
    num_queries : int
    settings : ChatSettings
    input_price, output_price : float or None
        Of a million tokens.
    """
    asked = answered = 0
    for language in languages:
        scripts = scripts_of(language) or ("",)
        answer = num_queries * _QUESTION_BYTES.get(scripts[0], 130)
        answered += len(sample) * (answer + settings.prompt.extra_bytes)
        for passage in sample:
            messages = settings.request(passage, language, num_queries, 0)["messages"]
            asked += sum(len(message["content"].encode()) for message in messages)
    scale = passages / max(len(sample), 1) / _BYTES_PER_TOKEN
    tokens_in, tokens_out = round(asked * scale), round(answered * scale)
    price = None
    if input_price is not None and output_price is not None:
        price = (tokens_in * input_price + tokens_out * output_price) / 1e6
    return Cost(passages * len(languages), tokens_in, tokens_out, price)
