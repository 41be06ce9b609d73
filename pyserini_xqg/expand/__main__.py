"""Write expansions of topics: passages that could answer them, paraphrases, or translations.

``python -m pyserini_xqg.expand --topics T --generator M --kind passage --output E.jsonl``
``python -m pyserini_xqg.expand --engine openai --base-url URL --model M --topics T ...``

Then ``python -m pyserini_xqg.search --topics E.jsonl --join text|mean|runs ...``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import NothingMadeError, XqgError, run_command
from pyserini_xqg.base.versions import versions
from pyserini_xqg.collection.languages import code_of
from pyserini_xqg.collection.topics import add_language_option
from pyserini_xqg.expand.expander import TRANSLATE, QueryExpander
from pyserini_xqg.expand.prompts import STRATEGIES, TASKS
from pyserini_xqg.generate.options import (
    add_model_options,
    add_server_options,
    chat_settings,
    check_heeded,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pyserini_xqg.expand.writers import Writer


def main(argv: Sequence[str] | None = None) -> None:
    from pyserini_xqg.expand.topics import expand_topics

    parser = _parser()
    given = parser.parse_args(argv)
    check_heeded(
        parser,
        given,
        of_a_model=("generator",),
        of_a_server=("preset", "base_url", "model"),
    )
    settings, writer = ENGINES[given.engine](given)
    chosen = {
        "number": given.number,
        "language": given.to,
        "translate": given.translate,
    }
    with writer as writing:
        missing = expand_topics(
            given.topics,
            given.output,
            QueryExpander(writing, given.kind, **chosen),
            {"kind": given.kind, **chosen, **settings},
            language=given.language,
            overwrite=given.overwrite,
        )
    if missing:
        print(f"note: {missing} topics are left without expansions", file=sys.stderr)


def _here(given: argparse.Namespace) -> tuple[dict[str, Any], AbstractContextManager[Writer]]:
    from pyserini_xqg.expand.writers import LocalSettings, LocalWriter
    from pyserini_xqg.generate.devices import devices_of

    if given.generator is None:
        raise XqgError(
            "the local engine needs --generator; --base-url and --model go with --engine openai"
        )
    if given.prompt and given.translate:
        raise XqgError("--prompt is one prompt, and --translate needs two; translate on its own")
    devices = devices_of(given.device)
    if len(devices) > 1:
        raise XqgError(f"--device {given.device}: expansions are written on one device; name one")
    settings = LocalSettings(
        given.generator, given.revision, given.prompt, given.top_k, given.max_length,
        given.max_new_tokens, given.seed, given.dtype, given.batch_size,
    )  # fmt: skip
    facts = {"settings": asdict(settings), "versions": versions()}
    return facts, nullcontext(LocalWriter(settings, devices[0]))


def _served(given: argparse.Namespace) -> tuple[dict[str, Any], AbstractContextManager[Writer]]:
    from pyserini_xqg.expand.writers import ChatWriter, ExpansionChat
    from pyserini_xqg.generate.openai_client import ChatClient

    if given.model is None or given.base_url is None:
        raise XqgError(
            "--engine openai needs --base-url, such as http://localhost:8000/v1, and --model (the "
            "server's name for it)"
        )
    settings = ExpansionChat(
        given.model,
        f"{given.preset} {given.kind}",
        **chat_settings(given),
    )

    @contextmanager
    def opened() -> Iterator[Writer]:
        client = ChatClient(given.base_url, f"{given.output}.answers.sqlite", timeout=given.timeout)
        writer = ChatWriter(settings, client, given.concurrency)
        try:
            yield writer
        except NothingMadeError as error:
            raise NothingMadeError(f"{error}: {writer.usage.reasons()}") from None
        finally:
            client.close()
        for line in writer.usage.lines("topics are left without an answer"):
            print(f"note: {line}", file=sys.stderr)

    return {"settings": asdict(settings)}, opened()


#: The choices of ``--engine``.
ENGINES = {"local": _here, "openai": _served}


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m pyserini_xqg.expand",
        description=__doc__,
        example="--engine openai --base-url http://localhost:8000/v1 --model M --topics "
        "topics.jsonl --kind passage --output expanded.jsonl",
    )
    add = parser.add_argument
    add("--topics", required=True, help="JSONL or TSV")
    add_language_option(parser)
    add("--output", required=True, metavar="FILE",
        help="the topics with a field 'expansions'; all else is kept byte for byte")  # fmt: skip
    add("--kind", default="passage", choices=TASKS, help="what to write")
    add("--number", type=int, default=1, help="of texts for each topic")
    add(
        "--to",
        type=code_of("--to"),
        metavar="CODE",
        help="the language to write in; by default the topic's own",
    )
    add("--translate", choices=TRANSLATE, help="by way of a translation to that language: of the "
        "topic, before anything is written, or of what was written")  # fmt: skip
    add("--overwrite", action="store_true", help="replace an output that is there")

    group = parser.add_argument_group("generator")
    group.add_argument("--engine", default="local", choices=ENGINES, help="where the model runs")
    add_model_options(group)
    group.add_argument("--prompt", metavar="TEMPLATE", help="your own, of a model of your own: "
        "with {passage} where the topic stands, and {lang}")  # fmt: skip

    add_server_options(parser, max_tokens=4096).add_argument(
        "--preset", choices=STRATEGIES, default="zero-shot",
        help="how it is asked; arXiv 2511.19325, which compares these four, found "
        "zero-shot better for short topics, few-shot for long ones",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    run_command(main)
