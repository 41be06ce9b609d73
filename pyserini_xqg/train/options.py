"""Options that the trainers have in common, told once."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pyserini_xqg.train.settings import DTYPES

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
