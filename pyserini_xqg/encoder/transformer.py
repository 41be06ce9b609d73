"""An encoder's transformer with its tokenizer, and what stands between its pooling and a vector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.folder import Folder, Layer, read_folder
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.loading import (
    TEXT_ENCODER,
    Kind,
    check_tokenizer,
    encoder_of,
    load_config,
    load_model,
    load_tokenizer,
    positions_of,
    quiet,
)
from pyserini_xqg.encoder.weights import check_files, tensor_names, weight_files


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
