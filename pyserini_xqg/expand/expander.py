"""From topics to the same topics with expansions, and a searcher that expands what it is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import check_language
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.scripts import normalise
from pyserini_xqg.collection.topics import Expansion, Topic
from pyserini_xqg.search.joining import Asking, search_joined

if TYPE_CHECKING:
    from pyserini_xqg.expand.writers import Writer

#: The choices of ``--translate``: before the expansions are written, or after.
TRANSLATE = ("first", "last")


class QueryExpander:
    """Writes expansions of topics.

    After Macmillan-Scott, Goworek and Ozyigit (arXiv 2511.19325): expansions may be written in the
    language of the topics, in another one, or in another one by way of a translation, which comes
    before them or after.

    Parameters
    ----------
    writer : Writer
    kind : {"passage", "paraphrase", "translation"}
    number : int
        Of texts for each topic.
    language : str or None
        To write in; by default each topic's own.
    translate : {"first", "last"} or None
        ``first`` translates the topic into `language` and has expansions of the translation
        written; ``last`` has them written in the topic's language, and translates them and the
        topic. In both cases the topic's translation is the first expansion. None has the texts
        written in `language` straight away.

    Attributes
    ----------
    asked : int
        How often the writer was asked for something so far.

    Raises
    ------
    XqgError
        For settings that do not go together.
    """

    def __init__(
        self,
        writer: Writer,
        kind: str = "passage",
        *,
        number: int = 1,
        language: str | None = None,
        translate: str | None = None,
    ) -> None:
        if number < 1:
            raise XqgError(f"--number {number}: expected at least 1")
        if (kind == "translation" or translate) and language is None:
            raise XqgError("a translation needs --to, the language to translate to")
        if kind == "translation" and translate:
            raise XqgError("--translate goes with --kind passage and paraphrase")
        self._writer, self._kind, self._number = writer, kind, number
        self._language = check_language(language, "--to") if language else None
        self._translate = translate
        self.asked = 0

    def expand(self, topics: Sequence[Topic]) -> list[Topic]:
        """The topics with what was written for them, instead of expansions that they had.

        A text that says again what the topic or an earlier one says is left out. A topic in the
        language to write in is not translated.

        Raises
        ------
        XqgError
            For a topic whose language is not known, where it is needed.
        """
        targets = [self._language or self._language_of(topic) for topic in topics]
        translations: list[list[str]] = [[] for _ in topics]
        if self._kind == "translation" or self._translate:
            count = self._number if self._kind == "translation" else 1
            translations = self._translations(topics, targets, count)
        texts: list[list[str]] = [[] for _ in topics]
        if self._kind != "translation":
            texts = self._texts(topics, targets, translations)
        return [
            topic._replace(
                expansions=_distinct(
                    topic.text,
                    [Expansion("translation", code, text) for text in translated]
                    + [Expansion(self._kind, code, text) for text in of_topic],
                )
            )
            for topic, code, translated, of_topic in zip(
                topics, targets, translations, texts, strict=True
            )
        ]

    def _texts(
        self, topics: Sequence[Topic], targets: Sequence[str], translations: Sequence[list[str]]
    ) -> list[list[str]]:
        """What is written for each topic in its target language."""
        if self._translate != "last":
            asked = [
                topic._replace(text=found[0]) if found else topic
                for topic, found in zip(topics, translations, strict=True)
            ]
            return self._write(self._kind, asked, targets, self._number)
        spoken = [self._language_of(topic) for topic in topics]
        written = self._write(self._kind, topics, spoken, self._number)
        # An id of its own for each text, as the noise of its translation depends on it.
        items = [
            (row, topic._replace(qid=f"{topic.qid} {number}", text=text))
            for row, topic in enumerate(topics)
            for number, text in enumerate(written[row])
        ]
        found = self._translations([item for _, item in items], [targets[r] for r, _ in items], 1)
        texts: list[list[str]] = [[] for _ in topics]
        for (row, item), translated in zip(items, found, strict=True):
            texts[row] += [item.text] if item.language == targets[row] else translated
        return texts

    def _translations(
        self, topics: Sequence[Topic], targets: Sequence[str], count: int
    ) -> list[list[str]]:
        """Translations of each topic; none of one that is in its target language already."""
        found: list[list[str]] = [[] for _ in topics]
        rows = [row for row, code in enumerate(targets) if topics[row].language != code]
        asked, codes = [topics[row] for row in rows], [targets[row] for row in rows]
        for row, texts in zip(rows, self._write("translation", asked, codes, count), strict=True):
            found[row] = texts
        return found

    def _write(
        self, kind: str, topics: Sequence[Topic], languages: Sequence[str], count: int
    ) -> list[list[str]]:
        """What the writer writes, asked for language by language."""
        texts: list[list[str]] = [[] for _ in topics]
        rows_of = defaultdict(list)
        for row, code in enumerate(languages):
            rows_of[code].append(row)
        for code, rows in rows_of.items():
            asked = [Passage(topics[row].qid, "", topics[row].text) for row in rows]
            self.asked += len(rows)
            for row, found in zip(rows, self._writer.write(kind, asked, code, count), strict=True):
                texts[row] = [" ".join(text.split()) for text in found]
        return texts

    def _language_of(self, topic: Topic) -> str:
        if not topic.language:
            raise XqgError(
                f"topic {topic.qid!r} has no language; give its file a field 'lang', or --language"
            )
        return topic.language


class ExpandedSearcher:
    """A searcher of ours that expands what it is asked.

    Parameters
    ----------
    searcher : one of ours
    expander : QueryExpander
    join : str
        A key of `pyserini_xqg.search.joining.JOINS`.
    weight : float or None
        As in `pyserini_xqg.search.joining.Asking`.
    """

    def __init__(
        self,
        searcher: Any,
        expander: QueryExpander,
        join: str = "text",
        *,
        weight: float | None = None,
    ) -> None:
        self._searcher, self._expander, self._join, self._weight = searcher, expander, join, weight

    def search(
        self, query: str, k: int = 10, threads: int = 1, *, language: str | None = None
    ) -> list[Any]:
        """The `k` best passages for a text."""
        found = self.batch_search([query], ["topic"], k, threads, languages=[language or ""])
        return found["topic"]

    def batch_search(
        self,
        queries: Sequence[str],
        q_ids: Sequence[str],
        k: int = 10,
        threads: int = 1,
        *,
        languages: Sequence[str] | None = None,
    ) -> dict[str, list[Any]]:
        """As the searcher's own."""
        asked = zip(q_ids, queries, languages or [""] * len(queries), strict=True)
        topics = self._expander.expand([Topic(*topic) for topic in asked])
        return search_joined(self._searcher, topics, self._join, Asking(k, threads, self._weight))


def _distinct(text: str, found: Sequence[Expansion]) -> tuple[Expansion, ...]:
    """Without blank ones, and those that say again what is said already."""
    said, kept = {"", normalise(text)}, []
    for item in found:
        if normalise(item.text) not in said:
            said.add(normalise(item.text))
            kept.append(item)
    return tuple(kept)
