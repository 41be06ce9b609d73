"""The settings of a run: everything that decides the queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError, check_positive
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.encoder.loading import load_config
from pyserini_xqg.encoder.spec import DTYPES
from pyserini_xqg.generate.prompts import PROMPTS, check_template, fill

#: The kinds of model, and the prompt that each has by default.
DEFAULT_PROMPTS = {"seq2seq": "xqg", "causal": "chat"}
T5_FAMILY = ("t5", "mt5", "umt5")


@dataclass(frozen=True)
class Settings:
    """What decides the queries, apart from the corpus.

    Attributes
    ----------
    generator : str
        Hub name or folder.
    kind : {"seq2seq", "causal"}
        Whether it is a T5, or a decoder-only model with a chat template.
    languages : tuple of str
        Codes, in the order of the output.
    template : str
        The prompt, as `pyserini_xqg.generate.prompts.Prompt` has it; so the three below.
    top_k, max_length, max_new_tokens : int
    num_queries : int
        For each passage and language.
    seed : int
        Of the noise.
    dtype : {"float32", "bfloat16", "float16"}
    batch_size : int
        Prompts at a time; each makes `num_queries` sequences.
    trim_vocabulary : bool
        Draw among the tokens that the language needs only.
    revision : str or None
        Revision on the hub.
    """

    generator: str
    kind: str
    languages: tuple[str, ...]
    template: str
    top_k: int
    max_length: int
    max_new_tokens: int
    num_queries: int = 5
    seed: int = 0
    dtype: str = "float32"
    batch_size: int = 32
    trim_vocabulary: bool = False
    revision: str | None = None

    def __post_init__(self) -> None:
        check_positive(self, "top_k", "max_length", "max_new_tokens", "num_queries", "batch_size")
        if not self.languages:
            raise XqgError("--languages: none given; expected codes such as ar bn te")
        if self.dtype not in DTYPES:
            raise XqgError(f"--dtype {self.dtype!r} is none of {', '.join(DTYPES)}")
        check_template(self.template)
        for language in self.languages:  # a name that is not known is found before the model loads
            fill(self.template, language, "", "")

    @classmethod
    def resolve(
        cls,
        generator: str,
        languages: Sequence[str],
        *,
        preset: str | None = None,
        template: str | None = None,
        revision: str | None = None,
        **given: Any,
    ) -> Settings:
        """The settings of a named generator.

        Parameters
        ----------
        generator : str
            Hub name or folder; only its configuration is read.
        languages : sequence of str
        preset : str or None
            A key of `PROMPTS`; by default the one of the model's kind.
        template : str or None
            A prompt of one's own instead of the preset's.
        revision : str or None
        **given
            Other fields; None takes the preset's value, or the default.

        Raises
        ------
        XqgError
            For a model that is not there or not of a known kind, and for settings that do not fit.
        """
        if preset is not None and preset not in PROMPTS:
            raise XqgError(f"--preset {preset!r} is none of {', '.join(PROMPTS)}")
        codes = tuple(dict.fromkeys(check_language(code, "--languages") for code in languages))
        if Path(generator).is_dir():  # a run is taken up from any working directory
            generator = str(Path(generator).resolve())
        model_type, kind = _kind_of(generator, revision)
        prompt = PROMPTS[preset or DEFAULT_PROMPTS[kind]]
        sampling = {**prompt._asdict(), **{k: v for k, v in given.items() if v is not None}}
        if template is not None:
            sampling["template"] = template
        if kind == "seq2seq" and sampling.get("dtype") == "float16":
            raise XqgError(
                f"--dtype float16: {model_type} overflows it (activations beyond 65,504, then NaN "
                "in every score); take bfloat16, which has the range of float32, or float32"
            )
        if kind == "causal" and sampling.get("trim_vocabulary"):
            raise XqgError(
                "--trim-vocabulary reads the vocabularies of T5 and mT5; for a decoder-only model "
                "leave it out"
            )
        return cls(generator, kind, codes, revision=revision, **sampling)

    @property
    def named(self) -> Named:
        """The generator, to be loaded."""
        return _named(self.generator, self.revision)


def _named(generator: str, revision: str | None) -> Named:
    return Named(generator, revision, "--generator", "generator")


def _kind_of(generator: str, revision: str | None) -> tuple[str, str]:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    config = load_config(_named(generator, revision))
    if config.model_type in T5_FAMILY:
        return config.model_type, "seq2seq"
    # transformers makes a decoder of BERT and its kin as well, which nobody has trained.
    encoder_only = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(
        config, "is_decoder", False
    )
    if (
        encoder_only
        or config.is_encoder_decoder
        or config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    ):
        raise XqgError(
            f"--generator {generator}: a model of type {config.model_type!r}; expected one of "
            f"{', '.join(T5_FAMILY)}, or a decoder-only language model"
        )
    return config.model_type, "causal"
