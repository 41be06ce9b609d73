from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.vector_cache import VectorCache, cache_limit

LARGE = 1 << 20


def vectors(*texts, d=4):
    return {text: np.arange(d, dtype=np.float32) + int(text[1:]) for text in texts}


def same(cache, texts, d=4):
    for text, vector in vectors(*texts, d=d).items():
        assert np.array_equal(cache.find(text), vector)


def test_what_is_kept_is_found_again(tmp_path):
    cache = VectorCache("m", LARGE, tmp_path)
    assert cache.find("t1") is None
    cache.add(vectors("t1", "t2"))
    same(cache, ["t1", "t2"])  # at once
    cache.add(vectors("t3"))
    same(VectorCache("m", LARGE, tmp_path), ["t1", "t2", "t3"])
    assert VectorCache("other", LARGE, tmp_path).find("t1") is None
    cache.add({})
    assert {path.name for path in tmp_path.iterdir()} == {"m.vectors", "lock"}
    assert "t1" not in (tmp_path / "m.vectors").read_bytes().decode("latin-1")  # digests alone


@pytest.mark.parametrize("damage", ["byte", "tail", "garbage", "empty", "other dimension"])
def test_what_is_damaged_is_not_there(tmp_path, damage):
    VectorCache("m", LARGE, tmp_path).add(vectors("t1", "t2", "t3"))
    file = tmp_path / "m.vectors"
    content = bytearray(file.read_bytes())
    if damage == "byte":
        content[-12] ^= 1  # in the last vector
    elif damage == "tail":
        content = content[:-5]
    elif damage == "garbage":
        content = bytearray(b"something else")
    elif damage == "empty":
        content = bytearray()
    else:
        content[13] = 3
    file.write_bytes(content)
    cache = VectorCache("m", LARGE, tmp_path)
    assert cache.find("t3") is None
    left = ["t1", "t2"] if damage in ("byte", "tail") else []
    same(cache, left)
    cache.add(vectors("t3", "t4"))
    same(VectorCache("m", LARGE, tmp_path), [*left, "t3", "t4"])


def test_the_size_is_bounded(tmp_path):
    limit = 20_000
    for name in ("old", "older", "new"):
        VectorCache(name, limit, tmp_path).add(vectors(*(f"t{i}" for i in range(150))))
    os.utime(tmp_path / "older.vectors", (1, 1))
    os.utime(tmp_path / "old.vectors", (2, 2))
    for start in range(1000, 2000, 100):
        texts = [f"t{i}" for i in range(start, start + 100)]
        VectorCache("new", limit, tmp_path).add(vectors(*texts))
        same(VectorCache("new", limit, tmp_path), texts)  # the latest are there
        files = {path.name: path.stat().st_size for path in tmp_path.glob("*.vectors")}
        assert sum(files.values()) <= limit
    assert set(files) == {"new.vectors", "old.vectors"}  # the one used longest ago went
    assert VectorCache("new", limit, tmp_path).find("t1") is None
    VectorCache("huge", limit, tmp_path).add(vectors(*(f"t{i}" for i in range(5000))))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.vectors")) <= limit
    same(VectorCache("huge", limit, tmp_path), ["t4999"])


def test_two_processes_at_once(tmp_path):
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from pyserini_xqg.encoder.vector_cache import VectorCache\n"
        "first = int(sys.argv[2])\n"
        "for i in range(first, first + 200):\n"
        "    row = np.arange(4, dtype=np.float32) + i\n"
        "    VectorCache('m', 1 << 20, Path(sys.argv[1])).add({f't{i}': row})\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(first)])
        for first in (0, 1000)
    ]
    assert [process.wait() for process in started] == [0, 0]
    same(VectorCache("m", LARGE, tmp_path), [f"t{i + first}" for i in range(200)
                                             for first in (0, 1000)])  # fmt: skip


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    cache = VectorCache("m", LARGE, tmp_path / "file")
    cache.add(vectors("t1"))
    same(cache, ["t1"])
    assert VectorCache("m", LARGE, tmp_path / "file").find("t1") is None


def test_the_switch(monkeypatch):
    for said, expected in (("off", 0), ("0", 0), ("3", 3 << 20)):
        monkeypatch.setenv("XQG_TOPIC_CACHE", said)
        assert cache_limit() == expected
    monkeypatch.delenv("XQG_TOPIC_CACHE")
    assert cache_limit() == 256 << 20
    monkeypatch.setenv("XQG_TOPIC_CACHE", "no")
    with pytest.raises(XqgError, match="XQG_TOPIC_CACHE=no: expected a number of megabytes, or of"):
        cache_limit()
