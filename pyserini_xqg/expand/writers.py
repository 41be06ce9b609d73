"""Who writes expansions: a model of one's own, or any chat server; both are those of `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from pyserini_xqg.collection.records import Passage
from pyserini_xqg.expand.prompts import EXPANSION_PROMPTS, TASKS
from pyserini_xqg.generate.openai import ChatSettings, Usage, generate_block
from pyserini_xqg.generate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyserini_xqg.generate.generator import Generator
    from pyserini_xqg.generate.openai_client import ChatClient
    from pyserini_xqg.generate.openai_prompts import ChatPrompt


class Writer(Protocol):
    """Writes texts for topics."""

    def write(
        self, kind: str, topics: Sequence[Passage], language: str, count: int
    ) -> list[list[str]]:
        """For each topic (a `Passage` whose docid decides the noise) up to `count` texts.

        Parameters
        ----------
        kind : {"passage", "paraphrase", "translation"}
        topics : sequence of Passage
        language : str
            Of what is written.
        count : int
        """


@dataclass(frozen=True)
class LocalSettings:
    """What decides the texts of a model of one's own.

    Attributes
    ----------
    generator : str
        Hub name or folder: T5, mT5, umT5, or decoder-only.
    revision : str or None
    template : str or None
        Instead of the kind's own prompt; with ``{passage}``, the topic, and ``{lang}``.
    top_k, max_length, max_new_tokens : int or None
        None takes those of the kind's prompt.
    seed : int
    dtype : str
    batch_size : int
    """

    generator: str
    revision: str | None = None
    template: str | None = None
    top_k: int | None = None
    max_length: int | None = None
    max_new_tokens: int | None = None
    seed: int = 0
    dtype: str = "float32"
    batch_size: int = 32


class LocalWriter:
    """A `Writer` with a model in this process.

    Parameters
    ----------
    settings : LocalSettings
    device : str
        ``cpu``, ``cuda:0`` ...

    Raises
    ------
    XqgError
        If the model cannot be used.
    """

    def __init__(self, settings: LocalSettings, device: str) -> None:
        self._settings, self._device = settings, device
        self._generator: Generator | None = None

    def write(
        self, kind: str, topics: Sequence[Passage], language: str, count: int
    ) -> list[list[str]]:
        """As in `Writer`. Blank answers are left out."""
        from pyserini_xqg.generate.generator import Generator

        given, prompt = asdict(self._settings), TASKS[kind].local
        settings = Settings.resolve(
            given.pop("generator"),
            [language],
            template=given.pop("template") or prompt.template,
            num_queries=count,
            **{
                name: getattr(prompt, name, None) if value is None else value
                for name, value in given.items()
            },
        )
        if self._generator is None:
            self._generator = Generator(settings, self._device)
        self._generator.settings = settings
        texts = self._generator.generate(topics, language, check=False).texts
        return [[text for text in of_topic if text] for of_topic in texts]


@dataclass(frozen=True)
class ExpansionChat(ChatSettings):
    """What decides the texts of a chat server; `preset` is such as ``few-shot passage``."""

    prompts: ClassVar[Mapping[str, ChatPrompt]] = EXPANSION_PROMPTS

    preset: str = "zero-shot passage"
    max_tokens: int = 4096


class ChatWriter:
    """A `Writer` with a chat server, which is asked for several topics at once.

    Parameters
    ----------
    settings : ExpansionChat
        Its preset's first word, the strategy, is used for every kind.
    client : ChatClient
        Its cache holds every answer, so that no topic is asked for twice.
    concurrency : int

    Attributes
    ----------
    usage : Usage
        What was asked and answered so far.
    """

    def __init__(self, settings: ExpansionChat, client: ChatClient, concurrency: int = 8) -> None:
        self._settings, self._client, self._concurrency = settings, client, concurrency
        self.usage = Usage()

    def write(
        self, kind: str, topics: Sequence[Passage], language: str, count: int
    ) -> list[list[str]]:
        """As in `Writer`; none for a topic for which no attempt gave a right answer."""
        strategy = self._settings.preset.partition(" ")[0]
        found = generate_block(
            topics,
            [language],
            count,
            settings=replace(self._settings, preset=f"{strategy} {kind}"),
            client=self._client,
            concurrency=self._concurrency,
            usage=self.usage,
        )
        return [of_topic[language] for of_topic in found]
