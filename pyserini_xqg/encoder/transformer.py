"""One side of an encoder: a transformer with its tokenizer, and all up to a vector.

Between them stand a pooling and, in some models, layers of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.encoder.backends import BACKENDS
from pyserini_xqg.encoder.folder import Folder, Layer, read_folder
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.judging import all_alike, unlike_texts
from pyserini_xqg.encoder.loading import (
    TEXT_ENCODER,
    Kind,
    check_tokenizer,
    embedding_rows,
    encoder_of,
    load_config,
    load_model,
    load_tokenizer,
    positions_of,
    quiet,
)
from pyserini_xqg.encoder.spec import EncoderSpec
from pyserini_xqg.encoder.tokens import Tokens, check_ids
from pyserini_xqg.encoder.weights import check_files, tensor_names, weight_files

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class Loaded(NamedTuple):
    """One side of an encoder.

    Attributes
    ----------
    transformer : transformers model
        From token ids to ``last_hidden_state``; in evaluation mode, on the CPU.
    tokenizer : tokenizer of transformers
    layers : torch.nn.Module or None
        From a pooled vector to the model's own, before it is scaled to length 1.
    longest : int or None
        The most tokens that it can read.
    side : {"query", "passage", None}
        The side that it was trained for, where it can only be that one.
    """

    transformer: Any
    tokenizer: Any
    layers: Any
    longest: int | None
    side: str | None


def load_encoder(named: Named) -> Loaded:
    """An encoder as its folder has it.

    Raises
    ------
    XqgError
        If it cannot be loaded, or not as what it was trained to be.
    """
    folder = model_folder(named)
    known = read_folder(folder)
    at = None if known.transformer == folder else known.transformer
    config = load_config(named) if at is None else load_config(named._replace(name=str(at)))
    tokenizer = load_tokenizer(named, at)
    if known.lower_case:
        _lowercase(tokenizer)
    if config.model_type == "dpr":
        return _dpr(named, known.transformer, config, tokenizer)
    model = load_model(named, TEXT_ENCODER, tokenizer, folder=at)
    longest = positions_of(model)
    return Loaded(encoder_of(model), tokenizer, _layers(known), _shortest(longest, tokenizer), None)


def _shortest(positions: int | None, tokenizer: Any) -> int | None:
    limits = [limit for limit in (positions, tokenizer.model_max_length) if limit]
    return int(min(limits)) if limits and min(limits) < 1_000_000 else None


_DPR = {
    "DPRContextEncoder": ("ctx_encoder", "passage"),
    "DPRQuestionEncoder": ("question_encoder", "query"),
}


def _dpr(named: Named, folder: Path, config: Any, tokenizer: Any) -> Loaded:
    """The side of DPR that a folder holds: transformers would take each for the question side."""
    import torch
    import transformers

    check_files(folder)
    names = tensor_names(folder)
    kinds = [kind for kind, (part, _) in _DPR.items() if any(n.startswith(part) for n in names)]
    kind = next(iter(kinds or config.architectures or ["none that config.json names"]))
    if kind not in _DPR:
        raise named.error(f"a DPR model of the kind {kind}; expected {' or '.join(_DPR)}")
    part, side = _DPR[kind]
    vector = Kind("", lambda model, ids: model(input_ids=ids).pooler_output)
    whole = load_model(named, vector, folder=folder, own=getattr(transformers, kind))
    inner = getattr(whole, part)
    check_tokenizer(tokenizer, inner.bert_model, named)
    layers = torch.nn.Sequential(inner.encode_proj) if config.projection_dim > 0 else None
    longest = _shortest(positions_of(inner.bert_model), tokenizer)
    return Loaded(inner.bert_model, tokenizer, layers, longest, side)


def _lowercase(tokenizer: Any) -> None:
    """Let a tokenizer lowercase its texts first, as sentence-transformers does where it is told."""
    from tokenizers import normalizers

    fast = tokenizer.backend_tokenizer
    parts = [normalizers.Lowercase(), *([fast.normalizer] if fast.normalizer else [])]
    fast.normalizer = normalizers.Sequence(parts)


def _layers(known: Folder) -> Any:
    import torch

    if not known.layers:
        return None
    return torch.nn.Sequential(*(part for layer in known.layers for part in _dense(layer)))


def _dense(layer: Layer) -> list[Any]:
    """A layer's linear part with its weights, in float32, and its activation."""
    import torch

    check_files(layer.place)
    (file,) = weight_files(layer.place)
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
        linear = torch.nn.Linear(*layer.size, bias=layer.bias)
        with quiet():
            linear.load_state_dict({
                name.removeprefix("linear."): weight.float() for name, weight in state.items()
            })  # fmt: skip
        activation = getattr(torch.nn, layer.activation)()
    except Exception as error:  # whatever its libraries raise for damaged files
        reason = " ".join(str(error).split())
        raise XqgError(f"{file}: not the weights of its config.json's Dense ({reason})") from None
    return [linear.eval(), activation.eval()]


