from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from chat_server import serving
from generate_models import make_t5

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.topics import read_topics
from pyserini_xqg.expand import topics as module
from pyserini_xqg.expand.__main__ import main

ROWS = [
    '{"qid":"te-1",   "title": "\\u0c0e\\u0c15\\u0c4d\\u0c15\\u0c21", "lang": "te", "x": [1.50]}',
    '{"question": "a \\t b }", "id": 7, "lang": "fi"} ',
    '{"qid": "en-1", "title": "where", "lang": "en"}',
]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def topics(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(ROWS) + "\n\n")
    return path


def answer(body, number):
    topic = body["messages"][-1]["content"].splitlines()[0]
    return "Answer to " + (topic if topic.isascii() or "missä" in topic else "ekkada")


def served(server, topics, output, *options):
    main(["--engine", "openai", "--base-url", server.url, "--model", "m", "--topics", str(topics),
          "--output", str(output), *options])  # fmt: skip


def test_all_else_is_kept_byte_for_byte(topics, tmp_path, capsys):
    with serving(answer) as server:
        served(server, topics, tmp_path / "e.jsonl", "--kind", "translation", "--to", "en")
    lines = (tmp_path / "e.jsonl").read_text().splitlines()
    assert [line.partition(', "expansions": ')[0] for line in lines] == [
        row.rstrip()[:-1] for row in ROWS
    ]
    assert json.loads(lines[1])["expansions"] == [
        {"kind": "translation", "lang": "en", "text": "Answer to a b }"}
    ]
    read = read_topics(tmp_path / "e.jsonl")
    assert [topic.qid for topic in read] == ["te-1", "7", "en-1"]
    assert [len(topic.expansions) for topic in read] == [1, 1, 0]
    notes = capsys.readouterr().err
    assert "2 answers, 0 of them from the cache" in notes
    assert "note: 1 topics are left without expansions" in notes


def test_topics_in_tsv(tmp_path):
    (tmp_path / "t.tsv").write_text("007\tmissä\n8\tmikä\n")
    with serving(answer) as server:
        served(server, tmp_path / "t.tsv", tmp_path / "e.jsonl", "--language", "fi",
               "--kind", "paraphrase")  # fmt: skip
    first = json.loads((tmp_path / "e.jsonl").read_text().splitlines()[0])
    assert first == {
        "qid": "007", "title": "missä", "lang": "fi",
        "expansions": [{"kind": "paraphrase", "lang": "fi", "text": "Answer to missä"}],
    }  # fmt: skip


def test_answers_are_cached(topics, tmp_path):
    with serving(answer) as server:
        options = ("--kind", "passage", "--to", "en", "--translate", "first")
        served(server, topics, tmp_path / "e.jsonl", *options)
        first, asked = (tmp_path / "e.jsonl").read_bytes(), len(server.requests)
        assert asked == 5  # two translations, three passages
        served(server, topics, tmp_path / "e.jsonl", *options, "--overwrite")
        assert (tmp_path / "e.jsonl").read_bytes() == first
        longer = tmp_path / "longer.jsonl"
        longer.write_text(ROWS[1] + '\n{"qid": "fi-2", "title": "missä nyt", "lang": "fi"}\n')
        served(server, longer, tmp_path / "e.jsonl", *options, "--overwrite")
        assert len(server.requests) == asked + 2  # what is new


