from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.runs import Hit
from pyserini_xqg.collection.topics import Expansion, Topic
from pyserini_xqg.expand.expander import ExpandedSearcher, QueryExpander

FI = Topic("fi-1", "missä", "fi")
TE = Topic("te-1", "ఎక్కడ", "te")
EN = Topic("en-1", "where", "en")


class Writer:
    """Writes what it was asked for: ``passage2-en(missä)`` is the second passage in English."""

    def __init__(self, blank=()):
        self.calls, self._blank = [], blank

    def write(self, kind, topics, language, count):
        self.calls.append((kind, language, [topic.docid for topic in topics], count))
        return [
            [f" {kind}{i}-{language}({topic.text})\n" for i in range(1, count + 1)]
            if (kind, topic.docid) not in self._blank else []
            for topic in topics
        ]  # fmt: skip


def texts(topics):
    return [[(item.kind, item.language, item.text) for item in t.expansions] for t in topics]


def test_in_the_language_of_each_topic():
    writer = Writer()
    found = QueryExpander(writer, "passage", number=2).expand([FI, TE, FI._replace(qid="fi-2")])
    assert [topic[:3] for topic in found] == [FI[:3], TE[:3], ("fi-2", "missä", "fi")]
    assert texts(found)[:2] == [
        [("passage", "fi", "passage1-fi(missä)"), ("passage", "fi", "passage2-fi(missä)")],
        [("passage", "te", "passage1-te(ఎక్కడ)"), ("passage", "te", "passage2-te(ఎక్కడ)")],
    ]
    assert writer.calls == [
        ("passage", "fi", ["fi-1", "fi-2"], 2),
        ("passage", "te", ["te-1"], 2),
    ]


def test_in_another_language_straight_away():
    found = QueryExpander(Writer(), "paraphrase", language="EN").expand([FI, EN])
    assert texts(found) == [
        [("paraphrase", "en", "paraphrase1-en(missä)")],
        [("paraphrase", "en", "paraphrase1-en(where)")],
    ]


def test_translations_alone():
    writer = Writer()
    found = QueryExpander(writer, "translation", number=2, language="en").expand([FI, EN])
    assert texts(found) == [
        [("translation", "en", "translation1-en(missä)"),
         ("translation", "en", "translation2-en(missä)")],
        [],
    ]  # fmt: skip
    assert writer.calls == [("translation", "en", ["fi-1"], 2)]


def test_translated_first():
    writer = Writer(blank=[("translation", "te-1")])
    expander = QueryExpander(writer, number=2, language="en", translate="first")
    assert texts(expander.expand([FI, TE, EN])) == [
        [("translation", "en", "translation1-en(missä)"),
         ("passage", "en", "passage1-en(translation1-en(missä))"),
         ("passage", "en", "passage2-en(translation1-en(missä))")],
        [("passage", "en", f"passage{i}-en(ఎక్కడ)") for i in (1, 2)],  # of the topic itself then
        [("passage", "en", f"passage{i}-en(where)") for i in (1, 2)],
    ]  # fmt: skip


def test_translated_last():
    writer = Writer(blank=[("translation", "te-1 0")])
    expander = QueryExpander(writer, number=2, language="en", translate="last")
    assert texts(expander.expand([FI, TE, EN])) == [
        [("translation", "en", "translation1-en(missä)"),
         ("passage", "en", "translation1-en(passage1-fi(missä))"),
         ("passage", "en", "translation1-en(passage2-fi(missä))")],
        [("translation", "en", "translation1-en(ఎక్కడ)"),
         ("passage", "en", "translation1-en(passage2-te(ఎక్కడ))")],
        [("passage", "en", f"passage{i}-en(where)") for i in (1, 2)],
    ]  # fmt: skip
    # An id of its own for each text: the noise of two translations must not be the same.
    assert writer.calls[-1] == ("translation", "en", ["fi-1 0", "fi-1 1", "te-1 0", "te-1 1"], 1)


def test_what_says_the_same_again_is_left_out():
    class Parrot:
        def write(self, kind, topics, language, count):
            return [["MISSÄ", "b", " ", "B ", "c"] for _ in topics]

    (found,) = QueryExpander(Parrot(), number=5).expand([FI])
    assert [item.text for item in found.expansions] == ["b", "c"]


def test_older_expansions_are_replaced():
    (found,) = QueryExpander(Writer()).expand(
        [FI._replace(expansions=(Expansion("passage", "fi", "old"),))]
    )
    assert len(found.expansions) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number": 0}, "--number 0: expected at least 1"),
        ({"kind": "translation"}, "a translation needs --to"),
        ({"translate": "last"}, "a translation needs --to"),
        ({"kind": "translation", "language": "en", "translate": "first"}, "passage and paraphrase"),
        ({"language": "x!"}, "--to: 'x!' is not a language code"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(XqgError, match=message):
        QueryExpander(Writer(), **settings)


@pytest.mark.parametrize("settings", [{}, {"language": "en", "translate": "last"}])
def test_a_topic_whose_language_nobody_knows(settings):
    with pytest.raises(XqgError, match="topic 'x' has no language; give its file a field 'lang'"):
        QueryExpander(Writer(), **settings).expand([Topic("x", "a", "")])
    assert QueryExpander(Writer(), language="en").expand([Topic("x", "a", "")])[0].expansions


def test_in_front_of_a_searcher():
    class Echo:
        """Hits that say what was asked."""

        def batch_search(self, queries, qids, k, threads, languages):
            asked = zip(qids, queries, languages, strict=True)
            return {qid: [Hit(f"{code}:{text}", k)] for qid, text, code in asked}

    expander = QueryExpander(Writer(), "translation", language="en")
    searcher = ExpandedSearcher(Echo(), expander)
    assert searcher.search("missä", 7, language="fi") == [
        ("fi:missä translation1-en(missä)", 7)
    ]  # fmt: skip
    runs = ExpandedSearcher(Echo(), expander, "runs", weight=0.75)
    found = runs.batch_search(["missä", "where"], ["1", "2"], 5, languages=["fi", "en"])
    assert found == {
        "1": [("fi:missä", 0.75), ("en:translation1-en(missä)", 0.25)],
        "2": [("en:where", 5)],
    }
