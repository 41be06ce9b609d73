"""The decoder of T5, mT5 and umT5, a step at a time, for several samples of each prompt.

The weights, the encoder and the feed-forward layers are transformers'; the attention is our own,
so that the samples of a prompt share its encoder states: their queries go to one set of keys and
values, which is neither computed nor stored once for each. Architecture: Raffel et al., JMLR 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError

if TYPE_CHECKING:
    import torch


class T5Decoder:
    """A `Decoder` over a ``...ForConditionalGeneration`` model of the T5 family.

    Parameters
    ----------
    model : transformers model
        In evaluation mode, on its device.

    Raises
    ------
    XqgError
        If the first logits are not those that transformers computes, as after a change there.
    """

    def __init__(self, model: Any) -> None:
        import torch

        self._model = model
        self._config = model.config
        self._stack = model.decoder
        self._layers = [_Layer(block, model.config) for block in model.decoder.block]
        self._weight = self._head = model.get_output_embeddings().weight
        self.candidates: torch.Tensor | None = None
        self._scale = 1.0
        with torch.inference_mode():
            self._calibrate()

    def trim(self, kept: Sequence[int] | None) -> None:
        """Score these tokens only (ascending); None scores all again."""
        import torch

        if kept is None:
            self._head, self.candidates = self._weight, None
        else:
            self.candidates = torch.as_tensor(kept, device=self._weight.device)
            self._head = self._weight.detach()[self.candidates]

    def first(self, prompts: Sequence[Sequence[int]], samples: int, steps: int) -> torch.Tensor:
        import torch

        weight = self._weight
        ids, mask = padded(prompts, self._config.pad_token_id, weight.device)
        states = self._model.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        self._mask = torch.zeros(mask.shape, dtype=weight.dtype, device=weight.device)
        self._mask.masked_fill_(mask == 0, torch.finfo(weight.dtype).min)
        self._mask = self._mask[:, None, None, :]
        self._samples, self._step = samples, 0
        for layer in self._layers:
            layer.start(states, samples, steps)
        self._biases = self._distance_biases(steps)
        start = torch.full(
            (len(prompts) * samples,), self._config.decoder_start_token_id, device=weight.device
        )
        return self.next(start)

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self._stack.embed_tokens(tokens)
        bias = None
        for layer, of_layer in zip(self._layers, self._biases, strict=True):
            if of_layer is not None:  # in T5 the first layer's serves all, in umT5 each has its own
                bias = of_layer[:, : self._step + 1].flip(1)[None, :, None, :]
            hidden = layer.forward(hidden, bias, self._mask, self._samples, self._step)
        self._step += 1
        final: torch.Tensor = self._stack.final_layer_norm(hidden)
        return final

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        return (hidden * self._scale) @ self._head.T

    def all_scores(self, hidden: torch.Tensor) -> torch.Tensor:
        return (hidden * self._scale) @ self._weight.T

    def keep(self, prompts: torch.Tensor) -> None:
        import torch

        each = torch.arange(self._samples, device=prompts.device)
        rows = (prompts[:, None] * self._samples + each).flatten()
        self._mask = self._mask[prompts]
        for layer in self._layers:
            layer.keep(prompts, rows)

    def _calibrate(self) -> None:
        """Find whether hidden states are scaled before the output layer, which is a matter of
        model, version and configuration; on the way, compare with transformers' own forward pass.
        """
        import torch

        eos = self._config.eos_token_id
        prompt = [3, 5, eos[0] if isinstance(eos, list) else eos]
        ours = self.scores(self.first([prompt], 1, 1)).float()
        device = self._weight.device
        start = torch.tensor([[self._config.decoder_start_token_id]], device=device)
        theirs = (
            self._model(input_ids=torch.tensor([prompt], device=device), decoder_input_ids=start)
            .logits[0]
            .float()
        )
        tolerance = 1e-3 if self._weight.dtype == torch.float32 else 0.05
        for scale in (1.0, self._config.d_model**-0.5):
            if (theirs - ours * scale).norm() <= tolerance * theirs.norm():
                self._scale = scale
                return
        raise XqgError(
            "this version of transformers computes T5 differently from what is known here; "
            "install another version, or report this"
        )

    def _distance_biases(self, steps: int) -> list[torch.Tensor | None]:
        """By layer, what attention adds for each distance to the left, shape (heads, steps)."""
        import torch

        buckets = [
            distance_bucket(
                distance,
                self._config.relative_attention_num_buckets,
                self._config.relative_attention_max_distance,
            )
            for distance in range(steps)
        ]
        at = torch.tensor(buckets, device=self._weight.device)
        return [None if layer.bias is None else layer.bias(at).T for layer in self._layers]


class _Layer:
    """One layer: its modules, and the keys and values that it remembers."""

    def __init__(self, block: Any, config: Any) -> None:
        own, cross, self._feed_forward = block.layer
        self._own, self._own_norm = own.SelfAttention, own.layer_norm
        self._cross, self._cross_norm = cross.EncDecAttention, cross.layer_norm
        self.bias = getattr(self._own, "relative_attention_bias", None)
        self._heads, self._width = config.num_heads, config.d_kv

    def start(self, states: torch.Tensor, samples: int, steps: int) -> None:
        shape = (*states.shape[:2], self._heads, self._width)
        self._cross_keys = self._cross.k(states).view(shape).transpose(1, 2).contiguous()
        self._cross_values = self._cross.v(states).view(shape).transpose(1, 2).contiguous()
        room = (len(states) * samples, self._heads, steps, self._width)
        self._keys, self._values = states.new_empty(room), states.new_empty(room)

    def keep(self, prompts: torch.Tensor, rows: torch.Tensor) -> None:
        self._cross_keys = self._cross_keys[prompts]
        self._cross_values = self._cross_values[prompts]
        self._keys, self._values = self._keys[rows], self._values[rows]

    def forward(
        self,
        hidden: torch.Tensor,
        bias: torch.Tensor | None,
        mask: torch.Tensor,
        samples: int,
        step: int,
    ) -> torch.Tensor:
        from torch.nn.functional import scaled_dot_product_attention as attention

        rows, heads, width = len(hidden), self._heads, self._width
        normed = self._own_norm(hidden)
        self._keys[:, :, step] = self._own.k(normed).view(rows, heads, width)
        self._values[:, :, step] = self._own.v(normed).view(rows, heads, width)
        query = self._own.q(normed).view(rows, heads, 1, width)
        keys, values = self._keys[:, :, : step + 1], self._values[:, :, : step + 1]
        # T5 does not scale the dot products.
        found = attention(query, keys, values, attn_mask=bias, scale=1.0)
        hidden = hidden + self._own.o(found.reshape(rows, heads * width))

        query = self._cross.q(self._cross_norm(hidden)).view(-1, samples, heads, width)
        found = attention(
            query.transpose(1, 2), self._cross_keys, self._cross_values, attn_mask=mask, scale=1.0
        )
        hidden = hidden + self._cross.o(found.transpose(1, 2).reshape(rows, heads * width))
        result: torch.Tensor = self._feed_forward(hidden)
        return result


def distance_bucket(distance: int, buckets: int, furthest: int) -> int:
    """The bucket of a token `distance` to the left: one each for half of the buckets, then on a
    logarithmic scale up to `furthest`.
    """
    exact = buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(furthest / exact)
    return min(exact + int(share * (buckets - exact)), buckets - 1)


def padded(
    prompts: Sequence[Sequence[int]], pad: int, device: Any, *, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both of shape (prompts, longest)."""
    import torch

    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros((len(prompts), width), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        place = slice(width - len(prompt), width) if left else slice(0, len(prompt))
        ids[row, place] = torch.tensor(prompt, dtype=torch.int64)
        mask[row, place] = 1
    return ids.to(device), mask.to(device)
