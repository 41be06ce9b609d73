"""Measure our decoding against plain ``transformers.generate``, both in this one run.

The model has mT5-base's shape, vocabulary included (250,112), and random weights: they prove time
and that both give the same greedy answer, not how often a trimmed vocabulary matters.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from machine import describe, peaks, processor
from transformers import LogitsProcessor, MT5Config, MT5ForConditionalGeneration

from pyserini_xqg.encoder.backends import pack
from pyserini_xqg.generate.decoding import decode
from pyserini_xqg.generate.sampling import noise
from pyserini_xqg.generate.t5 import T5Decoder, padded

VOCABULARY = 250_112
BASE = MT5Config(
    vocab_size=VOCABULARY, d_model=768, d_kv=64, d_ff=2048, num_layers=12, num_heads=12,
    decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
)  # fmt: skip
TOP_K = 10


class Only(LogitsProcessor):
    """Lets transformers choose among the kept tokens only."""

    def __init__(self, kept: torch.Tensor) -> None:
        self.penalty = torch.full((VOCABULARY,), float("-inf"), device=kept.device)
        self.penalty[kept] = 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return scores + self.penalty


def random_model(device: str, dtype: torch.dtype) -> Any:
    torch.manual_seed(1)
    model = MT5ForConditionalGeneration(BASE)
    # As in mT5, the output layer is not the embedding.
    model.lm_head.weight = torch.nn.Parameter(torch.randn(VOCABULARY, BASE.d_model))
    return model.eval().to(device, dtype)


def seconds(work: Callable[[], Any], device: str) -> float:
    """The best of some repetitions, as the machine may be busy with other things, too."""
    taken = []
    for _ in range(given.repeat):
        began = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    device, samples, steps = given.device, given.samples, given.tokens
    torch.set_num_threads(given.threads)
    model = random_model(device, getattr(torch, given.dtype))
    draw = np.random.default_rng(3)
    lengths = draw.integers(given.length * 3 // 4, given.length + 1, given.passages)
    prompts = [[*draw.integers(300, 250_000, length - 1).tolist(), 1] for length in lengths]
    kept = np.sort(draw.choice(np.arange(2, 250_000), given.kept, replace=False)).tolist()
    decoder = T5Decoder(model)
    uniform = np.array([
        [noise(0, f"d{i}", "te", sample, steps) for sample in range(samples)]
        for i in range(len(prompts))
    ])  # fmt: skip
    uniform = torch.from_numpy(uniform).to(device)
    ids, mask = padded(prompts, 0, device)

    def plain(**settings: Any) -> list[list[int]]:
        answers = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=steps, min_new_tokens=steps,
            **settings,
        )  # fmt: skip
        return [row[1:] for row in answers.tolist()]

    def ours(trim: bool, top_k: int = TOP_K, count: int = samples) -> list[list[int]]:
        decoder.trim(kept if trim else None)
        answers, _ = decode(decoder, prompts, uniform[:, :count], top_k=top_k, ends=[])
        return [answer for of_prompt in answers for answer in of_prompt]

    only = Only(torch.tensor(kept, device=device))
    expected = {
        "whole vocabulary": plain(do_sample=False),
        "trimmed": plain(do_sample=False, logits_processor=[only]),
    }
    sampling = {"do_sample": True, "top_k": TOP_K, "num_return_sequences": samples}
    base = seconds(lambda: plain(**sampling), device)
    pack(model.encoder)  # as `Generator` does; all that is plain comes before
    pack(model.decoder)
    wrong = False
    for what, answers in expected.items():
        pairs = list(zip(ours(what == "trimmed", 1, 1), answers, strict=True))
        equal = sum(mine == answer for mine, answer in pairs)
        # In half precision two tokens are often equally likely, and either may be taken.
        failed = equal < (len(pairs) if given.dtype == "float32" else len(pairs) / 2)
        wrong |= failed
        print(
            f"greedy answers equal to those of transformers, {what}: {equal} of {len(pairs)}"
            f"{'  WRONG' if failed else ''}"
        )

    queries = len(prompts) * samples
    print(
        f"{given.dtype} on {device}: {len(prompts)} passages of {min(lengths)}-{max(lengths)} "
        f"tokens x {samples} queries x {steps} tokens, {given.threads} thread(s), best of "
        f"{given.repeat}"
    )
    print(f"{processor()}; {describe(peaks(given.threads))}")
    print(f"transformers.generate      {base:7.2f} s  {queries / base:8.2f} queries/s")
    for what, trim in (("whole vocabulary", False), (f"{given.kept:,} tokens", True)):
        taken = seconds(lambda trim=trim: ours(trim), device)
        print(
            f"ours, {what:<20} {taken:7.2f} s  {queries / taken:8.2f} queries/s  "
            f"{base / taken:.2f}x"
        )
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--passages", type=int, default=4)
    parser.add_argument("--samples", type=int, default=5, help="queries a passage")
    parser.add_argument("--length", type=int, default=128, help="tokens of the longest prompt")
    parser.add_argument("--tokens", type=int, default=20, help="tokens of a query")
    parser.add_argument("--kept", type=int, default=12_000, help="tokens of the trimmed vocabulary")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="on the CPU")
    parser.add_argument("--repeat", type=int, default=2)
    given = parser.parse_args()
    main()
