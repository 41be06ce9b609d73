"""Train the models that the other stages use.

``python -m pyserini_xqg.train generator --data FILE --dev FILE --model MODEL --output DIR``
``python -m pyserini_xqg.train negatives --train FILE --index DIR --corpus FILE --output JSONL``
``python -m pyserini_xqg.train retriever --train FILE --dev FILE --model MODEL --output DIR``
``python -m pyserini_xqg.train vocabulary --data FILE --languages te --model MODEL --output DIR``
``python -m pyserini_xqg.train language-model --data FILE --model MODEL --output DIR``

The last two adapt a model to a language before it is trained as a retriever. Aligning questions
with passages in it is what ``retriever`` does on such pairs, so there is no other command for that.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import run_command
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.encoder.hub import Named, add_trust_option, model_folder
from pyserini_xqg.encoder.spec import POOLINGS, SIDES
from pyserini_xqg.train.adaptation import add_language_model_options, add_vocabulary_options
from pyserini_xqg.train.negatives import SIMILARITY, mine_negatives
from pyserini_xqg.train.retriever_settings import PRESETS as RETRIEVERS
from pyserini_xqg.train.retriever_settings import RetrieverSettings
from pyserini_xqg.train.settings import (
    PRESETS,
    GeneratorSettings,
    add_output_options,
    add_training_options,
    given_of,
)


def main(argv: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(argv)
    given.run(given)


def _generator(given: argparse.Namespace) -> None:
    from pyserini_xqg.train.generator import train_generator

    named = given_of(GeneratorSettings, given)
    settings = GeneratorSettings.resolve(preset=given.preset, template=given.prompt, **named)
    manifest = train_generator(
        given.data,
        given.dev,
        given.output,
        settings,
        languages=given.languages,
        device=given.device,
        overwrite=given.overwrite,
    )
    best = manifest["best"]
    print(f"{given.output}: best dev loss {best['dev']:.4f} at step {best['step']}")


def _retriever(given: argparse.Namespace) -> None:
    from pyserini_xqg.train.retriever import train_retriever

    model_folder(Named(given.model, given.revision, "--model", "model"))  # whose pooling counts
    settings = RetrieverSettings.resolve(preset=given.preset, **given_of(RetrieverSettings, given))
    manifest = train_retriever(
        given.train,
        given.output,
        settings,
        dev=given.dev,
        device=given.device,
        overwrite=given.overwrite,
    )
    best = manifest.get("best")
    if os.environ.get("RANK", "0") == "0":
        score = f"best dev MRR {best['dev_mrr']:.4f} at step {best['step']}" if best else "trained"
        print(f"{given.output}: {score}")


def _negatives(given: argparse.Namespace) -> None:
    tally = mine_negatives(
        given.train,
        given.index,
        given.corpus,
        given.output,
        count=given.negatives,
        hits=given.hits,
        similarity=given.similarity,
        encoder=given.encoder,
        device=given.device,
        trust_remote_code=given.trust_remote_code,
        batch_size=given.batch_size,
        threads=given.threads,
        overwrite=given.overwrite,
    )
    print(
        f"{given.output}: {tally['negatives']} negatives for {tally['queries']} queries; left out "
        f"{tally['positives']} positives and {tally['near-duplicates']} near-duplicates of them"
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m pyserini_xqg.train",
        description=__doc__,
        example="retriever --train train.jsonl --dev dev.jsonl --model MODEL --output retriever",
    )
    commands = parser.add_subparsers(required=True, metavar="MODEL")
    for name, (options, what, example) in _COMMANDS.items():
        options(commands.add_parser(name, help=what, description=what, example=example))
    return parser


def _generator_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_generator)
    add = parser.add_argument_group("input").add_argument
    add("--data", nargs="+", required=True, metavar="FILE",
        help="training pairs: Tevatron JSONL (as xor-tydi), SQuAD-style JSON, JSONL of passages "
        "with generated queries, or TSV: language, query, title, text")  # fmt: skip
    add("--dev", nargs="+", required=True, metavar="FILE", help="dev pairs, in any of these forms")
    add("--language", "--languages", nargs="+", type=code_of("--languages"), default=[],
        metavar="CODE", dest="languages",
        help="of rows that do not say theirs; if several, the query's script decides")  # fmt: skip

    group = parser.add_argument_group("training")
    add = group.add_argument
    add("--model", required=True, help="hub name or folder to start from: T5, mT5, umT5")
    add("--revision", help="of the model on the hub")
    add("--preset", choices=PRESETS, default="xqg", help="settings by name")
    add("--prompt", metavar="TEMPLATE", help="your own: with {passage}, {title}, {lang}")
    defaults = PRESETS["xqg"] | {"batch_size": GeneratorSettings.batch_size}
    add_training_options(group, defaults, "pairs")
    add_output_options(parser)


def _negatives_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_negatives)
    add = parser.add_argument
    _add_train(parser)
    add("--index", nargs="+", required=True, metavar="DIR",
        help="dense or BM25; hits of several are taken in turn")  # fmt: skip
    add("--corpus", required=True, help="what the indexes were built from, for the texts")
    add("--output", required=True, metavar="JSONL", help="to make, in Tevatron's fields")
    add("--negatives", type=int, default=30, help="new ones for each query")
    add("--hits", type=int, default=100, help="to choose from, of each index")
    add("--similarity", type=float, default=SIMILARITY,
        help="leave out what has this part of its text from a positive")  # fmt: skip
    add("--encoder", help="another place of the model that dense indexes were built with")
    add("--device", help="of the encoder; by default the first accelerator there is")
    add_trust_option(parser)
    add("--batch-size", type=int, default=64, help="texts at a time")
    add("--threads", type=int, default=1, help="of the search")
    add("--overwrite", action="store_true", help="replace an output that is there")


def _add_train(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--train", nargs="+", required=True, metavar="FILE",
        help="Tevatron JSONL (query, positive_passages, negative_passages), JSONL of passages with "
        "generated queries, or TSV: query, text; language, query, text; or language, query, "
        "title, text")  # fmt: skip


def _retriever_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_retriever)
    preset = RETRIEVERS["xor-tydi"]
    group = parser.add_argument_group("input")
    _add_train(group)
    add = group.add_argument
    add("--dev", nargs="+", default=[], metavar="FILE",
        help="in any of these forms: each query is ranked among all their passages")  # fmt: skip

    add = parser.add_argument_group("encoder").add_argument
    add("--model", required=True, help="hub name or folder to start from: mBERT, XLM-R, ...")
    add("--revision", help="of the model on the hub")
    add("--preset", choices=RETRIEVERS,
        help="the paper's settings; by default also those, but a model that is a retriever "
        "already is pooled, prefixed and cut as it was")  # fmt: skip
    add("--pooling", choices=POOLINGS, help="how token vectors become one")
    add("--l2-norm", action=argparse.BooleanOptionalAction, help="scale vectors to length 1")
    add("--query-prefix", help="put before each query")
    add("--passage-prefix", help="put before each passage")
    add("--query-max-length", type=int, help=f"tokens (default: {preset['query_max_length']})")
    add("--max-length", type=int, help=f"tokens of a passage (default: {preset['max_length']})")
    add("--generated-queries-as", choices=SIDES, help="how `encode` will read generated queries")
    add("--tied", action=argparse.BooleanOptionalAction, default=None,
        help="one model for queries and passages, or one for each")  # fmt: skip

    names = ("learning_rate", "warmup", "epochs", "effective_batch_size", "negatives")
    group = parser.add_argument_group("training")
    add_training_options(group, {name: preset[name] for name in names}, "queries")
    add = group.add_argument
    add("--batch-size", type=int,
        help="texts at a time; if fewer than that, with GradCache (default: 32)")  # fmt: skip
    add("--scale", type=float,
        help="of the scores: 1 / temperature (default: 1, with --l2-norm 20)")  # fmt: skip
    add("--eval-steps", type=int,
        help="updates between evaluations and checkpoints (default: an epoch's)")  # fmt: skip
    add_output_options(parser)


_COMMANDS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], str, str]] = {
    "generator": (
        _generator_options,
        "a T5 or mT5 that writes queries",
        "--data train.jsonl --dev dev.jsonl --model google/mt5-base --output generator",
    ),
    "negatives": (
        _negatives_options,
        "hard negatives for a retriever, from our indexes",
        "--train train.jsonl --index indexes/bm25 --corpus corpus.jsonl --output mined.jsonl",
    ),
    "retriever": (
        _retriever_options,
        "an encoder that finds passages",
        "--train train.jsonl --dev dev.jsonl --model MODEL --output retriever",
    ),
    "vocabulary": (
        add_vocabulary_options,
        "more pieces for a language's words",
        "--data texts.te.jsonl --languages te --model MODEL --output extended",
    ),
    "language-model": (
        add_language_model_options,
        "an encoder that goes on guessing masked tokens",
        "--data texts.te.jsonl --model extended --output adapted",
    ),
}


if __name__ == "__main__":
    run_command(main)
