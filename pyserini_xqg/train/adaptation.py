"""The commands that adapt a model to a language: ``train vocabulary``, ``train language-model``."""

from __future__ import annotations

import argparse
from dataclasses import fields

from pyserini_xqg.collection.languages import add_languages_option, code_of
from pyserini_xqg.train.extension import INITIAL
from pyserini_xqg.train.language_model import LanguageModelSettings, train_language_model
from pyserini_xqg.train.settings import add_output_options, add_training_options, given_of
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
        VocabularySettings(**given_of(VocabularySettings, given)),
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
    add = parser.add_argument_group("input").add_argument
    add("--data", nargs="+", default=[], metavar="FILE", help=f"texts. {_TEXTS}")
    add("--parallel", nargs="+", default=[], metavar="FILE",
        help="texts with their translations, read together. TSV: text, text; or language, text, "
        "text; or what `train retriever` reads")  # fmt: skip
    add("--dev", nargs="+", default=[], metavar="FILE", help="texts for the dev loss")
    group = parser.add_argument_group("training")
    add = group.add_argument
    add("--model", required=True, help="hub name or folder of the encoder to go on with")
    add("--revision", help="of the model on the hub")
    defaults = {field.name: field.default for field in fields(LanguageModelSettings)}
    add_training_options(group, defaults, "texts")
    add_output_options(parser)


def _language_model(given: argparse.Namespace) -> None:
    manifest = train_language_model(
        given.output,
        LanguageModelSettings(**given_of(LanguageModelSettings, given)),
        data=given.data,
        parallel=given.parallel,
        dev=given.dev,
        device=given.device,
        overwrite=given.overwrite,
    )
    best = manifest.get("best")
    score = f"best dev loss {best['dev']:.4f} at step {best['step']}" if best else "trained"
    print(f"{given.output}: {score}")
