"""Decoder-only models, a step at a time, for several samples of each prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyserini_xqg.generate.t5 import padded

if TYPE_CHECKING:
    import torch


class ChatDecoder:
    """A `Decoder` over any ``AutoModelForCausalLM``; its "hidden states" are the logits.

    Parameters
    ----------
    model : transformers model
        In evaluation mode, on its device.
    pad : int
        The token that fills short prompts up; it is masked.
    """

    candidates = None

    def __init__(self, model: Any, pad: int) -> None:
        self._model, self._pad = model, pad

    def first(self, prompts: Sequence[Sequence[int]], samples: int, steps: int) -> torch.Tensor:
        """As in `Decoder`. Each prompt is read once, and its cache copied for the samples."""
        from transformers import DynamicCache

        ids, mask = padded(prompts, self._pad, self._model.device, left=True)
        self._cache = DynamicCache(config=self._model.config)
        self._mask, self._samples = mask, samples
        logits = self._forward(ids, (mask.cumsum(dim=1) - 1).clamp(min=0))
        self._cache.batch_repeat_interleave(samples)
        self._mask = mask.repeat_interleave(samples, dim=0)
        return logits.repeat_interleave(samples, dim=0)

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        import torch

        positions = self._mask.sum(dim=1, keepdim=True)
        self._mask = torch.cat([self._mask, torch.ones_like(positions)], dim=1)
        return self._forward(tokens[:, None], positions)

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden

    all_scores = scores

    def keep(self, prompts: torch.Tensor) -> None:
        import torch

        each = torch.arange(self._samples, device=prompts.device)
        rows = (prompts[:, None] * self._samples + each).flatten()
        self._mask = self._mask[rows]
        self._cache.batch_select_indices(rows)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits
