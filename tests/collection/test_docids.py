from __future__ import annotations

from pyserini_xqg.collection.places import Duplicate, find_duplicates


def test_duplicates_within_and_across_files(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    many = [f"d{i}" for i in range(25_000)]  # more than are put in at a time
    a.write_text("\n".join([*many, "x", "d24999"]) + "\n")
    b.write_text("new\nd0\nnew\n")
    assert list(find_duplicates([a, b], tmp_path)) == [
        Duplicate("d24999", f"{a}:25000", f"{a}:25002"),
        Duplicate("d0", f"{a}:1", f"{b}:2"),
        Duplicate("new", f"{b}:1", f"{b}:3"),
    ]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b"]


def test_docids_are_compared_byte_by_byte(tmp_path):
    (tmp_path / "a").write_bytes("D\nd\n1\n01\n\u00e9\ne\u0301\n".encode() + b"\xff\n")
    assert list(find_duplicates([tmp_path / "a"], tmp_path)) == []


def test_the_table_goes_even_if_the_caller_stops(tmp_path):
    (tmp_path / "a").write_text("x\nx\n")
    found = find_duplicates([tmp_path / "a"], tmp_path)
    assert next(found).docid == "x"
    found.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
    assert list(find_duplicates([], tmp_path)) == []
