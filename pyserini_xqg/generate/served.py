"""Queries for a corpus from a chat server: into one file, block by block, resumable.

What the whole will cost is reckoned before the server is asked anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import NothingMadeError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.languages import check_language, scripts_of
from pyserini_xqg.collection.records import Passage, PassageFormat
from pyserini_xqg.collection.shards import BLOCK, shard_range
from pyserini_xqg.generate.corpus import (
    ROWS,
    as_rows,
    check_file_name,
    hand_over,
    pack,
    spread,
)
from pyserini_xqg.generate.openai import ChatSettings, Usage, generate_block
from pyserini_xqg.generate.openai_client import ChatClient
from pyserini_xqg.generate.selection import Selection

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


#: Passages from all over the corpus whose lengths stand for the rest in an estimate.
_SAMPLE = 512


def generate_served(
    corpus: str | Path,
    output: str | Path,
    languages: Sequence[str],
    num_queries: int,
    settings: ChatSettings,
    base_url: str,
    *,
    concurrency: int = 8,
    timeout: float = 120.0,
    form: PassageFormat | None = None,
    shard_id: int = 0,
    shard_num: int = 1,
    sample: int | float | None = None,
    earlier: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> Usage:
    """Have a server write queries for a corpus into a JSONL file.

    Finished blocks and every single answer are kept, so that a run that was killed asks nothing
    twice. The answers stay beside the output, in ``<output>.answers.sqlite``: another number of
    languages or a longer corpus pays for what is new only. Remove the file when it is done with.

    Parameters
    ----------
    corpus, form, shard_id, shard_num, sample, earlier, overwrite
        As in `pyserini_xqg.generate.corpus.generate_corpus`.
    output : path-like
        The file to make; compressed where its name ends in ``.gz``.
    languages : sequence of str
    num_queries : int
        For each passage and language.
    settings : ChatSettings
    base_url : str
    concurrency : int
        Requests at a time.
    timeout : float
        Seconds to wait for an answer.

    Raises
    ------
    XqgError
        For bad input, a server that cannot be reached or refuses, and where no passage of the
        first block gets a query.
    """
    output, codes = Path(output), _codes(languages)
    check_file_name(output)
    usage, packed = Usage(), output.suffix == ".gz"
    with OutputFolder(output, ROWS, overwrite=overwrite) as folder:
        join = Join(corpus, earlier, folder.work, form=form)
        chosen = Selection(join, folder.work, sample=sample, seed=settings.seed)
        start, stop = shard_range(chosen.passages, shard_id, shard_num)
        plan = {
            "settings": asdict(settings),
            "languages": codes,
            "num_queries": num_queries,
            "inputs": join.digests,
            **chosen.plan,
            "shard": [shard_id, shard_num],
        }
        folder.start(plan, {ROWS: b""})
        client = ChatClient(base_url, f"{output}.answers.sqlite", timeout=timeout)
        try:
            for row in range(start + folder.blocks * BLOCK, stop, BLOCK):
                passages = list(chosen.read_passages(row, min(row + BLOCK, stop)))
                found = generate_block(
                    passages, codes, num_queries, settings=settings, client=client,
                    concurrency=concurrency, usage=usage,
                )  # fmt: skip
                if not folder.blocks and not any(texts for of in found for texts in of.values()):
                    shutil.rmtree(folder.partial)  # a next run may have other settings
                    raise NothingMadeError(f"nothing was generated: {usage.reasons()}")
                by_language = {code: [of[code] for of in found] for code in codes}
                rows = as_rows([passage.docid for passage in passages], by_language)
                folder.append(len(passages), {ROWS: pack(rows) if packed else rows})
        finally:
            client.close()
        join.close()
        hand_over(folder, output)
    return usage


def estimate_served(
    corpus: str | Path,
    work: Path,
    languages: Sequence[str],
    num_queries: int,
    settings: ChatSettings,
    *,
    input_price: float | None = None,
    output_price: float | None = None,
    form: PassageFormat | None = None,
    sample: int | float | None = None,
    earlier: Sequence[str | Path] = (),
) -> Cost:
    """What the whole will take, from some passages of it; the server is not asked."""
    join = Join(corpus, earlier, work, form=form)
    codes = _codes(languages)
    chosen = Selection(join, work, sample=sample, seed=settings.seed)
    some = list(spread(join, _SAMPLE))
    join.close()
    return estimate_cost(
        some, chosen.passages, codes, num_queries, settings,
        input_price=input_price, output_price=output_price,
    )  # fmt: skip


def _codes(languages: Sequence[str]) -> list[str]:
    """Canonical codes, each once."""
    return list(dict.fromkeys(check_language(code, "--languages") for code in languages))
