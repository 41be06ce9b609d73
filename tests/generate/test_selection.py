from __future__ import annotations

import json
from collections import Counter

import pytest
from chat_server import serving

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.generate.__main__ import main
from pyserini_xqg.generate.selection import Selection, sample_size

SIZES = {"long": 60, "middle": 30, "short": 9, "stub": 1}


@pytest.fixture
def corpus(write_jsonl):
    """A hundred passages of four documents, the documents' passages mixed."""
    rows = [
        {"docid": f"{title}#{n}", "title": title, "text": f"{title} {n}"}
        for title, size in SIZES.items()
        for n in range(size)
    ]
    rows.sort(key=lambda row: hash_of(row["docid"]))
    return write_jsonl("c.jsonl", rows)


def hash_of(text):
    return sum((n + 1) * byte for n, byte in enumerate(text.encode())) % 97


@pytest.fixture
def select(corpus, tmp_path):
    def call(sample=None, seed=0, corpus=corpus, earlier=()):
        join = Join(corpus, earlier, tmp_path)
        chosen = Selection(join, tmp_path, sample=sample, seed=seed)
        found = [passage.docid for passage in chosen.read_passages(0, chosen.passages)]
        assert len(found) == chosen.passages
        assert list(chosen.read_passages(1, 3)) == list(chosen.read_passages(0, 3))[1:]
        join.close()
        return found

    return call


def test_all_of_them(select, corpus):
    assert select() == [json.loads(line)["docid"] for line in corpus.read_text().splitlines()]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9, 1.0])
def test_every_document_gives_its_share(select, share):
    for seed in range(5):
        counts = Counter(docid.partition("#")[0] for docid in select(share, seed))
        assert sum(counts.values()) == round(100 * share)
        for title, size in SIZES.items():
            assert abs(counts[title] - share * size) <= 1


def test_a_larger_sample_holds_the_smaller_ones(select):
    whole, smaller = select(), set()
    for count in range(1, 101):
        found = select(count)
        assert len(found) == count
        assert smaller < set(found)
        assert found == [docid for docid in whole if docid in set(found)]  # in corpus order
        smaller = set(found)
    assert select(1000) == whole


def test_by_seed_and_docid_not_by_place(select, write_jsonl, corpus):
    assert select(20) == select(0.2)
    assert select(20, seed=1) != select(20)
    rows = list(map(json.loads, corpus.read_text().splitlines()))
    turned = write_jsonl("turned.jsonl", rows[::-1])
    assert select(20, corpus=turned)[::-1] == select(20)


def test_without_titles_it_is_spread_over_the_corpus(select, write_jsonl):
    rows = [{"docid": str(n), "text": "x"} for n in range(5000)]
    found = [int(docid) for docid in select(0.125, corpus=write_jsonl("t.jsonl", rows))]
    assert len(found) == 625
    counts = Counter(number // 64 for number in found)
    assert {counts[stretch] for stretch in range(5000 // 64)} <= {7, 8, 9}


def test_what_has_queries_is_left_out(select, write_jsonl):
    small = select(20)
    earlier = write_jsonl(
        "q.jsonl",
        [{"docid": docid, "generated_queries": {"fi": ["mikä"]}} for docid in small[1:]]
        + [{"docid": small[0], "generated_queries": {"fi": []}}],
    )
    more = select(50, earlier=[earlier])
    assert set(more) == {*set(select(50)) - set(small), small[0]}
    rest = select(earlier=[earlier])
    assert rest == [docid for docid in select() if docid not in small[1:]]
    with pytest.raises(XqgError, match="every passage has queries in the --earlier files"):
        whole = [{"docid": docid, "generated_queries": {"fi": ["mikä"]}} for docid in select()]
        select(earlier=[write_jsonl("w.jsonl", whole)])


@pytest.mark.parametrize(
    ("text", "size"), [("7", 7), ("0.1", 0.1), ("10%", 0.1), ("1.0", 1.0), ("1", 1)]
)
def test_sizes(text, size):
    assert sample_size(text) == size
    assert type(sample_size(text)) is type(size)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "0%", "101%", "x", "", "nan", "inf", "0.0"])
def test_sizes_that_are_none(text):
    with pytest.raises(XqgError, match="expected a number of passages, or a share"):
        sample_size(text)


def test_the_command_generates_for_a_sample_and_then_for_more(corpus, select, tmp_path):
    def answer(body, number):
        name = body["messages"][-1]["content"].split("Passage: ")[1].split("\n")[0]
        return f"Mikä on {name}?\nMissä on {name}?"

    def run(server, name, *options):
        output = tmp_path / name
        main(["--engine", "openai", "--base-url", server.url, "--model", "m", "--corpus",
              str(corpus), "--languages", "fi", "--num-queries", "2", "--output", str(output),
              *options])  # fmt: skip
        return output.read_bytes()

    with serving(answer) as server:
        ten = run(server, "ten", "--sample", "10%")
        assert [json.loads(row)["docid"] for row in ten.splitlines()] == select(10)
        shards = [run(server, f"s{n}", "--sample", "0.1", "--shard-id", str(n), "--shard-num", "3")
                  for n in range(3)]  # fmt: skip
        assert b"".join(shards) == ten
        asked = len(server.requests)
        more = run(server, "more", "--sample", "30", "--earlier", str(tmp_path / "ten"))
        assert len(server.requests) == asked + 20
        both = {json.loads(row)["docid"] for row in (ten + more).splitlines()}
        assert both == set(select(30))
        assert (tmp_path / "ten").read_bytes() == ten
    join = Join(corpus, [tmp_path / "ten", tmp_path / "more"], tmp_path)  # and both together
    assert join.counts == {"fi": 60}


def test_a_dry_run_reckons_with_the_sample(corpus, capsys):
    main(["--engine", "openai", "--model", "m", "--corpus", str(corpus), "--languages", "fi", "te",
          "--sample", "0.25", "--dry-run"])  # fmt: skip
    assert "50 requests" in capsys.readouterr().out
