from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pyarrow
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import input_files, is_tsv, read_lines, read_whole, unpacked
from pyserini_xqg.base.packed import plain_name

ROWS = "one\nఎంత\n".encode() * 500


def arrow(codec):
    def pack(content):
        sink = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(sink, codec) as stream:
            stream.write(content)
        return sink.getvalue().to_pybytes()

    return pack


#: What pzstd writes before its first frame: one that holds no content.
SKIPPED = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
PACKERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    "zstd": arrow("zstd"),
    "pzstd": lambda content: SKIPPED + arrow("zstd")(content),
    "lz4": arrow("lz4"),
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.run", "a"])
@pytest.mark.parametrize("packer", PACKERS)
def test_packing_is_known_by_the_first_bytes(tmp_path, packer, name):
    path = tmp_path / name
    path.write_bytes(PACKERS[packer](ROWS))
    lines = list(read_lines(path))
    assert b"".join(line.content for line in lines) == read_whole(path) == ROWS
    plain = unpacked(path, tmp_path / "work")
    assert plain.read_bytes() == ROWS
    assert list(read_lines(plain)) == lines


@pytest.mark.parametrize("packer", [name for name in PACKERS if name != "pzstd"])
def test_files_put_together_and_empty_ones(tmp_path, packer):
    path = tmp_path / "a"
    path.write_bytes(PACKERS[packer](ROWS) + PACKERS[packer](ROWS))
    assert read_whole(path) == ROWS * 2
    path.write_bytes(PACKERS[packer](b""))
    assert list(read_lines(path)) == []


@pytest.mark.parametrize("packer", PACKERS)
def test_what_is_cut_short_is_refused(tmp_path, packer):
    path = tmp_path / "a.jsonl"
    path.write_bytes(PACKERS[packer](ROWS)[:-5])
    for read in (list, lambda lines: unpacked(path, tmp_path / "work")):
        with pytest.raises(
            XqgError, match=r"a\.jsonl: its first bytes .* cannot be unpacked .*fet"
        ):
            read(read_lines(path))
    assert not list(tmp_path.glob("work/*[!l]"))  # nothing but what says that it is partial


def tar_of(name, content, form=tarfile.GNU_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def zip_of(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar_of("a.jsonl", ROWS), "a tar archive; unpack it"),
        (tar_of("a.jsonl", ROWS, tarfile.PAX_FORMAT), "a tar archive"),
        (gzip.compress(tar_of("a.jsonl", ROWS)), "a tar archive"),
        (arrow("zstd")(tar_of("a.jsonl", ROWS)), "a tar archive"),
        (zip_of("a.jsonl", ROWS), "a zip archive; unpack it"),
        ("one\n".encode("utf-16"), "in UTF-16; convert it to UTF-8"),
        (b"\xfe\xff\x00o", "in UTF-16; convert it to UTF-8"),
        ("one\n".encode("utf-32"), "in UTF-32; convert it to UTF-8"),
        (b"\x00\x00\xfe\xff\x00\x00\x00o", "in UTF-32; convert it to UTF-8"),
        ("one\n".encode("utf-16-le"), "holds NUL bytes: in UTF-16 without its mark"),
        (gzip.compress("one\n".encode("utf-16-be")), "holds NUL bytes: in UTF-16 without"),
        (b"\0" * 600, "holds NUL bytes"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\x1f\x9d\x90", "packed by Unix compress"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of git LFS"),
    ],
)
def test_what_has_no_lines_is_named(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(XqgError, match=rf"a\.jsonl: {message}"):
        list(read_lines(path))
    with pytest.raises(XqgError, match=rf"a\.jsonl: {message}"):
        read_whole(path)


def test_text_that_begins_as_a_packed_file_might(tmp_path):
    path = tmp_path / "a.run"
    for content in (b"BZh9 Q0 a 1 1 t\n", b"PAR1 Q0 a 1 1 t\n", b"Rar! Q0 a 1 1 t\n"):
        path.write_bytes(content)
        assert [line.content for line in read_lines(path)] == [content]


def test_names_without_their_packing(tmp_path):
    assert (
        plain_name("a.jsonl.zst") == plain_name("a.jsonl.GZ") == plain_name("a.jsonl") == "a.jsonl"
    )
    assert is_tsv(tmp_path / "A.TSV.bz2")
    for name in ("a.jsonl.zst", "b.tsv.xz", "c.json.bz2"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in input_files(tmp_path)] == [
        "a.jsonl.zst",
        "b.tsv.xz",
        "c.json.bz2",
    ]
