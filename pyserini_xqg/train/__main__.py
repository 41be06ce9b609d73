"""Train the models that the other stages use.

``python -m pyserini_xqg.train generator --data FILE --dev FILE --model MODEL --output DIR``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pyserini_xqg.errors import run_command
from pyserini_xqg.train.settings import DTYPES, PRESETS


def main(argv: Sequence[str] | None = None) -> None:
    """The command; see ``--help``."""
    given = _parser().parse_args(argv)
    given.run(given)


def _generator(given: argparse.Namespace) -> None:
    from pyserini_xqg.train.generator import train_generator
    from pyserini_xqg.train.settings import GeneratorSettings

    settings = GeneratorSettings.resolve(
        given.model,
        given.preset,
        template=given.prompt,
        revision=given.revision,
        learning_rate=given.learning_rate,
        max_steps=given.max_steps,
        effective_batch_size=given.effective_batch_size,
        batch_size=given.batch_size,
        max_length=given.max_length,
        query_max_length=given.query_max_length,
        eval_steps=given.eval_steps,
        dtype=given.dtype,
        seed=given.seed,
    )
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pyserini_xqg.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="MODEL")
    _generator_options(commands.add_parser("generator", help="a T5 or mT5 that writes queries"))
    return parser


def _generator_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_generator)
    preset = PRESETS["xqg"]
    add = parser.add_argument_group("input").add_argument
    add("--data", nargs="+", required=True, metavar="FILE",
        help="training pairs: Tevatron JSONL (as xor-tydi), SQuAD-style JSON, JSONL of passages "
        "with generated queries, or TSV: language, query, title, text")  # fmt: skip
    add("--dev", nargs="+", required=True, metavar="FILE", help="dev pairs, in any of these forms")
    add("--language", "--languages", nargs="+", default=[], metavar="CODE", dest="languages",
        help="of rows that do not say theirs; if several, the query's script decides")  # fmt: skip

    add = parser.add_argument_group("training").add_argument
    add("--model", required=True, help="hub name or folder to start from: T5, mT5, umT5")
    add("--revision")
    add("--preset", choices=PRESETS, default="xqg", help="settings by name (%(default)s)")
    add("--prompt", metavar="TEMPLATE", help="your own: with {passage}, {title}, {lang}")
    add("--learning-rate", type=float, help=f"({preset.learning_rate})")
    add("--max-steps", type=int, help=f"updates ({preset.max_steps})")
    add("--effective-batch-size", type=int,
        help=f"pairs behind each update ({preset.effective_batch_size})")  # fmt: skip
    add("--batch-size", type=int, default=16, help="pairs at a time (%(default)s)")
    add("--max-length", type=int, help=f"tokens read of the prompt ({preset.max_length})")
    add("--query-max-length", type=int, help=f"tokens of the query ({preset.query_max_length})")
    add("--eval-steps", type=int,
        help=f"updates between evaluations and checkpoints ({preset.eval_steps})")  # fmt: skip
    add("--dtype", default="float32", choices=DTYPES)
    add("--seed", type=int, default=0)
    add("--device", choices=("cpu", "cuda"), help="by default the first GPU, or the CPU")

    add = parser.add_argument_group("output").add_argument
    add("--output", required=True, metavar="DIR",
        help="the trained model; what a killed run left of it is taken up")  # fmt: skip
    add("--overwrite", action="store_true")


if __name__ == "__main__":
    run_command(main)
