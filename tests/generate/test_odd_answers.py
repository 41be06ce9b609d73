"""Answers as chat servers give them in the field, from the command's side."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from chat_server import completion, serving

from pyserini_xqg.base.errors import NothingMadeError, XqgError
from pyserini_xqg.expand.__main__ import main as expand
from pyserini_xqg.generate.__main__ import main
from pyserini_xqg.generate.openai_client import ChatClient

EN = ["Who tuned the organ's pipes?", "When was the organ built?"]
JA = ["オルガンはいつ作られましたか？", "だれがオルガンを調律しましたか？"]
TWO = "\n".join(EN)
PASSAGES = ["The organ was built in 1701.", "Bad words.", "It has 2000 pipes."]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)  # no waiting


@pytest.fixture
def generate(tmp_path, write_jsonl):
    """Runs the command against a server that answers so, and gives the passages' queries."""
    corpus = write_jsonl(
        "c.jsonl", [{"docid": str(n), "text": text} for n, text in enumerate(PASSAGES)]
    )

    def call(answer, *options, language="en", name="q.jsonl"):
        with serving(answer if callable(answer) else lambda body, number: answer) as server:
            main(["--engine", "openai", "--base-url", server.url, "--model", "m", "--corpus",
                  str(corpus), "--languages", language, "--num-queries", "2", "--concurrency",
                  "1", "--output", str(tmp_path / name), *options])  # fmt: skip
            call.requests = len(server.requests)
        rows = map(json.loads, (tmp_path / name).read_text().splitlines())
        return [row["generated_queries"][language] for row in rows]

    return call


def parts(*found):
    return 200, {}, completion(list(found))


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}


@pytest.mark.parametrize(
    "answer",
    [
        TWO,
        f"The text is about an organ.\n</think>\n\n{TWO}",
        f"<think>\nThe text\nis about <b>an organ</b>.\n</think>\n{TWO}",
        f"<thinking>Who <thinking>again</thinking> and?</thinking>{TWO}",
        f"<reasoning>An organ?</reasoning>\n{TWO}",
        f"{TWO}\n<think>Was that right?</think>",
        f"<|channel|>analysis<|message|>An organ?<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{TWO}<|return|>",
        f"analysisThe user wants two questions.assistantfinal{TWO}",
        f"{TWO}<|im_end|>",
        f"{TWO}</s>",
        f"{TWO}<end_of_turn>\n<start_of_turn>user\nWrite more.",
        f"[/INST] {TWO} </s>",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{TWO}<|eot_id|>",
        f"<|im_start|>assistant\n{TWO}<|im_end|>\n<|im_start|>user\nWhy?",
        parts(THOUGHT, {"type": "text", "text": TWO}),
        parts({"type": "text", "text": EN[0] + "\n"}, {"type": "text", "text": EN[1]}),
        "Q1: {}\nQ2: {}".format(*EN),
        "Question 1: {}\nQuestion 2: {}".format(*EN),
        "**1.** {}\n**2.** {}".format(*EN),
        "**{}**\n**{}**".format(*EN),
        "1.{}\n2.{}".format(*EN),
        "1) {}\n\n2) {}".format(*EN),
        "- {}\n- {}".format(*EN),
        "• {}\n• {}".format(*EN),
        '"{}"\n"{}"'.format(*EN),
        "“{}”\n“{}”".format(*EN),
        "«{}»\n«{}»".format(*EN),
        "'{}'\n'{}'".format(*EN),
        '1. "{}"\n2. "{}"'.format(*EN),
        "Here are two questions:\n\n1. {}\n2. {}".format(*EN),
        f"Sure! Here are two questions about it:\n\n{TWO}\n\nLet me know if you need more.",
        f"```\n{TWO}\n```",
        f"Here they are:\n```text\n{TWO}\n```\nI hope this helps!",
        json.dumps(EN),
        "```json\n" + json.dumps({"questions": EN}, indent=1) + "\n```",
        json.dumps([{"question": text, "answer": "x"} for text in EN]),
        '{{"question": "{}"}}\n{{"question": "{}"}}'.format(*EN),
        '[\n"{}",\n"{}",\n]'.format(*EN),
        TWO.replace("tuned the", "tuned\u2028the"),
        TWO.replace("tuned the", "tuned\x0bthe").replace("\n", "\r\n"),
        (200, {}, completion(TWO, finish_reason=None)),
        (200, {}, completion(TWO, finish_reason="eos_token")),
    ],
)  # fmt: skip
def test_the_queries_are_found(generate, answer):
    assert generate(answer) == [EN] * 3
    assert generate.requests == 3


