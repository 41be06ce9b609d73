from __future__ import annotations

import gzip
import json
import shlex

import pytest
from chat_server import serving

from pyserini_xqg.collection.records import PassageFormat
from pyserini_xqg.filter.__main__ import main as clean
from pyserini_xqg.generate import offer
from pyserini_xqg.generate.__main__ import main
from pyserini_xqg.generate.offer import offer_filter

PASSAGE = "The organ of the church was built by a famous workshop in the town by the lake."
FI, WRONG = "Milloin kirkon urut rakennettiin?", "When was the organ of the church built?"
TE, LATIN = "ఆర్గాన్ ఎప్పుడు నిర్మించారు?", "Milloin urut rakennettiin?"


@pytest.fixture
def files(write_jsonl):
    """Of 200 queries 10 in Telugu's name are Finnish, 20 in Finnish's name English."""
    docids = [str(n) for n in range(100)]
    corpus = write_jsonl("c.jsonl", [{"docid": docid, "text": PASSAGE} for docid in docids])
    rows = [
        {
            "docid": docid,
            "generated_queries": {
                "te": [LATIN if n % 10 == 0 else TE],
                "fi": [WRONG if n % 5 == 1 else FI],
            },
        }
        for n, docid in enumerate(docids)
    ]
    return corpus, write_jsonl("q.b.jsonl", rows)


def test_the_shares_and_a_command_that_drops_them(files, tmp_path, capsys):
    corpus, queries = files
    said, command = offer_filter(corpus, queries, PassageFormat())
    assert said == (
        "of 200 queries looked at, filter would drop 5.0 % by --script (te 10.0 %) and "
        "another 10.0 % by --identify en (fi 20.0 %):"
    )
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "pyserini_xqg.filter"]
    clean(words[3:])
    report = capsys.readouterr().out.splitlines()
    assert report[0].split()[:4] == ["read", "kept", "language", "script"]
    assert report[3].split() == ["all", "200", "170", "20", "10"]
    assert (tmp_path / "q-clean.b.jsonl").exists()


def test_a_packed_file(files, tmp_path):
    corpus, queries = files
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(queries.read_bytes()))
    said, command = offer_filter(corpus, tmp_path / "q.jsonl.gz", PassageFormat())
    assert said.startswith("of 200 queries looked at, filter would drop 5.0 % by --script")
    assert command.endswith("q-clean.jsonl.gz")


def test_a_bounded_number_from_all_over_the_file(files, write_jsonl, monkeypatch):
    rows = [
        {"docid": str(n), "generated_queries": {"te": [LATIN if n >= 5000 else TE] * 2}}
        for n in range(10_000)
    ]
    queries = write_jsonl("q.jsonl", rows)
    said, _ = offer_filter(files[0], queries, PassageFormat())
    assert said.startswith("of 1,000 queries looked at")
    found = [row["te"][0] for row in offer._rows(queries)]
    assert len(found) == 1024
    assert 300 < found.count(LATIN) < 512  # places are even in bytes, and Telugu has more of them
    monkeypatch.setattr(offer, "_ROWS", 1000)  # more than there are: each once
    assert len(list(offer._rows(queries))) == 10_000


def test_a_language_that_nobody_tells_apart(files, write_jsonl):
    queries = write_jsonl("x.jsonl", [{"docid": "0", "generated_queries": {"tlh": ["nuq"]}}])
    said, _ = offer_filter(files[0], queries, PassageFormat())
    assert said == "of 1 queries looked at, filter would drop 0.0 % by --script:"


def test_the_generator_says_it(files, tmp_path, monkeypatch, capsys):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with serving(lambda body, number: FI) as server:
        main(["--engine", "openai", "--base-url", server.url, "--model", "m", "--corpus",
              str(files[0]), "--languages", "fi", "--num-queries", "1", "--output",
              str(tmp_path / "new.jsonl")])  # fmt: skip
    said = capsys.readouterr().err
    assert (
        "of 100 queries looked at, filter would drop 0.0 % by --script and another 0.0 % by "
        in said
    )
    assert "note: python -m pyserini_xqg.filter --corpus" in said
    assert json.loads((tmp_path / "new.jsonl").read_text().splitlines()[0])