def test_killed_and_resumed_without_a_repeated_call(tmp_path):
    rows = [{"qid": f"fi-{i}", "title": f"missä {i}", "lang": "fi"} for i in range(300)]
    topics = tmp_path / "t.jsonl"
    topics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    reached, held = threading.Event(), threading.Event()

    def slow(body, number):
        if number == 200:  # in the second block
            reached.set()
            held.wait(60)
        return answer(body, number)

    with serving(slow) as server:
        command = [
            "--engine", "openai", "--base-url", server.url, "--model", "m", "--concurrency", "1",
            "--topics", str(topics), "--output", str(tmp_path / "e.jsonl"),
        ]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", "pyserini_xqg.expand", *command], env=os.environ
        )
        assert reached.wait(120)
        process.send_signal(signal.SIGKILL)
        process.wait()
        held.set()
        partial = (tmp_path / "e.jsonl.partial" / "queries").read_text()
        assert len(partial.splitlines()) == 128
        assert not (tmp_path / "e.jsonl").exists()
        main(command)
        # Each topic was asked for once, but for the one whose answer never came.
        contents = [body["messages"][-1]["content"].splitlines()[0] for body in server.requests]
        assert len(contents) == 301
        assert len(set(contents)) == 300
    found = read_topics(tmp_path / "e.jsonl")
    assert [topic.expansions[0].text for topic in found] == [
        f"Answer to missä {i}" for i in range(300)
    ]


def test_a_model_of_ones_own(tmp_path, monkeypatch):
    generator = make_t5(tmp_path / "t5")
    topics = tmp_path / "t.jsonl"
    topics.write_text(
        "".join(f'{{"qid": "te-{i}", "title": "w{i}", "lang": "te"}}\n' for i in range(9))
    )
    command = ["--topics", str(topics), "--generator", str(generator), "--number", "2",
               "--max-new-tokens", "8", "--device", "cpu"]  # fmt: skip
    main([*command, "--output", str(tmp_path / "whole.jsonl")])
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert all(len(topic.expansions) > 0 for topic in read_topics(tmp_path / "whole.jsonl"))

    # Cut into blocks, and broken off in the second: the same bytes, and the first is not repeated.
    monkeypatch.setattr(module, "_BLOCK", 4)
    expand, calls = module.QueryExpander.expand, []

    def once(self, topics):
        calls.append(len(topics))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return expand(self, topics)

    monkeypatch.setattr(module.QueryExpander, "expand", once)
    with pytest.raises(KeyboardInterrupt):
        main([*command, "--output", str(tmp_path / "e.jsonl")])
    with pytest.raises(XqgError, match="was begun with other input or settings: number was 2"):
        main([*command, "--output", str(tmp_path / "e.jsonl"), "--number", "1"])
    main([*command, "--output", str(tmp_path / "e.jsonl")])
    assert calls == [4, 4, 4, 1]
    assert (tmp_path / "e.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the local engine needs --generator"),
        (["--generator", "g", "--base-url", "u"], "--base-url means nothing to --engine local"),
        (["--generator", "g", "--preset", "few-shot"], "--preset means nothing to --engine local"),
        (["--engine", "openai", "--prompt", "x"], "--prompt means nothing to --engine openai"),
        (["--engine", "openai", "--model", "m"], "needs --base-url, such as"),
        (["--generator", "g", "--prompt", "x", "--to", "en", "--translate", "last"], "needs two"),
        (["--generator", "g", "--device", "cpu,cpu"], "on one device; name one"),
        (["--generator", "g", "--kind", "translation"], "a translation needs --to"),
    ],
)
def test_options_that_do_not_fit(topics, tmp_path, options, message):
    with pytest.raises(XqgError, match=message):
        main(["--topics", str(topics), "--output", str(tmp_path / "e.jsonl"), *options])
    assert not (tmp_path / "e.jsonl").exists()


@pytest.mark.parametrize("value", ["[]", '[{"kind": "passage", "text": "b"}]'])
def test_topics_that_have_expansions(tmp_path, value):
    topics = tmp_path / "t.jsonl"
    topics.write_text(f'{{"qid": "1", "title": "a", "lang": "fi", "expansions": {value}}}\n')
    with (
        serving(answer) as server,
        pytest.raises(XqgError, match=r"t\.jsonl:1: topic '1' has 'expansions' already; give"),
    ):
        served(server, topics, tmp_path / "e.jsonl")
