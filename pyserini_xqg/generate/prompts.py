"""What a generator is asked: prompts by name, and filling them in."""

from __future__ import annotations

from string import Formatter
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import NAMES, scripts_of

FIELDS = ("lang", "title", "passage")


class Prompt(NamedTuple):
    """A prompt and the sampling that goes with it.

    Attributes
    ----------
    template : str
        With ``{passage}``, and where wanted ``{lang}`` (the language's English name), ``{title}``.
    top_k : int
        A token is drawn among this many, the likeliest; 1 is greedy.
    max_length : int
        Tokens read: of the whole prompt, or of the passage where there is a chat template.
    max_new_tokens : int
        Tokens written at most.
    """

    template: str
    top_k: int = 10
    max_length: int = 256
    max_new_tokens: int = 32


#: By name. ``xqg`` is the paper's (Zhuang et al., SIGIR 2023), which its generators are trained on;
#: ``doc2query`` that of the models of this name (Nogueira and Lin, 2019; the hub's doc2query/...),
#: which read the passage alone and write in the one language that each is trained on.
PROMPTS = {
    "xqg": Prompt("Generate a {lang} question for this passage: {title} {passage}"),
    "doc2query": Prompt("{passage}", max_length=320, max_new_tokens=64),
    "chat": Prompt(
        "Write one short question in {lang} that the following passage answers. "
        "Reply with the question only, in {lang}.\n\n{title} {passage}",
        max_new_tokens=64,
    ),
}


def check_template(template: str) -> str:
    """The template itself.

    Raises
    ------
    XqgError
        If it lacks ``{passage}`` or has a field that is not one of `FIELDS`.
    """
    try:
        names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise XqgError(f"--prompt: {error}; write {{{{ and }}}} for braces of the text") from None
    if unknown := sorted(names - set(FIELDS)):
        raise XqgError(
            f"--prompt: unknown field {{{unknown[0]}}}; expected {{passage}}, and where wanted "
            "{lang} and {title} (braces of the text are written {{ and }})"
        )
    if "passage" not in names:
        raise XqgError("--prompt: no {passage} in it; the generator would not see the passage")
    return template


def fill(template: str, language: str, title: str, passage: str) -> str:
    """The prompt for one passage and language.

    Raises
    ------
    XqgError
        If the template asks for the language's English name, and `NAMES` has none.
    """
    code = language.split("-")[0]
    name = NAMES.get(code)
    if name and not {*scripts_of(language)} & {*scripts_of(code)}:
        name = f"{name} ({language})"  # or it would be taken for the usual script
    if name is None and "{lang}" in template:
        raise XqgError(
            f"--languages: {language!r} has no English name here; generate it on its own with a "
            "--prompt that says the language instead of {lang}"
        )
    if not title:  # nor the space behind it
        template = template.replace("{title} ", "{title}")
    return template.format(lang=name, title=title, passage=passage)