@pytest.mark.parametrize(
    "form", ["1.{}\n2.{}", "１．{}\n２．{}", "質問1：{}\n質問２：{}", "①{}\n②{}", "「{}」\n「{}」"]
)
def test_marks_of_other_scripts(generate, form):
    assert generate(form.format(*JA), language="ja") == [JA] * 3


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("I cannot help with that.", "refusal"),
        ("I’m sorry, but I can’t do that.\nIs there anything else?", "refusal"),
        ("Valitettavasti en voi auttaa.\nToinen rivi?", "refusal"),
        ("Here are two questions:", "introduction"),
        ("The organ is old.\nIt is large.", "no question"),
        ("<think>\nThe text is about", "thoughts alone"),
        ("<|channel|>analysis<|message|>An organ?", "thoughts alone"),
        ((200, {}, completion("Who tuned the", finish_reason="content_filter")), "filtered"),
        ((200, {}, completion(TWO, finish_reason="tool_calls")), "finish_reason tool_calls"),
        ((200, {}, completion(TWO, finish_reason="length")), "cut off"),
        ((200, {}, completion(None)), "empty"),
        ((200, {}, completion({"text": TWO})), "content of another shape"),
        ((200, {}, completion([{"type": "image", "text": TWO}])), "content of another shape"),
        ((200, {}, completion([["Who?"], 5])), "content of another shape"),
        ('{"questions": [1, 2]}', "JSON of another shape"),
        (json.dumps([EN[0], None]), "JSON of another shape"),
    ],
)
def test_a_fault_is_counted_and_nothing_is_stored(generate, answer, fault, capsys):
    mended = []

    def first_bad(body, number):
        return TWO if mended or "pipes" in body["messages"][-1]["content"] else answer

    assert generate(first_bad, "--attempts", "2") == [[], [], EN]
    said = capsys.readouterr().err
    assert f"4 answers were not as they must be: {fault} 4" in said
    assert "2 passages are left without queries: en 2" in said
    mended.append(True)
    assert generate(first_bad, "--attempts", "2", "--overwrite") == [EN] * 3
    assert generate.requests == 2  # what was good is cached, and nothing else


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ((400, {}, b'{"error": {"code": "content_filter", "message": "not this one"}}'),
         "prompt refused by a filter 1"),
        ((400, {}, b'{"error": {"message": "maximum context length is 8 tokens, got 9"}}'),
         "prompt too long for the model: send less of a passage with --max-passage"),
        ((422, {}, b'{"error": "`inputs` must have less than 1024 tokens."}'), "too long for"),
        ((413, {}, b"<html>"), "too long for the model 1"),
        ((403, {}, b'{"error": {"message": "your input was flagged"}}'), "by a filter 1"),
        ((400, {}, b'{"detail": "I do not like it"}'), "refused by the server 1"),
        ((200, {}, b'{"error": {"code": "content_filter", "message": "x"}}'), "by a filter 1"),
    ],
)  # fmt: skip
def test_a_prompt_that_is_refused_costs_its_passage_alone(generate, error, said, capsys):
    for bad in ("Bad words", "1701"):  # in the middle, and the first of all
        found = generate(
            lambda body, number, bad=bad: error if bad in body["messages"][-1]["content"] else TWO,
            name=bad,
        )
        assert found == [[] if bad in text else EN for text in PASSAGES]
        assert generate.requests == 3  # it is not asked again
        notes = capsys.readouterr().err
        assert said in notes
        assert "1 prompts were not answered at all" in notes


