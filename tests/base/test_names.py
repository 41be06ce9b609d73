from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.refusing import check_names


def test_names_inside_a_folder():
    check_names(["te", "zh-TW", "all", "model-00001-of-00002.safetensors", "..."], "m.json")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc", "../te", "te/..", "a\\b", "C:x", "a\0", None, 5, ["te"]]
)
def test_names_that_lead_elsewhere(name):
    with pytest.raises(XqgError, match="m.json names .*, which is no name inside its folder"):
        check_names(["te", name], "m.json")
