"""Generate queries with any server that speaks OpenAI's chat API: vLLM, Ollama, hosted ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pyserini_xqg.base.errors import XqgError, check_positive
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.generate.answers import parse_answer
from pyserini_xqg.generate.completions import FILTERED, TOO_LONG, Answer
from pyserini_xqg.generate.openai_client import ChatClient
from pyserini_xqg.generate.openai_prompts import CHAT_PROMPTS, ChatPrompt, language_name

_EXAMPLE = 80  # characters
_REMEDIES = {
    TOO_LONG: "send less of a passage with --max-passage, or give the server a longer context",
    FILTERED: "another model or server may take these; the others are not touched by it",
    "cut off": "give answers more room with --max-tokens (reasoning models need thousands)",
    "thoughts alone": "give answers more room with --max-tokens, or turn thinking off with "
    "--extra-body",
}


@dataclass(frozen=True)
class ChatSettings:
    """What decides the queries, apart from passages, languages and number.

    Attributes
    ----------
    model : str
        As the server calls it.
    preset : str
        A key of `prompts`.
    temperature : float
    seed : int
        Sent with the request, raised by one for each further attempt; not every server heeds it.
    max_tokens : int
        Of an answer.
    max_passage : int
        Characters of a passage that are sent.
    attempts : int
        How often a passage and language is asked for, until the answer is as it must be.
    extra_body : mapping
        Further fields of the request; None leaves one of ours out.
    """

    #: The prompts that there are, by name.
    prompts: ClassVar[Mapping[str, ChatPrompt]] = CHAT_PROMPTS

    model: str
    preset: str = "few-shot"
    temperature: float = 0.7
    seed: int = 0
    max_tokens: int = 1024
    max_passage: int = 8000
    attempts: int = 4
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.preset not in self.prompts:
            raise XqgError(f"--preset {self.preset!r} is none of {', '.join(self.prompts)}")
        check_positive(self, "max_tokens", "max_passage", "attempts")

    @property
    def prompt(self) -> ChatPrompt:
        """The way to ask."""
        return self.prompts[self.preset]

    def request(self, passage: Passage, language: str, count: int, attempt: int) -> dict[str, Any]:
        """The body of a request for one passage and language."""
        cut = passage._replace(text=passage.text[: self.max_passage])
        body = {
            "model": self.model,
            "messages": self.prompt.messages(cut, language_name(language), count),
            "temperature": self.temperature,
            "seed": self.seed + attempt,
            "max_tokens": self.max_tokens,
            **self.extra_body,
        }
        return {key: value for key, value in body.items() if value is not None}


@dataclass
class Usage:
    """What was asked and answered.

    Attributes
    ----------
    requests, cached : int
        Answers in all, and those of them that an earlier run had.
    prompt_tokens, completion_tokens : int
        Of the answers that were not cached, as the server counts them.
    retried : Counter of str to int
        Answers that were no good, by what was wrong with them.
    refused : Counter of str to int
        Prompts that the server will not answer however often it is asked, by the reason.
    failed : Counter of str to int
        By language, passages that are left without queries because no attempt was right.
    examples : dict of str to str
        How the first answer of each kind of fault begins, or what the server said.
    """

    requests: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, other: Usage) -> None:
        """Count another's too."""
        for name in ("requests", "cached", "prompt_tokens", "completion_tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.retried += other.retried
        self.refused += other.refused
        self.failed += other.failed
        self.examples = {**other.examples, **self.examples}

    def note(self, counts: Counter[str], fault: str, said: str) -> None:
        """Count a fault, and keep what was said where it is the first of its kind."""
        counts[fault] += 1
        self.examples.setdefault(fault, " ".join(said.split())[:_EXAMPLE])

    def lines(self, left: str = "passages are left without queries") -> list[str]:
        """The counts in words, one fact a line; `left` says what `failed` counts."""
        found = [
            f"{self.requests:,} answers, {self.cached:,} of them from the cache; "
            f"{self.prompt_tokens:,} tokens in, {self.completion_tokens:,} out"
        ]
        for counts, what in (
            (self.retried, "answers were not as they must be"),
            (self.refused, "prompts were not answered at all"),
            (self.failed, left),
        ):
            if counts:
                parts = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
                found.append(f"{counts.total():,} {what}: {parts}")
        for fault in (*self.retried, *self.refused):
            if example := self.examples.get(fault):
                found.append(f"{fault}, the first one: {example}")
            if remedy := _REMEDIES.get(fault):
                found.append(f"{fault}: {remedy}")
        return found

    def reasons(self) -> str:
        """What was wrong, on one line."""
        counts = self.retried + self.refused
        return "; ".join(
            f"{fault} {count:,}" + f" ({self.examples[fault]})" * bool(self.examples.get(fault))
            for fault, count in counts.most_common()
        )


def generate_block(
    passages: Sequence[Passage],
    languages: Sequence[str],
    num_queries: int,
    *,
    settings: ChatSettings,
    client: ChatClient,
    concurrency: int = 8,
    usage: Usage | None = None,
) -> list[dict[str, list[str]]]:
    """The queries of some passages, asked for concurrently.

    One request is for one passage and language. What was answered before comes from the client's
    cache where it was good; what was no good is asked again.

    Parameters
    ----------
    passages : sequence of Passage
        In any language.
    languages : sequence of str
        Codes; the order of the output.
    num_queries : int
        For each passage and language.
    settings : ChatSettings
    client : ChatClient
    concurrency : int
        Requests at a time.
    usage : Usage or None
        Where to count.

    Returns
    -------
    list of dict of language to list of str
        For each passage; a list is empty where no attempt gave a right answer.

    Raises
    ------
    XqgError
        If the server cannot be reached, or refuses.
    """
    if concurrency < 1 or num_queries < 1:
        raise XqgError("--concurrency and --num-queries are at least 1")
    usage = usage if usage is not None else Usage()
    with ThreadPoolExecutor(concurrency) as pool:
        futures = [
            pool.submit(_queries, passage, language, num_queries, settings, client)
            for passage in passages
            for language in languages
        ]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:  # the first failure; what stopped because of it comes later
                if future.done() and (error := future.exception()) is not None:
                    raise error
        except BaseException:
            client.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    results = iter(futures)
    found: list[dict[str, list[str]]] = []
    for _ in passages:
        of_passage = {}
        for language in languages:
            of_passage[language], counted = next(results).result()
            usage.add(counted)
        found.append(of_passage)
    return found


def _queries(
    passage: Passage, language: str, count: int, settings: ChatSettings, client: ChatClient
) -> tuple[list[str], Usage]:
    usage, asked = Usage(), settings.prompt

    def read(answer: Answer) -> list[str] | str:
        if answer.fault:
            return answer.fault
        return parse_answer(
            answer.text, language, count, asked.heading, asked.longest, questions=asked.questions
        )

    def usable(answer: Answer) -> bool:
        return isinstance(read(answer), list)

    bodies = [settings.request(passage, language, count, n) for n in range(settings.attempts)]
    kept = (client.recall(body, attempt) for attempt, body in enumerate(bodies))
    good = next((answer for answer in kept if answer and usable(answer)), None)
    for attempt, body in enumerate(bodies):
        answer = good or client.ask(body, attempt, usable=usable)
        usage.requests += 1
        usage.cached += answer.cached
        if not answer.cached:
            usage.prompt_tokens += answer.prompt_tokens
            usage.completion_tokens += answer.completion_tokens
        found = read(answer)
        if isinstance(found, list):
            return found, usage
        usage.note(usage.refused if answer.lasting else usage.retried, found, answer.text)
        if answer.lasting:
            break
    usage.failed[language] += 1
    return [], usage
