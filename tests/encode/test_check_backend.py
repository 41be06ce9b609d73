from __future__ import annotations

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.__main__ import main
from pyserini_xqg.encode.same_encoder import top_overlap


def test_overlap_of_the_best():
    one = np.array([[4, 3, 2, 1], [1, 2, 3, 4]], dtype=np.float32)
    other = np.array([[4, 1, 3, 2], [1, 2, 4, 3]], dtype=np.float32)
    assert top_overlap(one, other, 2) == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert top_overlap(one, one, 3) == 1


@pytest.fixture
def command(corpus_and_queries, model_dir, tmp_path):
    corpus, queries = corpus_and_queries
    return [
        "input", "--corpus", str(corpus), "output", "--embeddings", str(tmp_path / "out"),
        "encoder", "--encoder", str(model_dir), "--device", "cpu", "--check-backend",
        "--pooling", "mean", "--dtype", "bfloat16", "xqg", "--queries", str(queries),
    ]  # fmt: skip


def test_the_table(command, tmp_path, capsys):
    main(command)
    title, header, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("torch in bfloat16 beside torch in float32: ")
    assert header.endswith("top-6 overlap")  # a fifth of 30 passages
    table = {row.split()[0]: [float(value) for value in row.split()[1:]] for row in rows}
    assert list(table) == ["passages", "ar", "te"]
    assert [values[0] for values in table.values()] == [30, 30, 43]
    for values in table.values():
        assert 0.99 < values[1] <= values[2] < 1  # near, and not the same vectors
    assert len(table["passages"]) == 3
    assert all(0.5 < table[language][3] <= 1 for language in ("ar", "te"))
    assert not list(tmp_path.glob("out*"))  # nothing was written


def test_torch_is_not_compared_with_itself(command):
    command[command.index("bfloat16")] = "float32"
    with pytest.raises(XqgError, match="--check-backend compares with torch in float32, which is"):
        main(command)
