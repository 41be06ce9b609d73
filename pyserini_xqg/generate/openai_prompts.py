"""What a chat server is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.generate.answers import MAX_CHARACTERS

Messages = list[dict[str, str]]

_SYSTEM = (
    "You write the questions that people would type into a search engine to find a given "
    "passage. Each question is answered by the passage, names what it asks about, and makes sense "
    "to someone who has not seen the passage. You write in the language that you are told, "
    "whatever the language of the passage, as a native speaker would, with names in that "
    "language's own script where it has a usual form."
)
_LINES = "One question a line; no numbers, no translation, nothing else."
_ASK = "Write {count} different question(s) in {lang}. " + _LINES
_HEADING = "QUESTIONS:"
_SUMMARISE_ASK = (
    "First, on one line, sum up in the language of the passage the facts in it that people are "
    "most likely to look for. Then write a line that says " + _HEADING + " and under it {count} "
    "different question(s) in {lang} about those facts. " + _LINES
)

# Two passages in different languages and three languages of questions, so that the model sees that
# these are independent of each other.
_FEN = Passage(
    "",
    "Harbour light",
    "The old lighthouse on the northern mole was finished in 1887. Its lamp burned rape oil until "
    "1912, when the town replaced it with an electric one that sailors could see from 30 km away.",
)
_PANADERIA = Passage(
    "",
    "El horno de Berta",
    "Berta Llull abrió su horno en la calle Mayor en 1954 y lo dejó a su nieta en 1998. El pan de "
    "algarroba de la casa lleva tres harinas y reposa dieciocho horas.",
)
_SHOTS = (
    (_FEN, "Finnish", ("Milloin pohjoisen aallonmurtajan vanha majakka valmistui?",
                       "Kuinka kaukaa majakan sähkövalo näkyi merelle?")),
    (_PANADERIA, "English", ("How long does the carob bread at Berta's bakery rest?",)),
    (_FEN, "Russian", ("Каким маслом светила лампа старого маяка до 1912 года?",
                       "В каком году построили маяк на северном молу?")),
)  # fmt: skip


class ChatPrompt(NamedTuple):
    """A way to ask.

    Attributes
    ----------
    messages : callable
        From a passage, the language's name and a number of queries to the messages.
    heading : str
        The line in the answer under which the queries stand; empty where they are all of it.
    extra_bytes : int
        About what the answer holds beside the queries.
    longest : int
        Characters; a longer line is a fault.
    questions : bool
        Whether it asks for questions.
    """

    messages: Callable[[Passage, str, int], Messages]
    heading: str = ""
    extra_bytes: int = 0
    longest: int = MAX_CHARACTERS
    questions: bool = True


def _few_shot(passage: Passage, lang: str, count: int) -> Messages:
    messages = [{"role": "system", "content": _SYSTEM}]
    for example, of_example, questions in _SHOTS:
        messages += [
            {"role": "user", "content": _question(_ASK, example, of_example, len(questions))},
            {"role": "assistant", "content": "\n".join(questions)},
        ]
    return [*messages, {"role": "user", "content": _question(_ASK, passage, lang, count)}]


def _summarise(passage: Passage, lang: str, count: int) -> Messages:
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": _question(_SUMMARISE_ASK, passage, lang, count)},
    ]


def _question(ask: str, passage: Passage, lang: str, count: int) -> str:
    parts = [f"Title: {passage.title}"] if passage.title else []
    parts += [f"Passage: {passage.text}", "", ask.format(count=count, lang=lang)]
    return "\n".join(parts)


#: By name. ``summarise`` has the model say what the passage is about before it asks, after the
#: summarize-then-ask prompting of Thakur et al., "Leveraging LLMs for Synthesizing Training Data
#: Across Many Languages in Multilingual Dense Retrieval", NAACL 2024, in one request.
CHAT_PROMPTS = {
    "few-shot": ChatPrompt(_few_shot),
    "summarise": ChatPrompt(_summarise, heading=_HEADING, extra_bytes=250),
}


def language_name(code: str) -> str:
    """What the model is told: the English name, and the code where it says more."""
    name = NAMES.get(code.split("-")[0])
    if name is None:
        return f"the language with the BCP 47 code {code}"
    return f"{name} ({code})" if "-" in code else name