def test_settings_that_every_prompt_is_refused_for(generate, tmp_path):
    refused = (400, {}, b'{"error": {"message": "unknown field top_q"}}')
    with pytest.raises(NothingMadeError, match=r"nothing was generated: .*3 \(400 .*top_q"):
        generate(refused)
    assert not any(path.name.startswith("q.jsonl.partial") for path in tmp_path.iterdir())
    assert generate(TWO, "--temperature", "0.1") == [EN] * 3  # other settings may follow


def test_many_refusals_in_turn_are_the_settings(tmp_path):
    with serving(lambda body, number: (400, {}, b"no")) as server:
        client = ChatClient(server.url, tmp_path / "cache")
        for _ in range(3):
            assert client.ask({"model": "m"}).lasting
        with pytest.raises(XqgError, match=r"400 Bad Request \(no\); check --model"):
            client.ask({"model": "m"})
        server.answer = lambda body, number: "good"
        assert client.ask({"model": "m"}).text == "good"
        server.answer = lambda body, number: (400, {}, b"no")
        for _ in range(10):
            assert client.ask({"model": "x"}).lasting
        with pytest.raises(XqgError, match="check --model"):
            client.ask({"model": "x"})
        client.close()


def cut(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "999")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')


def cut_without_length(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')


def closed(handler):
    handler.close_connection = True


@pytest.mark.parametrize(
    "trouble",
    [
        cut,
        cut_without_length,
        closed,
        (200, {}, b'{"error": {"message": "overloaded"}}'),
        (200, {}, b'{"error": {"code": 503, "message": "x"}, "choices": []}'),
        (200, {}, b""),
    ],
)
def test_a_broken_connection_is_tried_again(generate, trouble):
    assert generate(lambda body, number: trouble if number < 4 else TWO) == [EN] * 3
    assert generate.requests == 7


def test_a_page_in_between_is_tried_again(generate):
    page = (200, {}, b"<html>back soon</html>")
    assert generate(lambda body, number: page if number in (1, 2) else TWO) == [EN] * 3


def test_trouble_that_lasts_ends_the_run(generate):
    with pytest.raises(XqgError, match="after 7 attempts; run the same command again later"):
        generate(lambda body, number: cut)


def test_nothing_at_all_is_an_error(tmp_path, write_jsonl):
    corpus = write_jsonl("c.jsonl", [{"docid": "a", "text": "An organ."}])
    with serving(lambda body, number: "I cannot help with that.") as server:
        done = subprocess.run(
            [sys.executable, "-m", "pyserini_xqg.generate", "--engine", "openai", "--base-url",
             server.url, "--model", "m", "--corpus", str(corpus), "--languages", "en",
             "--output", str(tmp_path / "q.jsonl")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("error: nothing was generated: refusal 4 (I cannot help with that.)\n")
    assert not (tmp_path / "q.jsonl").exists()


def test_expansions_are_read_the_same_way(tmp_path, write_jsonl, capsys):
    topics = write_jsonl(
        "t.jsonl",
        [{"qid": "1", "title": "organ", "lang": "en"}, {"qid": "2", "title": "bad", "lang": "en"}],
    )

    def run(answer, *options):
        with serving(answer) as server:
            expand(["--engine", "openai", "--base-url", server.url, "--model", "m", "--topics",
                    str(topics), "--output", str(tmp_path / "e.jsonl"), *options])  # fmt: skip

    paragraph = "The organ was built in 1701. It has 2000 pipes."
    refused = (400, {}, b'{"error": {"code": "content_filter", "message": "no"}}')
    run(lambda body, number: (
        refused if "bad" in body["messages"][-1]["content"] else f'</think>1. "{paragraph}"</s>'
    ))  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [[item["text"] for item in row["expansions"]] for row in rows] == [[paragraph], []]
    assert "prompt refused by a filter 1" in capsys.readouterr().err
    (tmp_path / "e.jsonl").unlink()
    with pytest.raises(NothingMadeError, match="nothing was written for any topic: refusal 8"):
        run(lambda body, number: "I'm sorry.", "--kind", "paraphrase")
    assert not (tmp_path / "e.jsonl").exists()
