"""What a generator is asked for a topic: a task for each kind of expansion, in four ways.

The ways are those that Macmillan-Scott, Goworek and Ozyigit compare, "Generative Query Expansion
with Multilingual LLMs for Cross-Lingual Information Retrieval" (arXiv 2511.19325): without and with
examples, chain of thought, and rephrase and respond (Deng et al., arXiv 2311.04205). They found
that short queries want no examples and long ones do. What a model says to itself first stands above
a heading, and is dropped. The wording is our own.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from pyserini_xqg.collection.records import Passage
from pyserini_xqg.generate.openai_prompts import ChatPrompt, Messages
from pyserini_xqg.generate.prompts import Prompt

_HEADING = "ANSWER:"


class Shot(NamedTuple):
    """An example: a topic, the language of what is written, and what is written."""

    query: str
    language: str
    answers: tuple[str, ...]


class Task(NamedTuple):
    """What is asked for one kind of expansion.

    Attributes
    ----------
    system : str
        To a chat server, before anything else.
    ask : str
        With ``{count}`` and ``{lang}``; the topic stands above it.
    think : str
        What a model writes down first in a chain of thought.
    shots : tuple of Shot
    longest : int
        Characters of an answer.
    local : Prompt
        For a model of one's own; ``{passage}`` is the topic.
    """

    system: str
    ask: str
    think: str
    shots: tuple[Shot, ...]
    longest: int
    local: Prompt


#: By kind of expansion.
TASKS = {
    "passage": Task(
        "You write paragraphs as an encyclopaedia would have them. Each answers the question that "
        "you are given, as a statement of facts that names what it is about, and makes sense to "
        "someone who has not seen the question. Where you do not know the answer, write the "
        "likeliest one. You write in the language that you are told, whatever the language of the "
        "question.",
        "Write {count} different paragraph(s) in {lang} that answer this, of about 80 words each. "
        "One paragraph a line; no numbers, no headings, nothing else.",
        "what is asked for, and which names and terms a text that answers it would hold",
        (
            Shot(
                "Milloin pohjoisen aallonmurtajan majakka valmistui?",
                "English",
                (
                    "The lighthouse on the northern breakwater was completed in 1887, two years "
                    "after work on the harbour began. Its lamp burned rape oil until 1912, when an "
                    "electric light that could be seen from 30 kilometres away replaced it.",
                ),
            ),
            Shot(
                "carob bread",
                "Spanish",
                (
                    "El pan de algarroba se elabora con harina de trigo y harina de algarroba, "
                    "que le da un color oscuro y un sabor dulce.",
                    "En Mallorca, los panaderos dejan reposar la masa del pan de algarroba unas "
                    "dieciocho horas antes de hornearla en horno de leña.",
                ),
            ),
        ),
        4000,
        Prompt(
            "Write a paragraph in {lang} that answers this question: {passage}", max_new_tokens=160
        ),
    ),
    "paraphrase": Task(
        "You say what people type into a search engine in other words, as other people would who "
        "look for the same thing: same meaning, same names, different wording and word order. You "
        "write in the language that you are told.",
        "Say this in {count} different way(s) in {lang}. One a line; no numbers, nothing else.",
        "what is asked for, and other words for it",
        (
            Shot(
                "Milloin pohjoisen aallonmurtajan majakka valmistui?",
                "Finnish",
                (
                    "Minä vuonna rakennettiin majakka pohjoiselle aallonmurtajalle?",
                    "pohjoisen aallonmurtajan majakan valmistumisvuosi",
                ),
            ),
            Shot(
                "how long does carob bread rest",
                "English",
                ("What is the resting time of carob bread dough?",),
            ),
        ),
        600,
        Prompt("Ask this question in other words, in {lang}: {passage}", max_new_tokens=64),
    ),
    "translation": Task(
        "You translate what people search for. Names take the form that they usually have in the "
        "language that you translate to. What is short stays short.",
        "Give {count} different translation(s) of this in {lang}. One a line; no numbers, nothing "
        "else.",
        "which names and terms are in it, and how they are usually called in that language",
        (
            Shot(
                "Milloin pohjoisen aallonmurtajan majakka valmistui?",
                "English",
                ("When was the lighthouse on the northern breakwater finished?",),
            ),
            Shot("carob bread", "Spanish", ("pan de algarroba",)),
        ),
        4000,
        # Greedy: the likeliest translation.
        Prompt("Translate to {lang}: {passage}", top_k=1, max_new_tokens=160),
    ),
}  # fmt: skip


class _Strategy(NamedTuple):
    """Whether there are examples, and what the model is to say first, of a task's ``think``."""

    shots: bool = False
    first: str = ""


_STRATEGIES = {
    "zero-shot": _Strategy(),
    "few-shot": _Strategy(shots=True),
    "chain-of-thought": _Strategy(first="Think first: say on one line {think}."),
    "rephrase-and-respond": _Strategy(
        first="First say the above again on one line, in full and so that nobody can take it in "
        "another way; work from that line."
    ),
}

#: The choices of ``--preset``.
STRATEGIES = tuple(_STRATEGIES)


def _messages(strategy: _Strategy, task: Task, topic: Passage, lang: str, count: int) -> Messages:
    def question(query: str, lang: str, count: int) -> str:
        ask = task.ask.format(count=count, lang=lang)
        if strategy.first:
            first = strategy.first.format(think=task.think)
            ask = f"{first} Then write a line that says {_HEADING} and below it do this. {ask}"
        return f"{query}\n\n{ask}"

    messages = [{"role": "system", "content": task.system}]
    for shot in task.shots if strategy.shots else ():
        asked = question(shot.query, shot.language, len(shot.answers))
        messages += [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": "\n".join(shot.answers)},
        ]
    return [*messages, {"role": "user", "content": question(topic.text, lang, count)}]


#: By strategy and kind, as in ``few-shot passage``.
EXPANSION_PROMPTS = {
    f"{name} {kind}": ChatPrompt(
        partial(_messages, strategy, task),
        heading=_HEADING if strategy.first else "",
        longest=task.longest,
        questions=False,
    )
    for name, strategy in _STRATEGIES.items()
    for kind, task in TASKS.items()
}
