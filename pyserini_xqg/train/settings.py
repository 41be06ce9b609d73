"""How a generator is trained: the settings, and those of the paper by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.generate.prompts import PROMPTS, check_template

DTYPES = ("float32", "bfloat16", "float16")


class Preset(NamedTuple):
    """What a generator is trained with, as `GeneratorSettings` has it."""

    template: str
    learning_rate: float
    max_steps: int
    effective_batch_size: int
    max_length: int
    query_max_length: int
    eval_steps: int


#: By name. ``xqg`` is the paper's (Zhuang et al., SIGIR 2023), but for how often it evaluates.
PRESETS = {"xqg": Preset(PROMPTS["xqg"].template, 1e-4, 2000, 128, 128, 32, 200)}


def check_positive(settings: Any, *names: str) -> None:
    """Check that these fields of some settings are at least 1.

    Raises
    ------
    XqgError
        Naming the option that a field comes from.
    """
    for name in names:
        if getattr(settings, name) < 1:
            option = "--" + name.replace("_", "-")
            raise XqgError(f"{option} {getattr(settings, name)}: expected at least 1")


def check_learning_rate(settings: Any) -> None:
    """Check that some settings' learning rate is one.

    Raises
    ------
    XqgError
    """
    if not 0 < settings.learning_rate < 1:
        raise XqgError(f"--learning-rate {settings.learning_rate}: expected between 0 and 1")


def check_batches(settings: Any) -> None:
    """Check that whole batches of some settings make up the effective one.

    Raises
    ------
    XqgError
    """
    if settings.effective_batch_size % settings.batch_size:
        raise XqgError(
            f"--batch-size {settings.batch_size} does not divide the effective batch of "
            f"{settings.effective_batch_size}; take a divisor, or change --effective-batch-size"
        )


@dataclass(frozen=True)
class GeneratorSettings:
    """What decides the trained weights, apart from the pairs.

    Attributes
    ----------
    model : str
        Hub name or folder of the model to start from.
    template : str
        The prompt, of training and dev pairs alike; as `pyserini_xqg.generate` has it.
    learning_rate : float
        At the start; it falls to 0 in a straight line.
    max_steps : int
        Updates of the weights.
    effective_batch_size : int
        Pairs behind each update.
    max_length, query_max_length : int
        Tokens read of the whole prompt, and of the query.
    eval_steps : int
        Updates between two evaluations, each with a checkpoint.
    batch_size : int
        Pairs at a time; gradients accumulate over so many as the effective batch size needs.
    dtype : {"float32", "bfloat16"}
        What the model computes in; its weights are kept in float32.
    seed : int
        Of the pairs' order and of dropout.
    revision : str or None
        Revision on the hub.
    """

    model: str
    template: str
    learning_rate: float
    max_steps: int
    effective_batch_size: int
    max_length: int
    query_max_length: int
    eval_steps: int
    batch_size: int = 16
    dtype: str = "float32"
    seed: int = 0
    revision: str | None = None

    def __post_init__(self) -> None:
        check_positive(
            self, "max_steps", "effective_batch_size", "max_length", "query_max_length",
            "eval_steps", "batch_size",
        )  # fmt: skip
        check_learning_rate(self)
        check_batches(self)
        if self.dtype not in DTYPES:
            raise XqgError(f"--dtype {self.dtype!r} is none of {', '.join(DTYPES)}")
        if self.dtype == "float16":
            raise XqgError(
                "--dtype float16: T5 and mT5 overflow it (activations beyond 65,504, then NaN in "
                "every loss); take bfloat16, which has the range of float32, or float32"
            )
        check_template(self.template)

    @classmethod
    def resolve(cls, model: str, preset: str = "xqg", **given: Any) -> GeneratorSettings:
        """The preset's settings for a model; `given` ones that are not None go before.

        Raises
        ------
        XqgError
            For an unknown preset, and for settings that do not fit.
        """
        if preset not in PRESETS:
            raise XqgError(f"--preset {preset!r} is none of {', '.join(PRESETS)}")
        chosen = {name: value for name, value in given.items() if value is not None}
        return cls(model, **{**PRESETS[preset]._asdict(), **chosen})

    def to_dict(self) -> dict[str, Any]:
        """The settings in JSON types."""
        return asdict(self)


def start_of(settings: Any) -> Named:
    """The model that training starts from, to be loaded."""
    return Named(settings.model, settings.revision, "--model", "model")
