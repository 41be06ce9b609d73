from __future__ import annotations

import pytest

from pyserini_xqg.collection.languages import NAMES
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.topics import KINDS
from pyserini_xqg.expand.prompts import EXPANSION_PROMPTS, STRATEGIES, TASKS
from pyserini_xqg.generate.answers import parse_answer

CODES = {name: code for code, name in NAMES.items()}


def test_every_kind_in_every_way():
    assert tuple(TASKS) == KINDS
    assert list(EXPANSION_PROMPTS) == [f"{way} {kind}" for way in STRATEGIES for kind in KINDS]


@pytest.mark.parametrize("name", EXPANSION_PROMPTS)
def test_the_messages(name):
    way, kind = name.split(" ")
    prompt = EXPANSION_PROMPTS[name]
    messages = prompt.messages(Passage("te-1", "", "ఎక్కడ {x}?"), "Telugu", 3)
    assert [m["role"] for m in messages[:1]] == ["system"]
    assert messages[0]["content"] == TASKS[kind].system
    last = messages[-1]["content"]
    assert messages[-1]["role"] == "user"
    assert last.startswith("ఎక్కడ {x}?\n\n")
    assert " 3 different" in last
    assert "Telugu" in last
    assert ("ANSWER:" in last) == (way not in ("zero-shot", "few-shot")) == bool(prompt.heading)
    assert (TASKS[kind].think in last) == (way == "chain-of-thought")
    assert ("say the above again" in last) == (way == "rephrase-and-respond")
    assert len(messages) == (2 if way != "few-shot" else 2 + 2 * len(TASKS[kind].shots))


@pytest.mark.parametrize("name", [name for name in EXPANSION_PROMPTS if "few" in name])
def test_the_examples_answer_as_the_real_ones_must(name):
    prompt = EXPANSION_PROMPTS[name]
    messages = prompt.messages(Passage("1", "", "q"), "Finnish", 1)
    for shot, asked, answer in zip(
        TASKS[name.split(" ")[1]].shots, messages[1:-1:2], messages[2::2], strict=True
    ):
        assert (asked["role"], answer["role"]) == ("user", "assistant")
        assert asked["content"].startswith(shot.query + "\n")
        assert f" {len(shot.answers)} different" in asked["content"]
        found = parse_answer(
            answer["content"], CODES[shot.language], len(shot.answers), prompt.heading,
            prompt.longest, questions=prompt.questions,
        )  # fmt: skip
        assert found == list(shot.answers)


def test_a_paragraph_may_be_longer_than_a_question():
    paragraph = "word " * 100
    longest = EXPANSION_PROMPTS["zero-shot passage"].longest
    assert parse_answer(paragraph, "en", 1) == "too long"
    assert parse_answer(paragraph, "en", 1, "", longest) == [paragraph.strip()]
