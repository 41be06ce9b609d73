"""Weights that a file lacks, has too many of, or in another shape: which of them matter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.weights import tensor_names

#: What models hold beside their weights and make anew by themselves.
_BUFFERS = (
    "_ids",
    "inv_freq",
    "masked_bias",
    ".attn.bias",
    ".attention.bias",
    "num_batches_tracked",
)
#: What models raise that take other inputs than token ids.
_NOT_ASKED = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, NotImplementedError)
#: Heads of pre-training under names that the heads of transformers do not have (any more).
_OLD_HEADS = ("pooler", "cls", "lm_head", "mlm", "lm_loss", "predictions")
#: Heads of transformers, by the lists of the models that have them.
_HEADS = (
    "PRETRAINING", "MASKED_LM", "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION",
    "TOKEN_CLASSIFICATION", "QUESTION_ANSWERING", "NEXT_SENTENCE_PREDICTION", "MULTIPLE_CHOICE",
)  # fmt: skip


def check_weights(
    model: Any,
    info: Mapping[str, Collection[Any]],
    named: Named,
    output: Callable[[Any, Any], Any],
    *,
    own_heads_only: bool,
) -> None:
    """Refuse a model whose weights are not those of its file.

    Parameters
    ----------
    model : transformers model
        As loaded, on the CPU.
    info : mapping
        transformers' ``output_loading_info``.
    named : Named
    output : callable
        From the model and token ids to what is used of it.
    own_heads_only : bool
        Whether left-over weights must be those of another head of the same model.

    Raises
    ------
    XqgError
        If the output depends on weights that the file lacks, or holds in another shape, or if
        others are left over that would have changed it.
    """
    shapes = {name: (there, here) for name, there, here in info.get("mismatched_keys") or ()}
    left = sorted(name for name in info["unexpected_keys"] if not name.endswith(_BUFFERS))
    missing = used_by(output, model, sorted({*info["missing_keys"], *shapes}))
    if missing and not missing - set(shapes) and (name := min(missing)):
        there, here = shapes[name]
        raise named.error(
            f"{name} has the shape {list(there)} in its file and {list(here)} by its config.json"
            f"{_more(len(missing) - 1)}: the two do not belong together"
        )
    if missing and (prefix := _prefix(missing, left, model)):
        raise named.error(
            f"its weights stand under the prefix {prefix!r} ({left[0]} ...), as a training program "
            f"wraps them, so that {len(missing)} that are used would be random; save the model "
            "itself, without the prefix"
        )
    if missing:
        raise named.error(
            f"weights that are used are missing from its file and would be random: "
            f"{_list(missing)}; it is damaged, of another kind of model, or has no such head"
        )
    if named.trust_remote_code:
        return  # the model's own code says what it reads
    if left and own_heads_only:
        heads = _heads(model)
        left = [name for name in left if _part(name, model) not in heads]
    elif left:  # of a layer more than the configuration has
        patterns = {_pattern(name) for name in model.state_dict()}
        left = [name for name in left if _pattern(name) in patterns]
    if left:
        raise named.error(
            f"its file holds weights that {type(model).__name__} has no place for and that would "
            f"change its output: {_list(left)}; load it with the program that it was made for, or "
            "save it without them"
        )


def check_untied(model: Any, folder: Path, named: Named) -> None:
    """Refuse a generator without the output layer that its config.json says it has.

    transformers takes the embedding in its place, and says nothing.

    Raises
    ------
    XqgError
    """
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    outputs, inputs = model.get_output_embeddings(), model.get_input_embeddings()
    if said.get("tie_word_embeddings") is not False:
        return
    if outputs is None or getattr(outputs, "weight", None) is not getattr(inputs, "weight", said):
        return
    part = next(name for name, module in model.named_modules() if module is outputs)
    there = tensor_names(folder)
    if there and not any(f".{name}".endswith(f".{part}.weight") for name in there):
        raise named.error(
            "weights that are used are missing from its file: by its config.json its output layer "
            "is not its embedding (tie_word_embeddings false), and there is none of its own"
        )


#: Models of more weights take too long on the CPU to be asked.
_MOST_ASKED = 2_000_000_000


def check_output(model: Any, named: Named, output: Callable[[Any, Any], Any]) -> None:
    """Refuse a model that makes the same of all texts, as one does whose weights are zero.

    Parameters
    ----------
    model : transformers model
        As loaded, on the CPU.
    named : Named
    output : callable
        As `check_weights` takes it.

    Raises
    ------
    XqgError
    """
    import torch

    try:
        if model.num_parameters() > _MOST_ASKED:
            return
        words = model.get_input_embeddings().num_embeddings
        with torch.inference_mode():
            found = output(model, torch.tensor(unlike_texts(words)))
    except _NOT_ASKED:
        return
    if all_alike(found.float()):
        raise named.error(
            "it gives the same output for different texts: its weights are zero, or damaged; "
            "fetch it again"
        )


def unlike_texts(words: int) -> list[list[int]]:
    """Token ids of three texts that have nothing in common, for a vocabulary of so many."""
    return [[(first + step) % words for step in range(8)] for first in (5, words // 3, words // 2)]


def all_alike(outputs: Any) -> bool:
    """Whether outputs, a tensor of shape (n, ...), differ by no more than rounding."""
    return bool((outputs - outputs[:1]).abs().max() <= 1e-6 * outputs.abs().max())


def used_by(output: Callable[[Any, Any], Any], model: Any, names: Sequence[str]) -> set[str]:
    """Those of a model's weights that its output depends on, as its gradient says.

    Parameters
    ----------
    output : callable
        From the model and token ids, shape (1, n), to a tensor.
    model : transformers model
    names : sequence of str
    """
    import torch

    weights = dict(model.named_parameters())
    # Layers are alike: one of each kind is asked for all of them.
    kinds = {_pattern(name): name for name in names if name in weights}
    asked = [weights[name] for name in kinds.values()]
    others = {name for name in names if name not in weights and not name.endswith(_BUFFERS)}
    if not asked:
        return others
    try:
        words = model.get_input_embeddings().num_embeddings
        ids = (torch.arange(8) + 5)[None] % words
        with torch.enable_grad():
            for weight in asked:
                weight.requires_grad_(True)
            total = output(model, ids).float().sum()
            found = torch.autograd.grad(total, asked, allow_unused=True)
    except _NOT_ASKED:
        return set(names)
    used = {kind for kind, gradient in zip(kinds, found, strict=True) if gradient is not None}
    return others | {name for name in names if _pattern(name) in used}


def _prefix(missing: Collection[str], left: Collection[str], model: Any) -> str | None:
    """What stands before the names of missing weights among those that are left over."""
    names = [name.removeprefix(model.base_model_prefix + ".") for name in missing]
    for other in sorted(left):
        for name in names:
            if other.endswith("." + name):
                prefix = other[: -len(name)]
                there = sum(prefix + each in left for each in names)
                return prefix if there > len(names) / 2 else None
    return None


def _heads(model: Any) -> set[str]:
    """Parts that stand on top of a model of this type in some class of transformers."""
    import torch
    from transformers.models.auto import modeling_auto

    found = set(_OLD_HEADS)
    own = {name.partition(".")[0] for name, _ in model.named_parameters()}
    for head in _HEADS:
        mapping = getattr(modeling_auto, f"MODEL_FOR_{head}_MAPPING", {})
        if type(model.config) not in mapping:
            continue
        classes = mapping[type(model.config)]
        for of_head in classes if isinstance(classes, tuple) else (classes,):
            try:
                with torch.device("meta"), torch.random.fork_rng():
                    whole = of_head(model.config)
            except Exception:  # its head asks more of the configuration than this one says
                continue
            found |= {_part(name, whole) for name, _ in whole.named_parameters()}
    return found - own


def _part(name: str, model: Any) -> str:
    """The part of a model that a weight belongs to, without the name of the model itself."""
    return name.removeprefix(model.base_model_prefix + ".").partition(".")[0]


def _pattern(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name)


def _list(names: Collection[str]) -> str:
    first = sorted(names)[:4]
    return ", ".join(first) + _more(len(names) - len(first))


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
