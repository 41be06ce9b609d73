from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.places import Places
from pyserini_xqg.collection.records import PassageFormat
from pyserini_xqg.collection.shards import BLOCK


@pytest.fixture
def work(tmp_path):
    path = tmp_path / "work"
    path.mkdir()
    return path


def test_any_order_and_several_files(write_jsonl, work):
    rng = random.Random(1)
    docids = [f"d{i}" for i in range(3 * BLOCK + 17)]
    corpus = [{"docid": docid, "text": f"text of {docid}"} for docid in docids]
    rows = [{"docid": d, "generated_queries": {"te": [f"q {d}"]}} for d in docids if d != "d5"]
    rng.shuffle(rows)
    first = write_jsonl("corpus/b.jsonl", corpus[2000:])
    write_jsonl("corpus/a.jsonl", corpus[:2000])
    write_jsonl("corpus/.dotfile", [{"broken": 1}])
    queries = write_jsonl("q.jsonl", rows)
    more = write_jsonl("more.jsonl", [{"docid": "d7", "generated_queries": {"te": ["more", " "]}}])
    join = Join(first.parent, [queries, more], work)
    assert join.passages == len(docids)
    assert join.languages == ["te"]
    assert join.counts == {"te": len(rows) + 1}
    assert join.empty_queries == 1
    assert [p.docid for p in join.read_passages(0, join.passages)] == docids
    for start, stop in ((0, 1), (1023, 1025), (1990, 2010), (3000, len(docids)), (7, 7)):
        passages = list(join.read_passages(start, stop))
        assert [passage.text for passage in passages] == [
            f"text of {docid}" for docid in docids[start:stop]
        ]
    found = join.queries_of(["d5", "d7", "d3000"])
    assert found == [{}, {"te": ["q d7", "more"]}, {"te": ["q d3000"]}]
    join.close()


def test_one_file_may_hold_both(write_jsonl, work):
    path = write_jsonl("both.jsonl", [
        {"docid": "1", "title": "t", "text": "p", "generated_queries": {"ar": ["a"], "bn": ["b"]}}
    ])  # fmt: skip
    join = Join(path, [path], work, languages=["bn"])
    assert join.queries_of(["1"]) == [{"bn": ["b"]}]
    assert join.samples == {"und": "p", "ar": "a", "bn": "b"}


def test_gzip_and_tsv(tmp_path, work):
    corpus = tmp_path / "wiki.tsv.gz"
    corpus.write_bytes(gzip.compress(b"id\ttext\ttitle\n1\tone\tA\n2\ttwo\tB\n"))
    queries = tmp_path / "q.jsonl.gz"
    row = {"docid": "2", "generated_queries": {"fi": ["kaksi"]}}
    queries.write_bytes(gzip.compress(json.dumps(row).encode()))
    join = Join(corpus, [queries], work)
    assert [tuple(passage) for passage in join.read_passages(0, 9)] == [
        ("1", "A", "one"), ("2", "B", "two"),
    ]  # fmt: skip
    assert join.queries_of(["1", "2"]) == [{}, {"fi": ["kaksi"]}]


def test_digests_are_those_of_the_content(tmp_path, write_jsonl, work):
    path = write_jsonl("a.jsonl", [{"id": "1", "text": "x"}])
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert Join(path, [], work).digests == Join(packed, [], work).digests
    assert (
        Join(write_jsonl("c.jsonl", [{"id": "1", "text": "y"}]), [], work).digests
        != Join(path, [], work).digests
    )


def test_empty_text_is_counted(write_jsonl, work):
    path = write_jsonl("a.jsonl", [{"id": "1", "text": ""}, {"id": "2", "text": "x"}])
    assert Join(path, [], work).empty_texts == 1


CORPUS = [{"docid": "a", "text": "x"}, {"docid": "b", "text": "y"}]


def query(docid, **queries):
    return {"docid": docid, "generated_queries": queries or {"te": ["q"]}}


@pytest.mark.parametrize(
    ("corpus", "queries", "message"),
    [
        ([*CORPUS, {"docid": "a", "text": "z"}], [],
         r"c\.jsonl:3: duplicate docid 'a', first seen at .*c\.jsonl:1"),
        (CORPUS, [query("a"), query("a")],
         r"q\.jsonl:2: duplicate docid 'a', first seen at .*q\.jsonl:1"),
        (CORPUS, [query("a"), query("z")],
         r"q\.jsonl:2: docid 'z' is not in the corpus \(1 such row\(s\)\); --ignore-unknown"),
        (CORPUS, [query("a", te=[" "])], "hold no queries in any language"),
        ([], [], r"c\.jsonl: no passages in it"),
        ([*CORPUS, {"docid": "c"}], [], r"c\.jsonl:3: no field 'text'"),
    ],
)  # fmt: skip
def test_bad_input(write_jsonl, work, corpus, queries, message):
    paths = [write_jsonl("q.jsonl", queries)] if queries else []
    with pytest.raises(XqgError, match=message):
        Join(write_jsonl("c.jsonl", corpus), paths, work)


