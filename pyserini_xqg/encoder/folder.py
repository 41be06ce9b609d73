"""What a model's folder says of how to use it: as sentence-transformers saves it, and DPR's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import parsed_json
from pyserini_xqg.base.refusing import check_names

#: sentence-transformers' names of the poolings that we compute.
POOLING_NAMES = {"cls": "cls", "mean": "mean", "last": "lasttoken"}
_POOLINGS = {theirs: ours for ours, theirs in POOLING_NAMES.items()}
#: The older files have a flag for each pooling instead.
BY_FLAG = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
_POOLING_KEYS = {
    *BY_FLAG, "pooling_mode", "word_embedding_dimension", "embedding_dimension", "include_prompt",
}  # fmt: skip
_DENSE_KEYS = {
    "in_features", "out_features", "bias", "activation_function", "module_input_name",
    "module_output_name", "use_residual",
}  # fmt: skip
#: What sentence-transformers saves of a transformer: of all kinds under the first name by now.
_SAVED = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_OF_LOADING = {
    "attn_implementation", "cache_dir", "device_map", "dtype", "local_files_only",
    "low_cpu_mem_usage", "torch_dtype", "trust_remote_code", "use_safetensors",
}  # fmt: skip
#: What sentence-transformers hands on as it loads a transformer and calls it, by both its names;
#: and which of that changes no vector, or is asked for elsewhere.
_ARGUMENTS = {
    "model_args": _OF_LOADING,
    "model_kwargs": _OF_LOADING,
    "config_args": _OF_LOADING | {"use_cache"},
    "config_kwargs": _OF_LOADING | {"use_cache"},
    "tokenizer_args": _OF_LOADING | {"use_fast"},
    "processor_kwargs": _OF_LOADING | {"use_fast"},
    "processing_kwargs": set(),
}
#: Models of two halves of which sentence-transformers takes the encoder, as we do of all.
_ENCODERS = {
    "blenderbot", "blenderbot-small", "longt5", "m2m_100", "marian", "mt5", "pegasus", "pegasus_x",
    "prophetnet", "switch_transformers", "t5", "t5gemma", "t5gemma2", "udop", "umt5",
}  # fmt: skip
#: Lengths above this stand for "no limit" in tokenizers' files.
_NO_LIMIT = 1_000_000


class Layer(NamedTuple):
    """A linear layer on top of the pooled vector.

    Attributes
    ----------
    place : Path
        The folder of its weights.
    size : (int, int)
        Components that come in, and that go out.
    bias : bool
    activation : str
        A class of ``torch.nn``.
    """

    place: Path
    size: tuple[int, int]
    bias: bool
    activation: str


@dataclass(frozen=True)
class Folder:
    """What is known of a model from its folder.

    Attributes
    ----------
    transformer : Path
        Where its configuration and weights are.
    settings : dict
        Fields of `pyserini_xqg.encoder.spec.EncoderSpec` that it decides.
    layers : tuple of Layer
    lower_case : bool
        Whether texts are lowercased first.
    other_pooling : str or None
        A pooling that we do not compute, so that the user must give another.
    """

    transformer: Path
    settings: dict[str, Any] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    lower_case: bool = False
    other_pooling: str | None = None


def read_folder(folder: Path) -> Folder:
    """What a model's folder says of itself.

    Raises
    ------
    XqgError
        If a file is damaged, or names a part of the model that we do not compute.
    """
    listing = folder / "modules.json"
    if not listing.is_file():
        config = _object(folder / "config.json") if (folder / "config.json").is_file() else {}
        return Folder(folder, {"pooling": "cls"} if config.get("model_type") == "dpr" else {})
    modules = _modules(listing)
    kinds = [kind for kind, _ in modules]
    normalised = kinds[-1:] == ["Normalize"]
    kinds = [kind for kind in kinds[: len(kinds) - normalised] if kind != "Dropout"]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense"}:
        raise XqgError(
            f"{listing}: its parts are {', '.join(kind for kind, _ in modules)}; known are "
            "Transformer, Pooling, any Dense, Normalize, in this order: encode with "
            "sentence-transformers, or another model"
        )
    places = dict(modules)
    transformer = folder / places["Transformer"]
    pooling = folder / places["Pooling"] / "config.json"
    prompts = _prompts(folder)
    mode = _pooling_mode(pooling, prompted=any(prompts.values()))
    path = next((path for name in _SAVED if (path := transformer / name).is_file()), None)
    saved = _object(path) if path else {}
    settings = {"l2_norm": normalised, **_lengths(path, saved, transformer), **prompts}
    if mode in _POOLINGS:
        settings["pooling"] = _POOLINGS[mode]
    layers = tuple(_layer(folder / place) for kind, place in modules if kind == "Dense")
    unread = None if mode in _POOLINGS else f"{pooling}: pooling {mode}"
    config = _object(transformer / "config.json") if (transformer / "config.json").is_file() else {}
    if config.get("is_encoder_decoder") is True and str(config.get("model_type")) not in _ENCODERS:
        raise XqgError(
            f"{transformer}: of a {config.get('model_type')} sentence-transformers pools what the "
            "decoder makes, which is not computed here: encode with it, or take another model"
        )
    if not _is_of_size(_object(pooling), config):
        unread = f"{pooling}: pooling of another model's vectors, by their size,"
    _check_arguments(path, saved)
    return Folder(transformer, settings, layers, saved.get("do_lower_case") is True, unread)


def _check_arguments(path: Path | None, saved: Mapping[str, Any]) -> None:
    """Refuse a transformer that is to be loaded, or called, otherwise than it was saved."""
    for name, harmless in _ARGUMENTS.items():
        values = saved.get(name) or {}
        if wrong := sorted(set(values) - harmless if isinstance(values, dict) else {str(values)}):
            raise XqgError(
                f"{path}: {name} {', '.join(wrong)} is not computed here: load it with "
                "sentence-transformers, save its transformer so, and take that out of this file"
            )


def _modules(listing: Path) -> list[tuple[str, str]]:
    """The parts of a model in order: the class's name, and its folder."""
    found = _read(listing)
    try:
        rows = [(_kind(str(row["type"])), str(row["path"])) for row in found]
    except (KeyError, TypeError):
        raise XqgError(f"{listing}: expected a list of parts with type and path") from None
    check_names([place for _, place in rows if place], listing)
    if not rows:
        raise XqgError(f"{listing}: no parts")
    return rows


