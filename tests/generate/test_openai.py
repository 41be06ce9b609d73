from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from chat_server import completion, serving

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.generate.__main__ import main
from pyserini_xqg.generate.answers import parse_answer
from pyserini_xqg.generate.openai import ChatSettings, Usage, generate_block
from pyserini_xqg.generate.openai_client import ChatClient
from pyserini_xqg.generate.openai_prompts import CHAT_PROMPTS, language_name
from pyserini_xqg.generate.served import estimate_cost

PASSAGES = [
    Passage("a", "Lahti", "A town by a lake."),
    Passage("b", "", "Kaupunki meren rannalla."),
]
GOOD = {"Finnish": "Missä Lahti on?\nMikä on {}?", "Telugu": "లహతి ఎక్కడ?\nఅది ఏమిటి {}?"}


def asked(body):
    """The language and the passage that a request is about."""
    content = body["messages"][-1]["content"]
    return next(name for name in GOOD if name in content), content


def right(body, number):
    language, content = asked(body)
    return GOOD[language].format("Lahti" if "Lahti" in content else "tämä")


@pytest.fixture
def server():
    with serving(right) as server:
        yield server


@pytest.fixture
def generate(server, tmp_path, monkeypatch):
    """Generates in a new client, as a new run would, and gives what came and what was counted."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def call(languages=("fi", "te"), passages=PASSAGES, num_queries=2, client=(), **settings):
        usage = Usage()
        options = {"base_url": server.url, "backoff": 0.01, "timeout": 5, **dict(client)}
        chat = ChatClient(cache=tmp_path / "cache.sqlite", **options)
        try:
            found = generate_block(passages, languages, num_queries, client=chat, usage=usage,
                                   settings=ChatSettings("m", **settings))  # fmt: skip
        finally:
            chat.close()
        return found, usage

    return call


def test_a_block(generate, server):
    found, usage = generate()
    assert found == [
        {"fi": ["Missä Lahti on?", "Mikä on Lahti?"], "te": ["లహతి ఎక్కడ?", "అది ఏమిటి Lahti?"]},
        {"fi": ["Missä Lahti on?", "Mikä on tämä?"], "te": ["లహతి ఎక్కడ?", "అది ఏమిటి tämä?"]},
    ]
    assert list(found[0]) == ["fi", "te"]
    assert (usage.requests, usage.cached, usage.retried, usage.failed) == (4, 0, {}, {})
    assert (usage.prompt_tokens, usage.completion_tokens) == (400, 28)
    assert set(server.paths) == {"/v1/chat/completions"}
    assert all("Authorization" not in headers for headers in server.headers)
    for body in server.requests:
        assert body.keys() == {"model", "messages", "temperature", "seed", "max_tokens"}
        assert (body["model"], body["seed"]) == ("m", 0)
    contents = [body["messages"][-1]["content"] for body in server.requests]
    assert sum(content.startswith("Title: Lahti\nPassage: A town") for content in contents) == 2
    assert sum(content.startswith("Passage: Kaupunki") for content in contents) == 2
    assert all("Write 2 different" in content for content in contents)


def test_nothing_to_do(generate, server):
    assert generate(passages=[])[0] == []
    assert generate(languages=[])[0] == [{}, {}]
    assert server.requests == []


def test_answers_come_from_the_cache(generate, server):
    first, _ = generate()
    again, usage = generate()
    assert again == first
    assert len(server.requests) == 4
    assert (usage.requests, usage.cached, usage.prompt_tokens) == (4, 4, 0)
    generate(client={"base_url": server.url + "/other"})  # the same model somewhere else
    assert len(server.requests) == 4
    generate(temperature=0.1)
    assert len(server.requests) == 8


def test_a_run_that_broke_off_goes_on(generate, server):
    def breaking(body, number):
        return (401, {}, b"enough") if number == 2 else right(body, number)

    server.answer = breaking
    with pytest.raises(XqgError, match=r"answered 401 Unauthorized \(enough\); set OPENAI_API_KEY"):
        generate(passages=PASSAGES * 20)
    before, server.answer = len(server.requests), right
    _, usage = generate()
    assert usage.cached >= 2
    assert len(server.requests) - before == 4 - usage.cached


def test_bad_answers_are_asked_for_again(generate, server):
    def answer(body, number):
        language, _ = asked(body)
        if language == "Telugu":
            return "In English?\nAlways?"
        return ["Yksi?", "Sama?\nsama?", "Missä?\nMikä?"][body["seed"]]

    server.answer = answer
    found, usage = generate(passages=PASSAGES[:1], attempts=3)
    assert found == [{"fi": ["Missä?", "Mikä?"], "te": []}]
    assert usage.retried == {"number of lines": 1, "twice the same": 1, "wrong script": 3}
    assert usage.failed == {"te": 1}
    assert (usage.requests, len(server.requests)) == (6, 6)
    assert usage.lines() == [
        "6 answers, 0 of them from the cache; 600 tokens in, 42 out",
        "5 answers were not as they must be: number of lines 1, twice the same 1, wrong script 3",
        "1 passages are left without queries: te 1",
        "number of lines, the first one: Yksi?",
        "twice the same, the first one: Sama? sama?",
        "wrong script, the first one: In English? Always?",
    ]
    # Bad ones are asked again: the server may be another by then.
    again, usage = generate(passages=PASSAGES[:1], attempts=3)
    assert (again, usage.cached, usage.failed) == (found, 1, {"te": 1})
    server.answer = right
    again, usage = generate(passages=PASSAGES[:1], attempts=3)
    assert again == [{"fi": ["Missä?", "Mikä?"], "te": ["లహతి ఎక్కడ?", "అది ఏమిటి Lahti?"]}]
    assert (usage.requests, usage.cached, usage.failed) == (2, 1, {})


def test_bad_answers_in_the_cache_are_no_answers(generate, server, tmp_path):
    server.answer = lambda body, number: "I cannot help with that."
    client = ChatClient(server.url, tmp_path / "cache.sqlite")
    settings = ChatSettings("m")
    for code in ("fi", "te"):  # as one kept them that knew no refusals
        body = settings.request(PASSAGES[0], code, 2, 0)
        client.ask(body, usable=lambda answer: True)
        assert client.recall(body).text == "I cannot help with that."
    client.close()
    server.answer = right
    found, usage = generate(passages=PASSAGES[:1])
    assert found == [{"fi": ["Missä Lahti on?", "Mikä on Lahti?"],
                      "te": ["లహతి ఎక్కడ?", "అది ఏమిటి Lahti?"]}]  # fmt: skip
    assert (usage.cached, usage.retried, len(server.requests)) == (0, {}, 4)
    assert generate(passages=PASSAGES[:1])[1].cached == 2  # the good ones took their place


def test_answers_cut_off_or_refused(generate, server):
    def answer(body, number):
        if body["seed"] == 0:
            return 200, {}, completion("Missä?\nMikä?", finish_reason="length")
        return (200, {}, completion(None)) if body["seed"] == 1 else "Missä?\nMikä?"

    server.answer = answer
    found, usage = generate(languages=["fi"], passages=PASSAGES[:1])
    assert found == [{"fi": ["Missä?", "Mikä?"]}]
    assert usage.retried == {"cut off": 1, "empty": 1}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_trouble_is_waited_for(generate, server, status):
    def answer(body, number):
        return (status, {}, b"") if number < 3 else "Missä?\nMikä?"

    server.answer = answer
    found, usage = generate(languages=["fi"], passages=PASSAGES[:1])
    assert found == [{"fi": ["Missä?", "Mikä?"]}]
    assert (len(server.requests), usage.requests) == (4, 1)


def test_waits_grow_or_are_the_servers(generate, server, monkeypatch):
    waits = []
    monkeypatch.setattr(threading.Event, "wait", lambda self, s=None: waits.append(s))
    monkeypatch.setattr("random.uniform", lambda low, high: low)
    client = ChatClient(server.url, ":memory:", backoff=1, retries=8, timeout=5)
    server.answer = lambda body, number: (503, {}, b"")
    with pytest.raises(XqgError, match="503 Service Unavailable, after 9 attempts; run the same"):
        client.ask({"model": "m"})
    assert [s for s in waits if s is not None] == [1, 2, 4, 8, 16, 32, 60, 60]
    waits.clear()
    server.answer = lambda body, number: (429, {"Retry-After": "7"}, b"")
    with pytest.raises(XqgError, match="429 Too Many Requests"):
        client.ask({"model": "m"})
    assert [s for s in waits if s is not None] == [7] * 8
    client.close()


def test_a_server_that_does_not_answer_in_time(generate, server):
    over = threading.Event()

    def answer(body, number):
        if number == 0 or asked(body)[0] == "Telugu":
            over.wait(timeout=30)
        return "Missä?\nMikä?"

    server.answer = answer
    found, _ = generate(languages=["fi"], passages=PASSAGES[:1], client={"timeout": 0.5})
    assert found == [{"fi": ["Missä?", "Mikä?"]}]
    assert len(server.requests) >= 2
    with pytest.raises(XqgError, match="timed out, after 2 attempts"):
        generate(languages=["te"], passages=PASSAGES[:1], client={"timeout": 0.1, "retries": 1})
    over.set()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((401, {}, b'{"error": {"message": "bad\\nkey"}}'),
         r"answered 401 Unauthorized \(bad key\); set OPENAI_API_KEY"),
        ((404, {}, b'{"error": "no model m"}'),
         r"answered 404 Not Found \(no model m\); check --base-url .* and --model"),
        ((418, {}, b""), r"answered 418 I'm a Teapot; check --base-url"),
        ((307, {"Location": "http://127.0.0.1:9/"}, b""), "answered 307 Temporary Redirect"),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "answered 302 Found"),
        ((200, {}, b"<html>"), "answered no chat completion but '<html>'; check --base-url"),
        ((200, {}, b'{"choices": []}'), "answered no chat completion"),
        ((200, {}, b"[1]"), "answered no chat completion"),
    ],
)  # fmt: skip
def test_other_errors_end_the_run(generate, server, found, message):
    server.answer = lambda body, number: found
    with pytest.raises(XqgError, match=message) as error:
        generate(passages=PASSAGES[:1], languages=["fi"])
    assert "\n" not in str(error.value)
    assert len(server.requests) == 1


def test_the_first_failure_ends_the_others(generate, server):
    server.answer = lambda body, number: (401, {}, b"") if number == 20 else right(body, number)
    with pytest.raises(XqgError, match="401"):
        generate(passages=[Passage(str(i), "", f"n{i}") for i in range(400)])
    assert 20 < len(server.requests) < 200  # of 800


def test_who_waits_gives_up_when_another_fails(generate, server):
    waiting = threading.Event()

    def answer(body, number):
        if asked(body)[0] == "Telugu":
            waiting.set()
            return 503, {"Retry-After": "2"}, b""
        waiting.wait(timeout=30)
        return 401, {}, b""

    server.answer = answer
    with pytest.raises(XqgError, match="401"):
        generate(passages=PASSAGES[:1])
    assert len(server.requests) == 2  # it was not asked again


def test_no_server(generate, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: pytest.fail("it waited for one"))
    with pytest.raises(
        XqgError, match=r"cannot reach http://127\.0\.0\.1:9/.*is the server running"
    ):
        generate(client={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(XqgError, match="'localhost:8000': expected a URL such as http"):
        generate(client={"base_url": "localhost:8000"})


def test_the_key(generate, server, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", " sk-secret\n")
    generate(languages=["fi"])
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-secret"}
    assert all(b"sk-secret" not in path.read_bytes() for path in tmp_path.iterdir())
    monkeypatch.setenv("OPENAI_API_KEY", "sk secret")
    with pytest.raises(XqgError, match="OPENAI_API_KEY is no key") as error:
        generate(languages=["te"])
    assert "secret" not in str(error.value)


def test_requests_run_at_once(generate, server):
    eight = threading.Barrier(8)

    def answer(body, number):
        eight.wait(timeout=30)  # none is answered before all eight are there
        return right(body, number)

    server.answer = answer
    generate(passages=[Passage(str(i), "", f"n{i}") for i in range(8)])
    assert server.most_at_once == 8


def test_the_order_is_the_passages_whatever_is_answered_first(generate, server):
    def answer(body, number):
        name = body["messages"][-1]["content"].split("Passage: n")[1].split("\n")[0]
        time.sleep(0.02 * (int(name) % 3))
        return f"Mikä on {name}?\nMissä on {name}?"

    server.answer = answer
    passages = [Passage(str(i), "", f"n{i}") for i in range(20)]
    found, _ = generate(languages=["fi"], passages=passages)
    assert [of["fi"][0] for of in found] == [f"Mikä on {i}?" for i in range(20)]


def test_summarise_then_ask(generate, server):
    server.answer = lambda body, number: (
        "Lahti on kaupunki.\n\n**QUESTIONS:**\n1. Missä?\n2) Mikä?"
        if body["seed"]
        else "Missä?\nMikä?"
    )
    found, usage = generate(languages=["fi"], passages=PASSAGES[:1], preset="summarise")
    assert found == [{"fi": ["Missä?", "Mikä?"]}]
    assert usage.retried == {"no heading": 1}
    assert [message["role"] for message in server.requests[0]["messages"]] == ["system", "user"]
    assert "QUESTIONS:" in server.requests[0]["messages"][1]["content"]


def test_the_examples_answer_as_they_are_asked():
    messages = CHAT_PROMPTS["few-shot"].messages(PASSAGES[0], "Telugu", 3)
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 3, "user"]
    codes = {"Finnish": "fi", "English": "en", "Russian": "ru"}
    for question, answer in zip(messages[1:-1:2], messages[2:-1:2], strict=True):
        lines = answer["content"].splitlines()
        language = question["content"].rsplit("question(s) in ", 1)[1].split(".")[0]
        assert parse_answer(answer["content"], codes[language], len(lines)) == lines
        assert f"Write {len(lines)} different" in question["content"]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Missä?\n\n Mikä? ", ["Missä?", "Mikä?"]),
        ("1. Missä?\n2) Mikä?", ["Missä?", "Mikä?"]),
        ("* Missä?\n- Mikä?", ["Missä?", "Mikä?"]),
        ("1945 mitä tapahtui?\n3.5 litraa?", ["1945 mitä tapahtui?", "3.5 litraa?"]),
        ("1945. mitä?\n12. mikä?", ["1945. mitä?", "12. mikä?"]),
        ("<think>\nMissä?\n</think>\nMissä?\nMikä?", ["Missä?", "Mikä?"]),
        ("", "empty"),
        ("Missä?\nMikä?\nKuka?", "number of lines"),
        ("Missä?\nMISSÄ?", "twice the same"),
        ("Missä?\n" + "x" * 301, "too long"),
        ("Missä?\nఏది?", "wrong script"),
        ("Missä?\n1945?", "wrong script"),
    ],
)
def test_parsing(answer, found):
    assert parse_answer(answer, "fi", 2) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Summa.\nASK:\nMissä?", ["Missä?"]),
        ("# ASK:\nMissä?", ["Missä?"]),
        ("Missä?", "no heading"),
        ("ASK:\nMissä?\nASK:\nMikä?", "no heading"),
    ],
)
def test_parsing_below_a_heading(answer, found):
    assert parse_answer(answer, "fi", 1, "ASK:") == found


def test_a_server_without_seeds_is_asked_again_too(generate, server):
    server.answer = lambda body, number: "Missä?\nMikä?" if number else "Missä?"
    found, _ = generate(languages=["fi"], passages=PASSAGES[:1], extra_body={"seed": None})
    assert found == [{"fi": ["Missä?", "Mikä?"]}]
    assert server.requests[0] == server.requests[1]


def test_names_of_languages():
    assert language_name("te") == "Telugu"
    assert language_name("bn-Latn") == "Bengali (bn-Latn)"
    assert language_name("tlh") == "the language with the BCP 47 code tlh"


def test_fields_of_the_request():
    passage = Passage("a", "t", "x" * 50)
    extra = {"max_tokens": None, "max_completion_tokens": 9}
    settings = ChatSettings("m", max_passage=10, seed=5, extra_body=extra)
    body = settings.request(passage, "fi", 2, 3)
    assert body["seed"] == 8
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 9
    assert f"Passage: {'x' * 10}\n" in body["messages"][-1]["content"]
    with pytest.raises(XqgError, match="--preset 'x' is none of few-shot, summarise"):
        ChatSettings("m", preset="x")
    with pytest.raises(XqgError, match="--attempts 0: expected at least 1"):
        ChatSettings("m", attempts=0)


def test_a_cache_that_is_none(server, tmp_path):
    (tmp_path / "cache").write_text("not a database, but long enough to be looked at " * 10)
    with pytest.raises(XqgError, match="cache: no cache of answers"):
        ChatClient(server.url, tmp_path / "cache")


def test_text_that_is_none(generate, server, tmp_path):
    server.answer = lambda body, number: "Miss\ud800?\nMikä?"
    assert generate(languages=["fi"])[0][0] == {"fi": ["Miss??", "Mikä?"]}
    db = sqlite3.connect(tmp_path / "cache.sqlite")
    assert db.execute("select count(*) from answers").fetchone() == (2,)
    db.close()


def test_the_estimate(server):
    settings = ChatSettings("m", preset="summarise")
    cost = estimate_cost(PASSAGES, 1000, ["fi", "te"], 5, settings,
                         input_price=2.0, output_price=10.0)  # fmt: skip
    asked = sum(
        len(message["content"].encode())
        for passage in PASSAGES
        for language in ("fi", "te")
        for message in settings.request(passage, language, 5, 0)["messages"]
    )
    assert cost.requests == 2000
    assert cost.prompt_tokens == pytest.approx(asked / 2 * 1000 / 4)
    # Five questions of 50 and of 130 bytes, and a summary each.
    assert cost.completion_tokens == 1000 * (5 * 50 + 250 + 5 * 130 + 250) / 4
    price = (cost.prompt_tokens * 2 + cost.completion_tokens * 10) / 1e6
    assert cost.price == pytest.approx(price)
    assert cost.lines()[2] == f"about {price:,.2f} at these prices"
    assert len(estimate_cost(PASSAGES, 10, ["fi"], 5, settings).lines()) == 2
    assert server.requests == []


@pytest.fixture
def command(server, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    corpus = tmp_path / "corpus.jsonl"
    rows = [{"docid": f"{i}#{p.docid}", "title": p.title, "text": f"{p.text} {i}"}
            for i in range(600) for p in PASSAGES]  # fmt: skip
    corpus.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return [
        "--engine", "openai", "--base-url", server.url, "--model", "m", "--corpus", str(corpus),
        "--languages", "te", "fi", "--num-queries", "2", "--concurrency", "4",
    ]  # fmt: skip


def test_the_command_writes_what_the_server_says(command, server, tmp_path, capsys):
    main([*command, "--output", str(tmp_path / "q.jsonl")])
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [row["docid"] for row in rows[:3]] == ["0#a", "0#b", "1#a"]
    assert len(rows) == 1200
    assert rows[0]["generated_queries"] == {
        "te": GOOD["Telugu"].format("Lahti").split("\n"),
        "fi": GOOD["Finnish"].format("Lahti").split("\n"),
    }
    assert "2,400 answers" in capsys.readouterr().err
    with pytest.raises(XqgError, match="--overwrite"):
        main([*command, "--output", str(tmp_path / "q.jsonl")])


def test_a_server_that_fails_on_the_way_costs_nothing_twice(command, server, tmp_path):
    answered = set()

    def failing(body, number):
        if len(answered) > 50 and not mended:
            return 401, {}, b'{"error": {"message": "key expired"}}'
        answered.add(json.dumps(body, sort_keys=True))
        return right(body, number)

    mended = False
    server.answer = failing
    with pytest.raises(XqgError, match="key expired"):
        main([*command, "--output", str(tmp_path / "q.jsonl")])
    assert not (tmp_path / "q.jsonl").exists()
    mended, before, paid = True, len(server.requests), set(answered)
    main([*command, "--output", str(tmp_path / "q.jsonl")])
    again = {json.dumps(body, sort_keys=True) for body in server.requests[before:]}
    assert len(again & paid) <= 4  # those on their way when the first failed
    assert len(again | paid) == 2400
    main([*command[:-2], "--concurrency", "1", "--output", str(tmp_path / "again.jsonl")])
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "q.jsonl").read_bytes()


KILLER = """
import os, random, signal, subprocess, sys, time

