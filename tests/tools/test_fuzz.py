"""Any bytes as input: what comes is a row or an error of ours, never a traceback.

``XQG_FUZZ_EXAMPLES=15000 python -m pytest tests/tools/test_fuzz.py`` tries 105,000 inputs.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import tempfile
from codecs import BOM_UTF8
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_lines, unpacked
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.judged import read_qrels
from pyserini_xqg.collection.records import (
    PassageFormat,
    parse_passage,
    parse_queries,
    queries_of,
)
from pyserini_xqg.collection.runs import read_run, stream_corpus
from pyserini_xqg.collection.tables import QUERIES, read_rows
from pyserini_xqg.collection.topics import parse_topic, read_topics
from pyserini_xqg.evaluate.by_query import read_by_query
from pyserini_xqg.evaluate.xor.predictions import read_gold, read_predictions

EXAMPLES = int(os.environ.get("XQG_FUZZ_EXAMPLES", "150"))

pytestmark = pytest.mark.filterwarnings("ignore:.*unlisted language code")

FORMS = [
    PassageFormat(),
    PassageFormat(("title", "text")),
    PassageFormat(("title",), docid_field="key", delimiter="\t"),
]
NAMES = st.sampled_from(
    "docid id _id qid key title text contents question lang generated_queries scores".split()
)
CODES = st.sampled_from(["te", "ar", "bn-Latn", "BN-latn", "zh-TW", "xx", "", "e", "te_IN"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**4299), 2**63])
TEXTS = st.text(max_size=20) | st.sampled_from(["", " ", "a\tb", "a\nb", "\ufeff", "\x00", "007"])
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CODES | NAMES, inner, max_size=4),
    max_leaves=12,
)
LISTS = st.dictionaries(CODES, st.lists(TEXTS, max_size=3) | VALUES, max_size=3)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["docid", "id", "qid", "title", "lang", "key"], TEXTS | VALUES),
        **dict.fromkeys(["text", "contents", "question"], TEXTS | VALUES),
        "generated_queries": LISTS | VALUES,
        "scores": st.dictionaries(CODES, st.lists(NUMBERS | st.none(), max_size=3)) | VALUES,
    },
)
WHOLE = {
    "docid": "d1", "qid": "te-1", "title": "a", "text": "b", "lang": "te",
    "generated_queries": {"te": ["q", "r"], "ar": []}, "scores": {"te": [1, None]},
}  # fmt: skip


@st.composite
def mutated(draw, lines):
    """A line with some of its bytes left out, changed, doubled, or others put in."""
    line = bytearray(draw(lines))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(line)))
        stop = draw(st.integers(start, min(start + 8, len(line))))
        line[start:stop] = draw(
            st.binary(max_size=6)
            | st.just(bytes(line[start:stop]) * 2)
            | st.sampled_from([b'"', b"\\", b"\\ud800", b"{", b"]", b"\t", b"\r", b"\n", b"\xff"])
        )
    return bytes(line)


def as_json(row):
    """With the escapes of ASCII, or without where the row has an encoding."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except (UnicodeEncodeError, ValueError):
        return b"{}"


JSON = (
    st.binary(max_size=80)
    | mutated(st.just(json.dumps(WHOLE).encode()))
    | mutated(ROWS.map(as_json))
    | st.sampled_from([b"[" * 2000, b'{"docid": ' + b"1" * 5000 + b"}", b'{"text": NaN}', b"null"])
)
CELLS = st.lists(TEXTS.map(str.encode) | st.binary(max_size=8), max_size=5)
TSV = st.binary(max_size=80) | mutated(CELLS.map(b"\t".join)) | mutated(st.just(b'1\t"a"\tb\r\n'))

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 1000,  # in CI the same inputs each time
    database=None,
    suppress_health_check=list(HealthCheck),
)


def only_our_errors(parse, *args):
    try:
        return parse(*args)
    except XqgError as error:
        said = str(error)
    assert said.startswith("f:1: ")
    return None


def only_our_errors_of(path, read):
    try:
        return read()
    except XqgError as error:
        said = str(error)
    assert said.startswith(f"{path}:")
    return None


@fuzzed
@given(JSON, st.sampled_from(FORMS))
@example(b'{"docid": ' + b"1" * 5000 + b', "text": ""}', FORMS[0])
def test_passages(line, form):
    row = only_our_errors(parse_passage, line, "f:1", form)
    if row is not None:
        assert row.docid.split() == [row.docid]
        "\n".join(row).encode()


@fuzzed
@given(JSON)
@example(
    b'{"docid": "a", "generated_queries": {"te": ["q"]}, "scores": {"te": [1%s]}}' % (b"0" * 400)
)
def test_queries(line):
    row = only_our_errors(parse_queries, line, "f:1")
    if row is not None and row.scores is not None:
        for language, texts in row.queries.items():
            assert len(row.scores[language]) == len(texts)