def test_duplicates_are_found_across_batches(write_jsonl, work):
    corpus = [{"id": str(i % 10_500), "text": "x"} for i in range(10_501)]
    with pytest.raises(XqgError, match=r"c\.jsonl:10501: duplicate docid '0', first .*jsonl:1;"):
        Join(write_jsonl("c.jsonl", corpus), [], work)


def test_unknown_docids_may_be_ignored(write_jsonl, work):
    corpus = write_jsonl("c.jsonl", CORPUS)
    queries = write_jsonl("q.jsonl", [query("z"), query("a")])
    join = Join(corpus, [queries], work, ignore_unknown=True)
    assert join.unknown == 1


def test_a_language_that_is_not_there(write_jsonl, work):
    corpus, queries = write_jsonl("c.jsonl", CORPUS), write_jsonl("q.jsonl", [query("a")])
    with pytest.raises(XqgError, match="--languages: no generated queries in bn; found te"):
        Join(corpus, [queries], work, languages=["te", "bn"])


def test_fields_inside_contents(write_jsonl, work):
    path = write_jsonl("c.jsonl", [{"id": "1", "contents": "Title\nText"}])
    join = Join(path, [], work, form=PassageFormat(("title", "text")))
    assert next(join.read_passages(0, 1)) == ("1", "Title", "Text")


