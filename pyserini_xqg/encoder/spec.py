"""The encoder's specification: the settings that make its vectors what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.backends import BACKENDS
from pyserini_xqg.encoder.presets import BY_MODEL, PRESETS

#: A model folder that holds this file needs no further settings.
SPEC_FILE = "xqg_encoder.json"
POOLINGS = ("cls", "mean", "last")
DTYPES = ("float32", "bfloat16", "float16")
SIDES = ("query", "passage")


@dataclass(frozen=True)
class EncoderSpec:
    """Everything that decides an encoder's vectors; it travels with stores and indexes.

    Attributes
    ----------
    model : str
        Hub name or folder.
    revision : str or None
        Revision on the hub.
    pooling : {"cls", "mean", "last"}
        How token vectors become one: the first, their mean, or the last that is not padding.
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
    trust_remote_code : bool
        Let the hub's code run. Off unless asked for.
    """

    model: str
    revision: str | None = None
    pooling: str = "cls"
    l2_norm: bool = False
    dtype: str = "float32"
    query_prefix: str = ""
    passage_prefix: str = ""
    query_max_length: int = 32
    max_length: int = 256
    query_model: str | None = None
    generated_queries_as: str = "query"
    add_sep: bool = False
    trust_remote_code: bool = False
    backend: str = "torch"

    def __post_init__(self) -> None:
        for name, choices in (
            ("pooling", POOLINGS),
            ("dtype", DTYPES),
            ("generated_queries_as", SIDES),
            ("backend", BACKENDS),
        ):
            if getattr(self, name) not in choices:
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
            A key of `presets.PRESETS`. Without one, the specification saved in the
            model's folder counts, else the preset of exactly that model, else the defaults.
        **settings
            Fields that override those; None leaves a field alone.

        Raises
        ------
        XqgError
            For an unknown preset, a missing folder, or a setting that is none of the choices.
        """
        base: Mapping[str, Any] = {}
        if preset is not None:
            if preset not in PRESETS:
                raise XqgError(f"--preset {preset!r} is none of {', '.join(PRESETS)}")
            base = PRESETS[preset].settings
            model = model or PRESETS[preset].model
        elif model is None:
            raise XqgError("no encoder: give --encoder (a hub name or a folder) or --preset")
        elif (saved := Path(model) / SPEC_FILE).is_file():
            base = {key: value for key, value in _read_spec(saved).items() if key != "model"}
            inside = Path(model, base.get("query_model") or "")
            if base.get("query_model") and inside.is_dir():  # moved together with the model
                base = {**base, "query_model": str(inside.resolve())}
        elif model in BY_MODEL:
            base = BY_MODEL[model].settings
        given = {key: value for key, value in settings.items() if value is not None}
        if Path(model).is_dir():  # an index must find its encoder from any working directory
            model = str(Path(model).resolve())
        return cls.from_dict({**base, **given, "model": model}, "the encoder's settings")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> EncoderSpec:
        """The specification from JSON values; `where` names the file in the message."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise XqgError(
                f"{where}: unknown encoder setting(s) {', '.join(unknown)}; a newer "
                "version of pyserini_xqg may have written it"
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The specification in JSON types."""
        return asdict(self)

    def at(self, model: str | None) -> EncoderSpec:
        """The same encoder found under another name (a folder moved, a local copy)."""
        if model is None:
            return self
        query_model = self.query_model
        if query_model is not None and Path(query_model).is_relative_to(self.model):
            query_model = str(Path(model, Path(query_model).relative_to(self.model)))
        return replace(self, model=model, query_model=query_model)


def _read_spec(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise XqgError(f"{path}: damaged ({error})") from None
    if not isinstance(values, dict):
        raise XqgError(f"{path}: expected a JSON object")
    return values