def _kind(name: str) -> str:
    """What a part is; one of the model's own Python keeps its whole name, and is not known."""
    package, _, kind = name.rpartition(".")
    return kind if package.partition(".")[0] in ("", "sentence_transformers") else name


def _pooling_mode(path: Path, *, prompted: bool) -> str:
    config = _known(path, _POOLING_KEYS)
    flags = [mode for key, mode in BY_FLAG.items() if config.get(key)]
    modes = config.get("pooling_mode") or flags
    if not modes:  # all that are named are off
        modes = ["none"] if BY_FLAG.keys() & config.keys() else ["mean"]
    modes = modes if isinstance(modes, list) else [modes]
    if config.get("include_prompt") is False and prompted:
        raise XqgError(f"{path}: pooling without the prompt's tokens is not computed here")
    return " and ".join(map(str, modes))


def _is_of_size(pooling: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether a pooling is of vectors as long as the model's, where both say their size."""
    said = pooling.get("word_embedding_dimension") or pooling.get("embedding_dimension")
    sizes = [config[key] for key in ("hidden_size", "d_model", "dim", "n_embd") if config.get(key)]
    return not said or not sizes or said in sizes


def _lengths(path: Path | None, saved: Mapping[str, Any], transformer: Path) -> dict[str, int]:
    """The most tokens of a query and of a passage."""
    tokenizer = transformer / "tokenizer_config.json"
    for name in ("max_seq_length", "query_length", "document_length"):
        value = saved.get(name)
        if value is not None and (type(value) is not int or value < 1):
            raise XqgError(f"{path}: {name} is {value!r:.40}; expected a number of tokens")
    longest = saved.get("max_seq_length")
    if longest is None and tokenizer.is_file():
        longest = _object(tokenizer).get("model_max_length")
    found = {
        "query_max_length": saved.get("query_length") or longest,
        "max_length": saved.get("document_length") or longest,
    }
    return {
        name: int(value)
        for name, value in found.items()
        if isinstance(value, (int, float)) and value is not True and 0 < value < _NO_LIMIT
    }


def _prompts(folder: Path) -> dict[str, str]:
    """Prefixes, by the names under which sentence-transformers looks for its prompts."""
    path = folder / "config_sentence_transformers.json"
    saved = _object(path) if path.is_file() else {}
    prompts = saved.get("prompts") or {}
    default = str(saved.get("default_prompt_name") or "")
    if saved.get("truncate_dim") is not None:
        raise XqgError(
            f"{path}: truncate_dim, the start of each vector alone, is not computed here; take it "
            "out of this file for whole vectors"
        )
    if not isinstance(prompts, dict) or not all(isinstance(p, str) for p in prompts.values()):
        raise XqgError(f"{path}: expected a prompt by name under 'prompts'")
    if default and default not in prompts:
        raise XqgError(f"{path}: default_prompt_name {default!r:.40} is none of its prompts")

    def first(*names: str) -> str:
        return next((prompts[name] for name in names if name in prompts), "")

    return {
        "query_prefix": first("query", *([default] if default else [])),
        "passage_prefix": first("document", "passage", "corpus", *([default] if default else [])),
    }


def similarity_of(folder: Path) -> str | None:
    """How a model's folder says that its vectors are compared; None where it does not."""
    path = folder / "config_sentence_transformers.json"
    said = _object(path).get("similarity_fn_name") if path.is_file() else None
    return None if said is None else str(said)


def _layer(place: Path) -> Layer:
    path = place / "config.json"
    config = _known(path, _DENSE_KEYS)
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    vector = "sentence_embedding"
    names = config.get("module_input_name", vector), config.get("module_output_name") or vector
    if config.get("use_residual") or names != (vector, vector):
        raise XqgError(
            f"{path}: a Dense layer with a residual, or of single tokens, is not computed here"
        )
    if not activation.startswith("torch.nn.modules."):
        raise XqgError(f"{path}: the activation function {activation} is not one of torch's own")
    try:
        size = int(config["in_features"]), int(config["out_features"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise XqgError(f"{path}: expected in_features and out_features") from None
    return Layer(place, size, bool(config.get("bias", True)), activation.rpartition(".")[2])


def _known(path: Path, keys: set[str]) -> Mapping[str, Any]:
    if not path.is_file():
        raise XqgError(f"{path} is missing, which modules.json asks for")
    config = _object(path)
    if unknown := sorted(set(config) - keys):
        raise XqgError(f"{path}: unknown setting {', '.join(unknown)}; known are {sorted(keys)}")
    return config


def _object(path: Path) -> dict[str, Any]:
    found = _read(path)
    if not isinstance(found, dict):
        raise XqgError(f"{path}: expected a JSON object")
    return found


def _read(path: Path) -> Any:
    try:
        return parsed_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise XqgError(f"{path}: damaged, or missing ({error})") from None
