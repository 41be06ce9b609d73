"""Generate queries for passages, with a model of your own machine or any chat server.

``python -m pyserini_xqg.generate --corpus C --generator M --languages ar bn te --output Q.jsonl``
``python -m pyserini_xqg.generate --engine openai --base-url URL --model M --corpus C ...``
``python -m pyserini_xqg.generate --engine ray --shard-num N --corpus C --generator M ...``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.base.files import input_files
from pyserini_xqg.base.ray_engine import add_ray_options
from pyserini_xqg.collection.languages import add_languages_option
from pyserini_xqg.collection.shards import add_shard_options
from pyserini_xqg.collection.sources import add_form_options, check_corpus, form_from
from pyserini_xqg.generate.openai_prompts import CHAT_PROMPTS
from pyserini_xqg.generate.options import (
    add_model_options,
    add_server_options,
    chat_settings,
    check_heeded,
)
from pyserini_xqg.generate.prompts import PROMPTS
from pyserini_xqg.generate.selection import sample_size


def main(argv: Sequence[str] | None = None) -> None:
    parser = _parser()
    given = parser.parse_args(argv)
    if given.output is None and not given.dry_run:
        parser.error("--output is missing: the file to make (or give --dry-run)")
    if given.price_per_hour is not None and not given.dry_run:
        raise XqgError("--price-per-hour goes with --dry-run")
    check_heeded(
        parser,
        given,
        of_a_model=("trim_vocabulary", "price_per_hour"),
        of_a_server=("input_price", "output_price"),
    )

    check_corpus(given.corpus)  # a missing file is found before a model is loaded
    for path in given.earlier:
        input_files(path)
    ENGINES[given.engine](given)


def generate_here(given: argparse.Namespace) -> None:
    """Do what the options say, with a model in this process or in one for each device."""
    from pyserini_xqg.generate.corpus import generate_corpus
    from pyserini_xqg.generate.estimate import estimate, outside_lines
    from pyserini_xqg.generate.offer import offer_filter
    from pyserini_xqg.generate.settings import Settings

    if given.generator is None or given.base_url or given.model:
        raise XqgError(
            f"the {given.engine} engine needs --generator; --base-url and --model go with --engine "
            "openai"
        )
    form = form_from(given)
    settings = Settings.resolve(
        given.generator,
        given.languages,
        preset=given.preset,
        template=given.prompt,
        revision=given.revision,
        num_queries=given.num_queries,
        top_k=given.top_k,
        max_length=given.max_length,
        max_new_tokens=given.max_new_tokens,
        seed=given.seed,
        dtype=given.dtype,
        batch_size=given.batch_size,
        trim_vocabulary=given.trim_vocabulary,
    )
    if given.dry_run:
        found = estimate(
            given.corpus,
            settings,
            device=given.device,
            form=form,
            **_part(given),
        )
        print("\n".join(found.lines(given.price_per_hour)))
        return
    outside = generate_corpus(
        given.corpus,
        given.output,
        settings,
        device=given.device,
        form=form,
        **_part(given),
        overwrite=given.overwrite,
    )
    _note([*outside_lines(outside), *offer_filter(given.corpus, given.output, form)])


def _generate_on_ray(given: argparse.Namespace) -> None:
    from pyserini_xqg.base import ray_engine as ray
    from pyserini_xqg.generate.__main__ import generate_here  # by the name that tasks import

    numbers = ray.shard_numbers(given, sample=given.dry_run)
    output = given.output or ""
    paths = [ray.shard_path(output, number) for number in numbers]
    ray.run_on_ray(
        generate_here,
        [
            ray.Shard(path, ray.changed(given, shard_id=number, output=path))
            for number, path in zip(numbers, paths, strict=True)
        ],
        given,
        output=output,
        settings=ray.settings_of(given),
        inputs=[given.corpus, *given.earlier],
        overwrite=given.overwrite,
        sample=given.dry_run,
    )


def _serve(given: argparse.Namespace) -> None:
    import tempfile
    from pathlib import Path

    from pyserini_xqg.generate.offer import offer_filter
    from pyserini_xqg.generate.openai import ChatSettings
    from pyserini_xqg.generate.served import estimate_served, generate_served

    form = form_from(given)
    if given.model is None or given.generator:
        raise XqgError("--engine openai needs --model (the server's name for it), not --generator")
    settings = ChatSettings(
        given.model,
        given.preset or "few-shot",
        **chat_settings(given),
    )
    if given.dry_run:
        with tempfile.TemporaryDirectory() as work:
            cost = estimate_served(
                given.corpus,
                Path(work),
                given.languages,
                given.num_queries,
                settings,
                input_price=given.input_price,
                output_price=given.output_price,
                form=form,
                sample=given.sample,
                earlier=given.earlier,
            )
        print("\n".join(cost.lines()))
        return
    if given.base_url is None:
        raise XqgError("--engine openai needs --base-url, such as http://localhost:8000/v1")
    usage = generate_served(
        given.corpus,
        given.output,
        given.languages,
        given.num_queries,
        settings,
        given.base_url,
        concurrency=given.concurrency,
        timeout=given.timeout,
        form=form,
        **_part(given),
        overwrite=given.overwrite,
    )
    _note([*usage.lines(), *offer_filter(given.corpus, given.output, form)])


#: The choices of ``--engine``.
ENGINES = {"local": generate_here, "openai": _serve, "ray": _generate_on_ray}


def _note(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"note: {line}", file=sys.stderr)


def _part(given: argparse.Namespace) -> dict[str, Any]:
    """Which passages to do."""
    return {name: getattr(given, name) for name in ("shard_id", "shard_num", "sample", "earlier")}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m pyserini_xqg.generate",
        description=__doc__,
        example="--engine openai --base-url http://localhost:8000/v1 --model M --corpus "
        "corpus.jsonl --languages te bn --output queries.jsonl",
    )
    group = parser.add_argument_group("input")
    add = group.add_argument
    add("--corpus", required=True, help="passages: JSONL or TSV, .gz or not, a file or a folder")
    add_form_options(group)
    add_shard_options(group)
    add("--sample", type=sample_size, metavar="N",
        help="generate for so many passages only, or for a share of them (0.1): drawn with --seed "
        "in every document (title) alike, a larger sample holding the smaller ones. The queries of "
        "a sample serve the whole collection: `index` learns from them what the queries of the "
        "other passages look like")  # fmt: skip
    add("--earlier", nargs="+", default=[], metavar="FILE",
        help="queries of this corpus that are there already, as of a smaller --sample: their "
        "passages are left out; give both files to `encode`")  # fmt: skip

    group = parser.add_argument_group("generator")
    add = group.add_argument
    add("--engine", default="local", choices=ENGINES, help="where the model runs; ray makes every "
        "shard, FILE-0 and so on")  # fmt: skip
    add_model_options(group)  # several devices, cuda:0,cuda:1, are a process each
    add_languages_option(group, "ar bn fi ...", required=True)
    add("--num-queries", type=int, default=5, help="for each passage and language")
    add("--preset", choices=(*PROMPTS, *CHAT_PROMPTS), help="prompt and sampling (xqg for T5 and "
        "mT5, chat for decoder-only models, few-shot for a server)")  # fmt: skip
    add("--prompt", metavar="TEMPLATE", help="your own: with {passage}, {title}, {lang}")
    add("--trim-vocabulary", action="store_true",
        help="draw only among the tokens of the language: much faster, and a guard against other "
        "languages; on trained weights, where the draws it could change are few")  # fmt: skip

    add = add_server_options(parser, max_tokens=1024).add_argument
    add("--input-price", type=float, help="of a million tokens, for --dry-run")
    add("--output-price", type=float, help="of a million tokens, for --dry-run")

    add_ray_options(parser.add_argument_group("--engine ray"))

    add = parser.add_argument_group("output").add_argument
    add("--output", metavar="FILE", help="queries.jsonl, or queries.jsonl.gz")
    add("--overwrite", action="store_true", help="replace an output that is there")
    add("--dry-run", action="store_true", help="measure a sample; print time and size of the whole")
    add(
        "--price-per-hour", type=float, metavar="P", help="of one machine, for --dry-run: the money"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
