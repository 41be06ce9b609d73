"""The commands that adapt a model to a language: ``train vocabulary``, ``train language-model``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from pyserini_xqg.collection.languages import add_languages_option, code_of
from pyserini_xqg.train.extension import INITIAL
from pyserini_xqg.train.language_model import LanguageModelSettings, train_language_model
from pyserini_xqg.train.settings import DTYPES
from pyserini_xqg.train.vocabulary import VocabularySettings, extend_vocabulary

_TEXTS = (
    "TSV: language, text; or JSONL with text, contents, question, query or title, and lang; or "
    "passages with generated queries"
)


def add_vocabulary_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``train vocabulary``."""
    parser.set_defaults(run=_vocabulary)
    add = parser.add_argument
    add("--data", nargs="+", required=True, metavar="FILE", help=f"texts to learn from. {_TEXTS}")
    add_languages_option(parser, "learn from texts in these only", default=[])
    add(
        "--language",
        type=code_of("--language"),
        metavar="CODE",
        help="of texts that do not say theirs",
    )
    add("--dev", nargs="+", default=[], metavar="FILE",
        help="texts to count tokens on, in any of these forms (those of --data)")  # fmt: skip
    add("--model", required=True, help="hub name or folder of the model to extend")
    add("--revision", help="of the model on the hub")
    add("--pieces", type=int, default=VocabularySettings.pieces, help="the most new")
    add("--min-count", type=int, default=VocabularySettings.min_count,
        help="how often a new piece must occur")  # fmt: skip
    add("--initial", choices=INITIAL, default=VocabularySettings.initial,
        help="a new piece's vector from those of the pieces that it is made of; sum for a model "
        "that only adds token vectors up")  # fmt: skip
    add("--output", required=True, metavar="DIR", help="the extended model")
    add("--overwrite", action="store_true", help="replace an output that is there")


def _vocabulary(given: argparse.Namespace) -> None:
    manifest = extend_vocabulary(
        given.data,
        given.output,
        _settings(VocabularySettings, given),
        languages=given.languages,
        language=given.language or "",
        dev=given.dev,
        overwrite=given.overwrite,
    )
    print(f"{given.output}: {manifest['pieces']} new pieces")
    for code, counted in manifest["tokens"].items():
        unit = "words" if counted["before"]["words"] is not None else "characters"
        before, after = (
            f"{of[unit]:.2f}" + f" ({of['unknown']:.1%} unknown)" * bool(of["unknown"])
            for of in (counted["before"], counted["after"])
        )
        print(f"{code}: {before} tokens a {unit.removesuffix('s')} before, {after} after")


def add_language_model_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``train language-model``."""
    parser.set_defaults(run=_language_model)
    default = LanguageModelSettings("")
    add = parser.add_argument_group("input").add_argument
    add("--data", nargs="+", default=[], metavar="FILE", help=f"texts. {_TEXTS}")
    add("--parallel", nargs="+", default=[], metavar="FILE",
        help="texts with their translations, read together. TSV: text, text; or language, text, "
        "text; or what `train retriever` reads")  # fmt: skip
    add("--dev", nargs="+", default=[], metavar="FILE", help="texts for the dev loss")
    add = parser.add_argument_group("training").add_argument
    add("--model", required=True, help="hub name or folder of the encoder to go on with")
    add("--revision", help="of the model on the hub")
    add("--learning-rate", type=float, default=default.learning_rate, help="at the start")
    add("--max-steps", type=int, default=default.max_steps, help="updates")
    add("--effective-batch-size", type=int, default=default.effective_batch_size,
        help="texts behind each update")  # fmt: skip
    add("--batch-size", type=int, default=default.batch_size, help="texts at a time")
    add("--max-length", type=int, default=default.max_length, help="tokens")
    add("--masked", type=float, default=default.masked, help="part of the tokens")
    add("--eval-steps", type=int, default=default.eval_steps,
        help="updates between evaluations and checkpoints")  # fmt: skip
    add("--dtype", default=default.dtype, choices=DTYPES[:2], help="what the model computes in")
    add("--seed", type=int, default=default.seed, help="of everything that is drawn")
    add("--device", choices=("cpu", "cuda"), help="by default the first GPU, or the CPU")
    add = parser.add_argument_group("output").add_argument
    add("--output", required=True, metavar="DIR",
        help="the trained model; what a killed run left of it is taken up")  # fmt: skip
    add("--overwrite", action="store_true", help="replace an output that is there")


def _language_model(given: argparse.Namespace) -> None:
    manifest = train_language_model(
        given.output,
        _settings(LanguageModelSettings, given),
        data=given.data,
        parallel=given.parallel,
        dev=given.dev,
        device=given.device,
        overwrite=given.overwrite,
    )
    best = manifest.get("best")
    score = f"best dev loss {best['dev']:.4f} at step {best['step']}" if best else "trained"
    print(f"{given.output}: {score}")


def _settings(kind: Any, given: argparse.Namespace) -> Any:
    return kind(**{field.name: getattr(given, field.name) for field in fields(kind)})