_TEXTS = {"query": "questions", "passage": "passages"}


class Side:
    """One transformer with its tokenizer."""

    def __init__(self, named: Named, spec: EncoderSpec, device: str) -> None:
        import torch

        self.named, self.spec, self.device = named, spec, device
        transformer, self.tokenizer, self._layers, self.longest, self._only = load_encoder(named)
        self._rows = embedding_rows(transformer)
        transformer.eval().to(device=device, dtype=getattr(torch, spec.dtype))
        if self._layers is not None:
            self._layers.to(device=device)
        self.backend = BACKENDS[spec.backend].load(transformer, named.name, device)
        # Asked of the model itself: configurations call it by too many names.
        try:
            self.dimension = self.forward(self.tokenize(["a"], None, 8), np.arange(1)).shape[1]
        except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            raise named.error(
                f"a {type(transformer).__name__} gives no vector for each token of a text "
                f"({reason_of(error)}); expected a text encoder"
            ) from None
        self._check_vectors()

    def _check_vectors(self) -> None:
        """Refuse an encoder whose vectors are no numbers, or the same for all texts."""
        if self._rows is None:
            return
        texts = unlike_texts(self._rows)
        special = set(self.tokenizer.all_special_ids)
        ids = self.tokenize(["a"], None, 8).ids.tolist()  # of which some stand in every text
        start = list(takewhile(special.__contains__, ids))
        end = (
            list(takewhile(special.__contains__, ids[::-1]))[::-1] if len(start) < len(ids) else []
        )
        limit = (self.longest or 512) - len(start) - len(end)
        whole = [[*start, *text[: max(limit, 1)], *end] for text in texts]
        vectors = self.forward(Tokens.of(whole), np.arange(len(whole))).cpu()
        if not vectors.isfinite().all():
            raise self.named.error(
                f"its vectors are no numbers (NaN or infinity) in {self.spec.dtype}: its weights "
                "are damaged, or overflow (see --dtype)"
            )
        if all_alike(vectors):
            raise self.named.error(
                f"it gives one and the same vector for different texts (pooling "
                f"{self.spec.pooling}): its weights are zero or damaged, or it pools otherwise"
            )

    def check_side(self, side: str, spec: EncoderSpec) -> None:
        """Refuse texts of the side that the model was not trained for."""
        if self._only in (None, side) or spec.query_model == spec.model:
            return
        texts, option = {
            "query": ("queries", "--query-encoder"),
            "passage": ("passages", "--encoder"),
        }[side]
        raise XqgError(
            f"{self.named.name} is the side of DPR for {_TEXTS[str(self._only)]}, not for {texts}: "
            f"give the other with {option} (or this one as both, if you mean that)"
        )

    def tokenize(
        self, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
    ) -> Tokens:
        limit = min(max_length, self.longest or max_length)
        encoded = self.tokenizer(
            list(texts),
            None if pairs is None else list(pairs),
            truncation=True,
            max_length=limit,
            padding=False,
            return_token_type_ids=False,
            return_attention_mask=False,
        )
        tokens = Tokens.of(encoded["input_ids"])
        check_ids(tokens.ids, self._rows, self.named)
        return tokens

    def forward(self, tokens: Tokens, rows: NDArray[np.int64]) -> torch.Tensor:
        """The vectors of some texts, float32, on the device, which may still be computing them."""
        import torch

        if not tokens.lengths[rows].any():  # no special tokens, and only empty texts
            return torch.zeros(len(rows), self.dimension, device=self.device)
        pad_id = self.tokenizer.pad_token_id
        left = self.tokenizer.padding_side == "left"
        # What stands where the mask is 0 is not read, so that a tokenizer without padding will do.
        ids, mask = map(self._sent, tokens.padded(rows, pad_id or 0, left=left))
        with torch.inference_mode():
            hidden = self.backend(ids, mask)
            if hidden.shape[:2] != mask.shape:
                raise ValueError(f"{list(hidden.shape[:2])} vectors for {list(mask.shape)} tokens")
            vectors = _POOL[self.spec.pooling](hidden, mask)
            if self._layers is not None:
                vectors = self._layers(vectors)
            if self.spec.l2_norm:
                vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors

    def _sent(self, values: NDArray[np.int64]) -> torch.Tensor:
        import torch

        sent = torch.from_numpy(values)
        if "cuda" not in self.device:
            return sent.to(self.device)
        # From pinned memory it is copied while the batch before is computed.
        return sent.pin_memory().to(self.device, non_blocking=True)


def _cls(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return _at(hidden, mask.argmax(dim=1))  # not 0 where the tokenizer pads on the left


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _last(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    positions = mask * mask.new_ones(mask.shape).cumsum(dim=1)
    return _at(hidden, positions.argmax(dim=1))


def _at(hidden: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return hidden.take_along_dim(places[:, None, None], dim=1)[:, 0]


_POOL: Mapping[str | None, Any] = {"cls": _cls, "mean": _mean, "last": _last}
