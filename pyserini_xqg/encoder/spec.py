"""The encoder's specification: the settings that make its vectors what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import parsed_json
from pyserini_xqg.encoder.backends import BACKENDS
from pyserini_xqg.encoder.folder import read_folder
from pyserini_xqg.encoder.hub import Named, cached_folder, name_in_cache
from pyserini_xqg.encoder.presets import BY_MODEL, PRESETS, Preset

#: A model folder that holds this file needs no further settings.
SPEC_FILE = "xqg_encoder.json"
POOLINGS = ("cls", "mean", "last")
DTYPES = ("float32", "bfloat16", "float16")
SIDES = ("query", "passage")
_NEVER_READ = "trust_remote_code"
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("model", "query_prefix", "passage_prefix", "backend"), str),
    **dict.fromkeys(("revision", "query_model"), str | None),
    **dict.fromkeys(("l2_norm", "add_sep"), bool),
}


@dataclass(frozen=True)
class EncoderSpec:
    """Everything that decides an encoder's vectors; it travels with stores and indexes.

    Attributes
    ----------
    model : str
        Hub name or folder.
    revision : str or None
        Revision on the hub.
    pooling : {"cls", "mean", "last", None}
        How token vectors become one: the first, their mean, or the last that is not padding. None
        where nobody says; such an encoder is not loaded.
    l2_norm : bool
        Scale every vector to length 1.
    dtype : {"float32", "bfloat16", "float16"}
        What the transformer computes in; vectors come out in float32.
    backend : {"torch", "onnx", "onnx-int8"}
        What computes the transformer. With onnx-int8 a vector depends a little (cosine about
        0.9999) on the texts that are encoded together with it.
    query_prefix, passage_prefix : str
        Put before the text as they are, with whatever space they end in.
    query_max_length, max_length : int
        Tokens kept of a query and of a passage.
    query_model : str or None
        The model of the query side where the two are not tied.
    generated_queries_as : {"query", "passage"}
        The side that generated queries are encoded on, always cut at `query_max_length`.
    add_sep : bool
        Encode title and text as a pair instead of joining them by a space.
    sources : dict of str to str
        By field where its value comes from: given, preset, folder; default where it is not named.
        Neither compared nor saved.
    """

    model: str
    revision: str | None = None
    pooling: str | None = None
    l2_norm: bool = False
    dtype: str = "float32"
    query_prefix: str = ""
    passage_prefix: str = ""
    query_max_length: int = 32
    max_length: int = 256
    query_model: str | None = None
    generated_queries_as: str = "query"
    add_sep: bool = False
    backend: str = "torch"
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, kind in _TYPES.items():
            if not isinstance(getattr(self, name), kind):
                raise XqgError(f"encoder {name}: {getattr(self, name)!r} is of the wrong kind")
        for name, choices in (
            ("pooling", POOLINGS),
            ("dtype", DTYPES),
            ("generated_queries_as", SIDES),
            ("backend", BACKENDS),
        ):
            if getattr(self, name) not in choices and (name, self.pooling) != ("pooling", None):
                raise XqgError(
                    f"encoder {name}: {getattr(self, name)!r} is none of {', '.join(choices)}"
                )
        if BACKENDS[self.backend].float32_cpu_only and self.dtype != "float32":
            raise XqgError(
                f"encoder backend: {self.backend} computes from float32 weights, not {self.dtype}; "
                "leave --dtype out, or take --backend torch"
            )
        for name in ("query_max_length", "max_length"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise XqgError(
                    f"encoder {name}: {getattr(self, name)!r} is not a positive number of tokens"
                )

    @classmethod
    def resolve(cls, model: str | None, preset: str | None = None, **settings: Any) -> EncoderSpec:
        """The specification of a named encoder.

        Parameters
        ----------
        model : str or None
            Hub name or folder; None takes the preset's own.
        preset : str or None
            A key of `presets.PRESETS`. Without one, the specification saved in the model's folder
            counts, else the preset of exactly that model, else what sentence-transformers saved
            in the folder, else the defaults; pooling has none. Of a hub name the cache is read,
            not the network: `pyserini_xqg.encoder.hub.model_folder` fills it.
        **settings
            Fields that override those; None leaves a field alone.

        Raises
        ------
        XqgError
            For an unknown preset, a damaged folder or one that pools as we do not, or a setting
            that is none of the choices.
        """
        base: Mapping[str, Any] = {}
        source = "preset"
        if preset is not None:
            if preset not in PRESETS:
                raise XqgError(f"--preset {preset!r} is none of {', '.join(PRESETS)}")
            base = PRESETS[preset].settings
            model = model or PRESETS[preset].model
        elif model is None:
            raise XqgError("no encoder: give --encoder (a hub name or a folder) or --preset")
        elif (known := _preset_of(model)) and not (Path(model) / SPEC_FILE).is_file():
            base = known.settings
        elif (folder := cached_folder(Named(model, settings.get("revision")))) is not None:
            source = "folder"
            base = _saved(folder, pooling_given=settings.get("pooling") is not None)
        given = {key: value for key, value in settings.items() if value is not None}
        if Path(model).is_dir():  # an index must find its encoder from any working directory
            model = str(Path(model).resolve())
        sources = {**dict.fromkeys(base, source), **dict.fromkeys(given, "given")}
        values = {**base, **given, "model": model}
        _check_known(cls, values, "the encoder's settings")
        return cls(**values, sources=sources)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> EncoderSpec:
        """The specification from a file's JSON values; `where` names the file in the message.

        ``trust_remote_code``, which files of older versions hold, is not read: what was downloaded
        cannot decide that its own code runs.
        """
        values = {name: value for name, value in values.items() if name != _NEVER_READ}
        _check_known(cls, values, where)
        try:
            return cls(**values)
        except XqgError as error:
            raise XqgError(f"{where}: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """The specification in JSON types."""
        values = asdict(self)
        del values["sources"]
        return values

    def check_pooling(self) -> None:
        """Refuse an encoder of which nobody says how it pools.

        Raises
        ------
        XqgError
        """
        if self.pooling is not None:
            return
        place = Path(self.model)
        if place.is_dir() and not [*place.glob("config.json"), *place.glob("*/config.json")]:
            raise XqgError(f"{self.model} is no model's folder: there is no config.json in it")
        raise XqgError(
            f"how {self.model} pools is not known, and the wrong pooling gives useless vectors: "
            f"neither it (sentence-transformers' files, {SPEC_FILE}) nor a preset of its name "
            f"says so{_hint(self.model)}. Give --pooling as its authors have it: mean (E5, "
            "Contriever, MiniLM) or cls (BGE, mDPR); or write it into its folder, as "
            f'{SPEC_FILE}: {{"pooling": "mean"}}'
        )

    def described(self, longest: int | None = None) -> str:
        """Every setting that decides the vectors, and where it comes from, in one line.

        `longest` is the most tokens that the model can read.
        """
        values = self.to_dict()
        of_each: dict[str, list[str]] = {}
        for name, value in values.items():
            if name == "model" or value is None:
                continue
            shown = f"{name} {json.dumps(value, ensure_ascii=False)}"
            if longest is not None and name.endswith("max_length") and value > longest:
                shown += f" (cut at {longest}, the most that the model reads)"
            of_each.setdefault(self.sources.get(name, "default"), []).append(shown)
        parts = [f"{source}: {', '.join(of)}" for source, of in of_each.items()]
        return f"encoder {self.model}; " + "; ".join(parts)

    def at(self, model: str | None) -> EncoderSpec:
        """The same encoder found under another name (a folder moved, a local copy)."""
        if model is None:
            return self
        query_model = self.query_model
        if query_model is not None and Path(query_model).is_relative_to(self.model):
            query_model = str(Path(model, Path(query_model).relative_to(self.model)))
        return replace(self, model=model, query_model=query_model)


def _check_known(spec: type[EncoderSpec], values: Mapping[str, Any], where: str) -> None:
    if "model" not in values:
        raise XqgError(f"{where}: the encoder has no model")
    known = {one.name for one in fields(spec)} - {"sources"}
    if unknown := sorted(set(values) - known):
        raise XqgError(
            f"{where}: unknown encoder setting(s) {', '.join(unknown)}; a newer "
            "version of pyserini_xqg may have written it"
        )


def _preset_of(model: str) -> Preset | None:
    """The preset of exactly this model: by its name, or by its place in the hub's cache."""
    return BY_MODEL.get(model) or BY_MODEL.get(name_in_cache(model) or "")


