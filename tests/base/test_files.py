from __future__ import annotations

import gzip
from codecs import BOM_UTF8
from types import NoneType

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import (
    check_fields,
    digest,
    input_files,
    parsed_json,
    parsed_rows,
    read_json,
    read_lines,
    read_object,
    read_whole,
    unpacked,
    write_json,
)


def test_a_folder_is_read_in_sorted_order_without_dotfiles(tmp_path):
    for name in ("b.jsonl", "a.jsonl.gz", "c.TSV.zst", ".hidden.jsonl"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in input_files(tmp_path)] == ["a.jsonl.gz", "b.jsonl", "c.TSV.zst"]


def test_other_files_in_a_folder_are_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "README.md").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"passed over 1 other file\(s\): README.md"):
        assert len(input_files(tmp_path)) == 1


def test_nothing_to_read(tmp_path):
    with pytest.raises(XqgError, match="no such file or folder"):
        input_files(tmp_path / "none")
    with pytest.raises(XqgError, match="in this folder"):
        input_files(tmp_path)


def test_lines_know_their_place(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\n\n  \ntwo\nthree")
    lines = list(read_lines(path))
    assert [(line.number, line.offset, line.content) for line in lines] == [
        (1, 0, b"one\n"), (4, 8, b"two\n"), (5, 12, b"three"),
    ]  # fmt: skip
    assert list(read_lines(path, lines[1].offset, lines[1].number)) == lines[1:]


def test_packed_files_are_unpacked_once(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"one\n"))
    plain = unpacked(path, tmp_path / "work")
    assert plain.read_bytes() == b"one\n"
    assert plain.name.endswith("a.jsonl")
    plain.write_bytes(b"not again")
    assert unpacked(path, tmp_path / "work").read_bytes() == b"not again"
    path.write_bytes(gzip.compress(b"changed since"))
    assert unpacked(path, tmp_path / "work").read_bytes() == b"changed since"
    path.write_bytes(b"plain, whatever its name")
    assert unpacked(path, tmp_path / "work") == path


def test_byte_order_marks_are_dropped_wherever_files_were_put_together(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(BOM_UTF8 + b"one\n" + BOM_UTF8 * 2 + b"two\n" + BOM_UTF8 + b"\n")
    lines = list(read_lines(path))
    assert [(line.number, line.offset, line.content) for line in lines] == [
        (1, 3, b"one\n"), (2, 13, b"two\n"),
    ]  # fmt: skip
    assert list(read_lines(path, lines[1].offset, lines[1].number)) == lines[1:]
    path.write_bytes(BOM_UTF8 + b"[1]")
    assert read_whole(path) == b"[1]"


def test_lines_that_end_in_cr_alone_are_refused(tmp_path):
    path = tmp_path / "a.tsv"
    for content in (b"1\tone\r2\ttwo\r", b"1\tone\r2\ttwo"):
        path.write_bytes(content)
        with pytest.raises(XqgError, match=r"a.tsv: its lines end in CR alone, .*tr '\\r' '\\n'"):
            list(read_lines(path))
    for content in (b"1\tone\r", b"1\tone\r\n2\ttwo\r", b"1\to\rne\n2\ttwo\rthree"):
        path.write_bytes(content)
        assert b"".join(line.content for line in read_lines(path)) == content


def test_json_is_whole_or_not_there(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": "ఎంత"})
    assert read_json(path) == {"a": "ఎంత"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]
    path.write_text("{")
    with pytest.raises(XqgError, match=r"a\.json: damaged"):
        read_json(path)


def test_digest_is_pinned():
    assert digest(b"xqg") == "05244f2c77f1a70d7caebe223479a06f"  # stores on disks carry these


def test_rows_go_to_the_parser_of_their_file(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"one\n\ntwo\n"))
    (tmp_path / "b.tsv").write_bytes(b"three\n")

    def parser(name):
        return lambda content, where: (name, content, where)

    files = input_files(tmp_path)
    rows = [(str(tmp_path / place), name, content) for place, name, content in (
        ("a.jsonl.gz:1", "other", b"one\n"), ("a.jsonl.gz:3", "other", b"two\n"),
        ("b.tsv:1", "tsv", b"three\n"),
    )]  # fmt: skip
    assert list(parsed_rows(files, parser("tsv"), parser("other"))) == [
        (where, (name, content, where)) for where, name, content in rows
    ]


def test_objects_that_others_may_have_written(tmp_path):
    path = tmp_path / "a.json"
    for content in ("[]", "5", '"a"', "[" * 100_000):
        path.write_text(content)
        with pytest.raises(XqgError, match=r"a\.json: damaged"):
            read_object(path)
    path.write_text('{"a": 1}')
    assert read_object(path) == {"a": 1}
    fields = {"n": int, "m": (dict, NoneType)}
    check_fields({"n": 0, "m": {}, "other": 1}, fields, path)
    check_fields({"n": 0}, fields, path)
    for found in ({}, {"n": True}, {"n": -1}, {"n": "1"}, {"n": 0, "m": []}):
        with pytest.raises(XqgError, match=r"a\.json: damaged \('[nm]' is .*\); build it again"):
            check_fields(found, fields, path)


@pytest.mark.parametrize("content", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]'])
def test_a_key_that_stands_twice_is_no_value(tmp_path, content):
    with pytest.raises(ValueError, match="the key 'a' stands twice in one object"):
        parsed_json(content)
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(XqgError, match=r"a\.json: damaged \(the key 'a' stands twice"):
        read_json(tmp_path / "a.json")
    assert parsed_json('[{"a": 1}, {"a": {"a": 2}}]') == [{"a": 1}, {"a": {"a": 2}}]