@fuzzed
@given(JSON)
def test_topics(line):
    row = only_our_errors(parse_topic, line, "f:1")
    if row is not None:
        assert row.qid.split() == [row.qid]
        assert len(row.text.splitlines()) <= 1


@fuzzed
@given(
    st.lists(JSON, max_size=4),
    st.lists(JSON, max_size=3),
    st.binary(max_size=4),
    st.sampled_from(["c.jsonl", "c.tsv", "c.jsonl.gz"]),
)
@example([b'{"docid": "d1", "text": "a"}'], [json.dumps(WHOLE).encode()], b"", "c.jsonl")
def test_whole_files(passages, queries, end, name):
    content = b"\n".join(passages) + end
    with tempfile.TemporaryDirectory() as folder:
        corpus, source, work = Path(folder, name), Path(folder, "q.jsonl"), Path(folder, "work")
        work.mkdir()
        corpus.write_bytes(gzip.compress(content) + end if name.endswith("gz") else content)
        source.write_bytes(b"\n".join(queries) + end)
        before = {corpus: corpus.read_bytes(), source: source.read_bytes()}
        with contextlib.suppress(XqgError):
            join = Join(corpus, [source], work)
            rows = list(join.read_passages(0, join.passages))
            assert len(rows) == join.passages
            join.queries_of([row.docid for row in rows])
            join.close()
        assert {path: path.read_bytes() for path in before} == before
        assert {entry.name for entry in Path(folder).iterdir()} == {name, "q.jsonl", "work"}


@fuzzed
@given(st.binary(max_size=200), st.booleans())
def test_lines_and_gzip(content, packed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl.gz" if packed else "a.jsonl")
        path.write_bytes(content)
        try:
            plain = unpacked(path, Path(folder))
        except XqgError:
            return
        lines = list(only_our_errors_of(plain, lambda: list(read_lines(plain))) or ())
        whole = plain.read_bytes()
        assert all(whole[x.offset : x.offset + len(x.content)] == x.content for x in lines)
        if lines:
            kept = whole.replace(BOM_UTF8, b"")
            assert b"".join(x.content for x in lines).replace(BOM_UTF8, b"").split() == kept.split()
        for line in lines:  # each can be found again by its place
            assert next(read_lines(plain, line.offset, line.number)) == line


SEEDS = {
    "a.run": b"te-1 Q0 d1 1 0.5 tag\nte-1 Q0 d2 2.0 2.5e-1 tag\n",
    "b.run": b"te-1 d1 0.5\nte-1 d2 0.25\n",
    "qrels.txt": b"te-1 0 d1 1.0\nte-2 0 d1 0\n",
    "qrels.tsv": b"query-id\tcorpus-id\tscore\nte-1\td1\t1\n",
    "topics.tsv": b"qid\tlang\tquery\nte-1\tte\ta b\n",
    "topics.jsonl": b'{"_id": "te-1", "text": "a", "lang": "te"}\n',
    "topics.xml": b"<top>\n<num> Number: 1\n<title> a &amp; b\n</top>\n",
    "corpus.tsv": b'id\ttext\ttitle\nd1\t"a ""b"""\tc\n',
    "queries.tsv": b"docid\tquery\nd1\ta\n",
    "predictions.json": b'[{"id": "te-1", "lang": "te", "ctxs": ["a"]}]',
    "gold.jsonl": b'{"id": "te-1", "lang": "te", "answers": ["a", "yes"]}\n',
    "scores.csv": b"qid,RR@10\nte-1,0.5\n",
}


def read_whole_file(path):
    """What a command makes of a file of that name."""
    if path.suffix == ".run":
        return read_run(path)
    if path.name.startswith("queries"):
        return [queries_of(row, where, language="te") for where, row in read_rows([path], QUERIES)]
    readers = {
        "qrels": read_qrels, "topics": read_topics, "predictions": read_predictions,
        "gold": read_gold, "scores": read_by_query, "corpus": lambda p: list(stream_corpus(p)),
    }  # fmt: skip
    return readers[path.stem](path)


PACK = st.sampled_from([bytes, bytes, gzip.compress, bz2.compress, lzma.compress])


@fuzzed
@given(st.data(), st.sampled_from(sorted(SEEDS)), PACK, st.sampled_from([b"", BOM_UTF8]))
def test_files_of_every_kind(data, name, pack, mark):
    content = mark + data.draw(st.just(SEEDS[name]) | mutated(st.just(SEEDS[name])) | JSON | TSV)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        plain = only_our_errors_of(path, lambda: read_whole_file(path))
        path.write_bytes(pack(content))
        # Whatever packs it, and with a byte order mark or without, a file says the same.
        assert only_our_errors_of(path, lambda: read_whole_file(path)) == plain
        path.write_bytes(content.removeprefix(BOM_UTF8))
        assert only_our_errors_of(path, lambda: read_whole_file(path)) == plain
        assert os.listdir(folder) == [name]