def _hint(model: str) -> str:
    """The preset of the model that this one was saved from: it may since have been trained."""
    try:
        config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
        known = BY_MODEL.get(config.get("_name_or_path"))
    except (OSError, ValueError, RecursionError, AttributeError, TypeError):
        return ""
    names = [name for name, preset in PRESETS.items() if preset is known]
    return f"; it was saved from {known.model}: --preset {names[0]} if it is that" if known else ""


def _saved(folder: Path, *, pooling_given: bool) -> dict[str, Any]:
    """The settings that a model's folder holds."""
    if (folder / SPEC_FILE).is_file():
        values = _read_spec(folder / SPEC_FILE)
        values = {key: value for key, value in values.items() if key not in ("model", _NEVER_READ)}
        if isinstance(query_model := values.get("query_model"), str):
            if Path(query_model).is_absolute() or ".." in Path(query_model).parts:
                raise XqgError(
                    f"{folder / SPEC_FILE}: query_model {query_model!r} is not inside this folder; "
                    "take it out, and give that model with --query-encoder"
                )
            if (folder / query_model).is_dir():  # moved together with the model
                values["query_model"] = str((folder / query_model).resolve())
        return values
    known = read_folder(folder)
    if known.other_pooling is not None and not pooling_given:
        raise XqgError(
            f"{known.other_pooling} is not computed here (known: {', '.join(POOLINGS)}); take "
            "another model, or say --pooling if you know better"
        )
    return known.settings


def _read_spec(path: Path) -> dict[str, Any]:
    try:
        values = parsed_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise XqgError(f"{path}: damaged ({error})") from None
    if not isinstance(values, dict):
        raise XqgError(f"{path}: expected a JSON object")
    return values