JOIN_ALONE = """
import sys
from pathlib import Path
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.shards import BLOCK

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

corpus, queries, work = map(Path, sys.argv[1:])
before = peak()
join = Join(corpus, [queries], work)
for row in range(0, join.passages, BLOCK):
    join.queries_of([passage.docid for passage in join.read_passages(row, row + BLOCK)])
print((peak() - before) * 1024, (work / "join.sqlite").stat().st_size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_the_tables_memory_is_bounded(write_jsonl, work):
    docids = [f"{i:05}" + 800 * "x" for i in range(30_000)]  # long, so that few make a large table
    corpus = write_jsonl("c.jsonl", ({"docid": docid, "text": "a"} for docid in docids))
    rows = ({"docid": docid, "generated_queries": {"te": ["q"]}} for docid in docids)
    queries = write_jsonl("q.jsonl", rows)
    said = subprocess.run(
        [sys.executable, "-c", JOIN_ALONE, corpus, queries, work],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    grown, table = map(int, said.stdout.split())
    assert table > 50e6
    assert grown < 0.75 * table


def test_rows_are_inserted_in_batches(write_jsonl, work, monkeypatch):
    sizes = []
    stock = Places._insert

    def insert(self, table):
        sizes.extend([len(self._waiting[table])] if self._waiting[table] else [])
        stock(self, table)

    monkeypatch.setattr("pyserini_xqg.collection.places._INSERT_ROWS", 4)
    monkeypatch.setattr(Places, "_insert", insert)
    corpus = write_jsonl("c.jsonl", [{"docid": f"d{i}", "text": "t"} for i in range(10)])
    queries = write_jsonl(
        "q.jsonl", [{"docid": f"d{i}", "generated_queries": {"te": ["q"]}} for i in range(10)]
    )
    Join(corpus, [queries], work).close()
    assert sizes == [4, 4, 2, 4, 4, 2]


def test_a_place_is_kept_for_each_block(write_jsonl, work):
    rows = [{"docid": f"d{i}", "text": "t"} for i in range(2 * BLOCK + 1)]
    join = Join(write_jsonl("c.jsonl", rows), [], work)
    places = [join._places.block_before(row)[:1] for row in (0, BLOCK + 1, 2 * BLOCK)]
    assert [row for (row,) in places] == [0, BLOCK, 2 * BLOCK]
    assert list(join.read_passages(5, 5)) == []
    assert [p.docid for p in join.read_passages(BLOCK, BLOCK + 2)] == [f"d{BLOCK}", f"d{BLOCK + 1}"]


def test_queries_of_one_language_and_in_tsv(write_jsonl, tmp_path):
    corpus = write_jsonl("c.jsonl", [{"docid": d, "text": d} for d in ("a", "b", "c")])
    tsv = tmp_path / "q.tsv"
    tsv.write_text("\ufeffdocid\tquery\nb\tone\na\ttwo\nb\tthree\n")
    lists = write_jsonl("l.jsonl", [{"id": "b", "predicted_queries": ["four", " "], "score": 1}])
    ours = write_jsonl("o.jsonl", [{"docid": "b", "generated_queries": {"fi": ["five"]}}])
    work = tmp_path / "work"
    work.mkdir()
    join = Join(corpus, [tsv, lists, ours], work, language="te")
    expected = {"te": ["one", "three", "four"], "fi": ["five"]}
    assert join.queries_of(["c", "b", "a"]) == [{}, expected, {"te": ["two"]}]
    assert (join.languages, join.counts, join.empty_queries) == (
        ["fi", "te"], {"te": 4, "fi": 1}, 1,
    )  # fmt: skip
    # Whoever goes on with the rows finds them in our own form, whatever theirs was.
    lines = [json.loads(line) for _, line in join.query_rows(["b"])]
    assert lines == [
        {"docid": "b", "generated_queries": {"te": ["one"]}},
        {"docid": "b", "generated_queries": {"te": ["three"]}},
        {"docid": "b", "id": "b", "score": 1, "generated_queries": {"te": ["four", " "]}},
        {"docid": "b", "generated_queries": {"fi": ["five"]}},
    ]
    join.close()
    with pytest.raises(XqgError, match=r"q.tsv:2: 'query' does not say its language; .*--language"):
        Join(corpus, [tsv], work)
    twice = write_jsonl("d.jsonl", [{"docid": "b", "predicted_queries": ["a"]}] * 2)
    with pytest.raises(XqgError, match=r"d.jsonl:2: duplicate docid 'b', first seen at .*:1"):
        Join(corpus, [twice], work, language="te")
    tsv.write_text("docid\tlang\tquery\nb\tfi\tone\nx\tte\ttwo\nx\tte\tthree\n")
    with pytest.raises(XqgError, match=r"q.tsv:3: docid 'x' is not in the corpus \(2 such row"):
        Join(corpus, [tsv], work)
    join = Join(corpus, [tsv], work, ignore_unknown=True)
    assert join.queries_of(["b"]) == [{"fi": ["one"]}]
    join.close()


@pytest.mark.parametrize("other", ["d1", "d3"])
def test_queries_that_change_under_our_hands(write_jsonl, work, other):
    corpus = write_jsonl("c.jsonl", [{"docid": f"d{i}", "text": "t"} for i in (1, 2, 3)])
    queries = write_jsonl("q.jsonl", [{"docid": "d2", "generated_queries": {"te": ["q"]}}])
    join = Join(corpus, [queries], work)
    queries.write_text(queries.read_text().replace("d2", other))
    with pytest.raises(XqgError, match="q.jsonl:1: the file changed while it was read"):
        join.queries_of(["d2"])
    join.close()


def test_the_line_of_a_row_is_its_own_or_what_ours_would_be(write_jsonl, tmp_path, work):
    corpus = write_jsonl("c.jsonl", [{"docid": "a", "text": "t"}])
    ours, plain = tmp_path / "ours.jsonl", tmp_path / "plain.jsonl"
    ours.write_text('{"docid":  "a","generated_queries":{"te":["నది"]},  "by": "\\u0c28"}\n')
    plain.write_text('{"docid": "a", "predicted_queries": ["నగరం"], "lang": "te", "by": "నా"}\n')
    join = Join(corpus, [ours, plain], work)
    (_, first), (_, second) = join.query_rows(["a"])
    assert first == ours.read_bytes()
    assert second.decode() == ('{"docid": "a", "by": "నా", "generated_queries": {"te": ["నగరం"]}}\n')


def test_samples_are_the_first_with_words(write_jsonl, work):
    texts = ["", " ", "one two", "three"]
    corpus = [{"docid": str(i), "text": text} for i, text in enumerate(texts)]
    rows = [{"docid": "1", "generated_queries": {"te": [" "], "fi": [" ", "first", "second"]}},
            {"docid": "2", "generated_queries": {"te": ["third"], "fi": ["fourth"]}}]  # fmt: skip
    join = Join(write_jsonl("c.jsonl", corpus), [write_jsonl("q.jsonl", rows)], work)
    assert join.samples == {"und": "one two", "te": "third", "fi": "first"}


def test_queries_count_once(write_jsonl, work, tmp_path):
    corpus = write_jsonl("c.jsonl", [{"docid": "1", "text": "t"}])
    queries = write_jsonl("q.jsonl", [{"docid": "1", "generated_queries": {"te": ["q"]}}])
    (tmp_path / "r.jsonl.gz").write_bytes(gzip.compress(queries.read_bytes()))
    for again in (queries, tmp_path / "r.jsonl.gz"):
        with pytest.raises(XqgError, match=rf"{again.name} holds the same queries as \S+q.jsonl"):
            Join(corpus, [queries, again], work)
        (work / "join.sqlite").unlink(missing_ok=True)
