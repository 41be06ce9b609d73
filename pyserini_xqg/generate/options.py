"""Options of a generator, for every command that has one: of a model, and of a server."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import parsed_json
from pyserini_xqg.encoder.spec import DTYPES

# Options that only one kind of engine heeds.
_OF_A_MODEL = (
    "revision", "prompt", "top_k", "max_length", "max_new_tokens", "dtype", "batch_size", "device",
)  # fmt: skip
_OF_A_SERVER = (
    "temperature", "concurrency", "attempts", "timeout", "extra_body", "max_tokens", "max_passage",
)  # fmt: skip


def add_model_options(group: argparse._ArgumentGroup) -> None:
    """The options of a model of one's own."""
    add = group.add_argument
    add("--generator", help="hub name or folder: T5, mT5, umT5, or decoder-only")
    add("--revision", help="of the model on the hub")
    add("--top-k", type=int, help="draw among so many tokens (default: 10); 1 is greedy")
    add("--max-length", type=int, help="tokens read (default: 256)")
    add("--max-new-tokens", type=int, help="tokens written at most; by default as the prompt needs")
    add("--seed", type=int, default=0, help="of the sampling noise")
    add("--dtype", default="float32", choices=DTYPES, help="what the model computes in")
    add("--batch-size", type=int, default=32, help="prompts at a time")
    add("--device", help="cpu, cuda:0 ...; generate also takes several: cuda:0,cuda:1")


def add_server_options(parser: argparse.ArgumentParser, max_tokens: int) -> argparse._ArgumentGroup:
    """The options of ``--engine openai``, in a group of their own."""
    group = parser.add_argument_group(
        "--engine openai", "any server with OpenAI's chat API; the key is read from OPENAI_API_KEY"
    )
    add = group.add_argument
    add("--base-url", metavar="URL", help="such as http://localhost:8000/v1")
    add("--model", help="the server's name for it")
    add("--temperature", type=float, default=0.7, help="of the sampling")
    add("--concurrency", type=int, default=8, help="requests at a time")
    add("--attempts", type=int, default=4, help="until an answer is as it must be")
    add("--max-tokens", type=int, default=max_tokens,
        help="of an answer; reasoning models need thousands")  # fmt: skip
    add("--max-passage", type=int, default=8000, help="characters of a passage that are sent")
    add("--timeout", type=float, default=120.0, help="seconds to wait for an answer")
    add("--extra-body", default="{}", metavar="JSON", help="further fields of each request")
    return group


def chat_settings(given: argparse.Namespace) -> dict[str, Any]:
    """What the options of a server say of its answers, as `ChatSettings` takes it."""
    return {
        "temperature": given.temperature,
        "seed": given.seed,
        "attempts": given.attempts,
        "extra_body": _extra_body(given.extra_body),
        "max_tokens": given.max_tokens,
        "max_passage": given.max_passage,
    }


def _extra_body(text: str) -> dict[str, Any]:
    """What ``--extra-body`` says.

    Raises
    ------
    XqgError
        If it is no JSON object.
    """
    try:
        extra = parsed_json(text)
    except ValueError as error:
        raise XqgError(f"--extra-body: not JSON ({error})") from None
    if not isinstance(extra, dict):
        raise XqgError(f"--extra-body {text}: expected a JSON object")
    return extra


def check_heeded(
    parser: argparse.ArgumentParser,
    given: argparse.Namespace,
    *,
    of_a_model: Sequence[str] = (),
    of_a_server: Sequence[str] = (),
) -> None:
    """Refuse an option that the engine would pass over.

    Parameters
    ----------
    parser : ArgumentParser
    given : Namespace
    of_a_model, of_a_server : sequence of str
        Destinations of a command's own options, beside those that are added here.

    Raises
    ------
    XqgError
        If one of them has another value than its default, and the engine does not heed it.
    """
    served = given.engine == "openai"
    passed_over = (*_OF_A_MODEL, *of_a_model) if served else (*_OF_A_SERVER, *of_a_server)
    for name in passed_over:
        if getattr(given, name) != parser.get_default(name):
            option = "--" + name.replace("_", "-")
            raise XqgError(f"{option} means nothing to --engine {given.engine}; leave it out")
