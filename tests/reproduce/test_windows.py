from __future__ import annotations

import json

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.reproduce.windows import main, windows


def test_windows_by_hand():
    found = list(windows(Passage("p", "t", "a b c d e f g h"), 4))
    assert found == [
        Passage("p#0", "t", "a b c d e f g h"),
        Passage("p#1", "t", "a b c d"),
        Passage("p#2", "t", "c d e f"),
        Passage("p#3", "t", "e f g h"),
    ]


@pytest.mark.parametrize("words", [1, 2, 5, 17, 100])
@pytest.mark.parametrize("number", [1, 2, 8])
def test_every_word_is_in_a_window(words, number):
    text = " ".join(f"w{i}" for i in range(words))
    found = list(windows(Passage("p", "", text), number))
    assert len(found) == 1 + min(number - 1, words)
    assert len({passage.docid for passage in found}) == len(found)
    if number > 1:
        assert {word for passage in found[1:] for word in passage.text.split()} == set(text.split())
        assert len({len(passage.text.split()) for passage in found[1:]}) == 1


def test_a_blank_passage():
    assert list(windows(Passage("p", "t", " "), 8)) == [Passage("p#0", "t", " ")]


def test_the_command(write_jsonl, tmp_path):
    corpus = write_jsonl("c.jsonl", [{"id": "007", "title": "t", "contents": "a b c"}])
    output = tmp_path / "w.jsonl"
    main(["--corpus", str(corpus), "--number", "3", "--output", str(output)])
    assert [json.loads(line) for line in output.read_text().splitlines()] == [
        {"docid": "007#0", "title": "t", "text": "a b c"},
        {"docid": "007#1", "title": "t", "text": "a b"},
        {"docid": "007#2", "title": "t", "text": "b c"},
    ]
    with pytest.raises(XqgError, match="--number 0: expected at least 1"):
        main(["--corpus", str(corpus), "--number", "0", "--output", str(output)])
    corpus = write_jsonl("c.jsonl", [{"id": "12#3", "contents": "a b c"}])
    with pytest.raises(XqgError, match="docid '12#3' holds '#'; rename it"):
        main(["--corpus", str(corpus), "--number", "3", "--output", str(tmp_path / "x")])
    assert not (tmp_path / "x").exists()
