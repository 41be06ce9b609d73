"""How a generator is trained, the paper's settings by name, and the trainers' options in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pyserini_xqg.base.errors import XqgError, check_positive
from pyserini_xqg.encoder.hub import Named
from pyserini_xqg.generate.prompts import PROMPTS, check_template

DTYPES = ("float32", "bfloat16", "float16")


#: By name, what `GeneratorSettings` take. ``xqg`` is the paper's (Zhuang et al., SIGIR 2023), but
#: for how often it evaluates.
PRESETS: dict[str, dict[str, Any]] = {
    "xqg": {
        "template": PROMPTS["xqg"].template,
        "learning_rate": 1e-4,
        "max_steps": 2000,
        "effective_batch_size": 128,
        "max_length": 128,
        "query_max_length": 32,
        "eval_steps": 200,
    }
}


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
        return cls(model, **{**PRESETS[preset], **chosen})


def start_of(settings: Any) -> Named:
    """The model that training starts from, to be loaded."""
    return Named(settings.model, settings.revision, "--model", "model")


_HELP = {
    "learning_rate": "at the start",
    "warmup": "a part of all steps",
    "epochs": "passes over the pairs",
    "max_steps": "updates",
    "effective_batch_size": "{} behind each update",
    "batch_size": "{} at a time",
    "max_length": "tokens read of a text",
    "query_max_length": "tokens read of a query",
    "negatives": "hard ones for each query",
    "masked": "part of the tokens",
    "eval_steps": "updates between evaluations and checkpoints",
}


def add_training_options(
    group: argparse._ArgumentGroup, defaults: Mapping[str, Any], unit: str
) -> None:
    """Those of `defaults` that are known here, and the common ones.

    What is not given is None, so that settings or a preset decide; batches are of `unit`.
    """
    add = group.add_argument
    for name in (name for name in _HELP if name in defaults):
        add("--" + name.replace("_", "-"), type=type(defaults[name]),
            help=f"{_HELP[name].format(unit)} (default: {defaults[name]})")  # fmt: skip
    add("--dtype", choices=DTYPES[:2], help="what the model computes in (default: float32)")
    add("--seed", type=int, help="of everything that is drawn (default: 0)")
    add("--device", choices=("cpu", "cuda"), help="by default a GPU, or the CPU")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Where a trained model goes."""
    add = parser.add_argument_group("output").add_argument
    add("--output", required=True, metavar="DIR",
        help="the trained model; what a killed run left of it is taken up")  # fmt: skip
    add("--overwrite", action="store_true", help="replace an output that is there")


def given_of(settings: Any, given: argparse.Namespace) -> dict[str, Any]:
    """What was given for the fields of a dataclass of settings."""
    named = {field.name: getattr(given, field.name, None) for field in fields(settings)}
    return {name: value for name, value in named.items() if value is not None}