child, output, kills = sys.argv[2:], sys.argv[-1], int(sys.argv[1])
cache, whole, ends, took = output + ".answers.sqlite", set(), [], None
while kills or os.path.exists(output + ".partial"):
    began, process = time.monotonic(), subprocess.Popen(child)
    if kills and took:
        time.sleep(random.uniform(0.2 * took, took))  # it begins with imports
        process.kill()
    status = process.wait()
    took = took or time.monotonic() - began  # of the first run, which is unbroken
    if status == -signal.SIGKILL:
        kills -= 1
        ends.append(os.path.getsize(cache + "-wal") if os.path.exists(cache + "-wal") else 0)
    else:
        assert status == 0, status
    if os.path.exists(output):  # and again from the start, until the kills are used up
        whole.add(open(output, "rb").read())
        for name in os.listdir(os.path.dirname(output)):
            if name.startswith(os.path.basename(output)):
                os.remove(os.path.join(os.path.dirname(output), name))
(written,) = whole  # the same bytes each time
open(output, "wb").write(written)
print(len(ends), len(set(ends)))
"""


def test_kill_9_at_any_moment(command, tmp_path):
    """XQG_KILLS=20 for as many kills."""
    command = [*command, "--shard-num", "4"]
    one = (
        "import sys, pyserini_xqg.generate.served as served; served.BLOCK = 100;"
        "from pyserini_xqg.generate.__main__ import main; main(sys.argv[1:])"
    )
    kills = os.environ.get("XQG_KILLS", "4")
    ended = subprocess.run(
        [sys.executable, "-c", KILLER, kills, sys.executable, "-c", one, *command, "--output",
         str(tmp_path / "killed" / "q.jsonl")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    killed, moments = map(int, ended.stdout.split()[-2:])
    assert killed == int(kills)
    assert moments > 1 or killed < 20  # of a few, all may strike before the first answer
    main([*command, "--output", str(tmp_path / "q.jsonl")])
    written = (tmp_path / "killed" / "q.jsonl").read_bytes()
    assert written == (tmp_path / "q.jsonl").read_bytes()


def test_a_dry_run_asks_nothing(command, server, capsys):
    main([*command, "--dry-run", "--input-price", "1", "--output-price", "2"])
    said = capsys.readouterr().out
    assert "2,400 requests" in said
    main([*command, "--languages", "te", "TE", "--dry-run"])
    assert "1,200 requests" in capsys.readouterr().out
    assert "at these prices" in said
    assert server.requests == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "openai", "--base-url", "http://x"], "needs --model"),
        (["--engine", "openai", "--model", "m"], "needs --base-url"),
        (["--engine", "openai", "--model", "m", "--extra-body", "[]"], "expected a JSON object"),
        (["--engine", "openai", "--model", "m", "--preset", "xqg"], "--preset 'xqg' is none of"),
        (["--model", "m"], "the local engine needs --generator"),
        (["--engine", "openai", "--prompt", "{passage}"], "--prompt means nothing to --engine op"),
        (["--engine", "openai", "--trim-vocabulary"], "--trim-vocabulary means nothing"),
        (["--generator", "m", "--temperature", "0"], "--temperature means nothing to --engine lo"),
    ],
)
def test_engines_are_not_mixed(write_jsonl, tmp_path, words, message):
    corpus = write_jsonl("c.jsonl", [{"docid": "a", "text": "b"}])
    with pytest.raises(XqgError, match=message):
        main(
            ["--corpus", str(corpus), "--languages", "te", "--output", str(tmp_path / "q"), *words]
        )
    assert not (tmp_path / "q").exists()
