from __future__ import annotations

import gzip

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.topics import Topic, read_topics

TREC = """
<top>

<num> Number: 301
<title> International Organized Crime

<desc> Description:
Identify organizations.

<narr> Narrative:
A relevant document <b>must</b> name one.

</top>
<top>
<num> Number: 302 </num>
<title> Poliomyelitis &amp; Post-Polio
</title>
</top>
"""
WEB = """<?xml version="1.0" encoding="UTF-8"?>
<webtrack2009>
  <topic number="007" type="faceted" xml:lang="fi">
    <query>obama  family tree</query>
    <description>Find information.</description>
  </topic>
  <topic number='8'><title>a &lt; b</title></topic>
</webtrack2009>
"""
CLEF = """<topics lang="fr"><topic lang="fr"><identifier>10.2452/401-AH</identifier>
<title>La guerre</title><description>d</description></topic></topics>
"""
OLD_CLEF = "<top>\n<num> C041 </num>\n<FR-title> Pesticides </FR-title>\n<FR-desc> d\n</top>"


@pytest.fixture
def write(tmp_path):
    def write(text, name="topics.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        (
            TREC,
            [
                Topic("301", "International Organized Crime", ""),
                Topic("302", "Poliomyelitis & Post-Polio", ""),
            ],
        ),
        (WEB, [Topic("007", "obama family tree", "fi"), Topic("8", "a < b", "")]),
        (CLEF, [Topic("10.2452/401-AH", "La guerre", "fr")]),
        (OLD_CLEF, [Topic("C041", "Pesticides", "fr")]),
        ("<topics><topic id='a'>words alone</topic></topics>", [Topic("a", "words alone", "")]),
    ],
)
def test_topics_in_tags(write, text, topics):
    assert read_topics(write(text)) == topics
    assert read_topics(write(gzip.compress(("\ufeff" + text).encode()), "t.xml")) == topics
    assert {topic.language for topic in read_topics(write(text), "te")} == {"te"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<top>\n<title> a\n</top>", "topics.txt:1: a <top> without id; expected it in <num>, "),
        (
            "<top>\n<num> 1\n<title> a\n</top>\n<top>\n<num> 2\n<narr> b\n</top>",
            "topics.txt:5: a <top> without question; expected it in <title>, .*found num, narr",
        ),
        ("<top>\n<num> 1\n<title> a\n", "topics.txt: no <top> or <topic> in it, closed by </top>"),
        ("<html>error</html>", "topics.txt: no <top> or <topic> in it"),
        (
            "<top><num>1 2</num><title>a</title></top>",
            "topic id '1 2' is empty or holds white",
        ),
        ("<top><num>1<title>a</top>" * 2, "topics.txt:1: duplicate topic id '1'"),
        (b"<top><num>\xff", r"topics.txt: not UTF-8 \(byte 11\); convert"),
    ],
)
def test_broken_topics(write, text, message):
    with pytest.raises(XqgError, match=message):
        read_topics(write(text))
