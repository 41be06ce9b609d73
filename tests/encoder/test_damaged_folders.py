"""A model's folder with something changed: the same vectors, or an error of ours.

``XQG_FUZZ_EXAMPLES=2000 python -m pytest tests/encoder/test_damaged_folders.py`` tries as many.
"""

from __future__ import annotations

import collections
import os
import shutil
import warnings

import numpy as np
import odd_models as odd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.encoder import Encoder
from pyserini_xqg.encoder.probes import check_probes, make_probes
from pyserini_xqg.encoder.spec import EncoderSpec

EXAMPLES = int(os.environ.get("XQG_FUZZ_EXAMPLES", "25"))
TEXTS = ["w1 w2 w3", "w4 w5", "w6 w7 w8 w9 w10 w11 w12 w13"]
#: Files without which a folder says something else, and nothing wrong: prompts and parts.
OPTIONAL = {"modules.json", "config_sentence_transformers.json"}


@pytest.fixture(scope="module")
def whole(model_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "st"
    odd.sentence_transformer(model_dir, folder, dense=8, prompts={"query": "w50 "})
    return folder


def flipped(content: bytes, place: float, value: int) -> bytes:
    """One byte changed, in JSON anywhere and in safetensors inside the header."""
    at = min(int(place * len(content)), len(content) - 1)
    return content[:at] + bytes([content[at] ^ value]) + content[at + 1 :]


def renamed(content: bytes, place: float) -> bytes:
    """One key of a JSON object, at any depth, under another name."""
    keys = content.split(b'"')[1::2]
    key = keys[min(int(place * len(keys)), len(keys) - 1)]
    return content.replace(b'"' + key + b'":', b'"' + key[::-1] + b'x":', 1)


def damage(folder, name, how, place, value):
    file = folder / name
    content = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "cut":
        file.write_bytes(content[: int(place * len(content))])
    elif name.endswith(".safetensors"):
        size = 8 + int.from_bytes(content[:8], "little")
        change = flipped(content[:size], place, value) if how == "flip" else content[:size]
        if how == "rename":
            change = content[:8] + renamed(content[8:size], place)[: size - 8].ljust(size - 8)
        file.write_bytes(change + content[size:])
    else:
        file.write_bytes(
            renamed(content, place) if how == "rename" else flipped(content, place, value)
        )


def vectors(folder):
    encoder = Encoder(EncoderSpec.resolve(str(folder)), device="cpu")
    return encoder, np.concatenate([encoder.encode_queries(TEXTS), encoder.encode_passages(TEXTS)])


def outcome(folder, expected, probes):
    """What came of a folder: refused, by the probes of an index or at once, equal, or other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoder, found = vectors(folder)
        except XqgError as error:
            return "refused" if "\n" not in str(error) else "refused at length"
        except Exception as error:  # gathered: one kind must not hide the others
            return f"a traceback: {error!r}"
        if found.shape == expected.shape and np.abs(found - expected).max() < 1e-5:
            return "equal"
        try:
            check_probes(encoder, probes, "an index")
        except XqgError:
            return "refused by probes"
    return "other"


def test_damaged_folders(whole, tmp_path):
    encoder, expected = vectors(whole)
    # Of every word that is read, since one that has another name changes no other's vectors.
    asked = zip(("te", "ar", "fi", "hi"), [*TEXTS, "w9"], strict=True)
    probes = make_probes(encoder, dict(asked))
    names = sorted(
        str(file.relative_to(whole)) for file in whole.rglob("*")
        if file.suffix in (".json", ".safetensors")
    )  # fmt: skip
    counts, others = collections.Counter(), []

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES <= 1000, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        st.sampled_from(names), st.sampled_from(["flip", "flip", "rename", "missing", "cut"]),
        st.floats(0, 1), st.integers(1, 255),
    )  # fmt: skip
    def one(name, how, place, value):
        if how == "missing" and name in OPTIONAL:
            return
        folder = tmp_path / "st"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        damage(folder, name, how, place, value)
        came = outcome(folder, expected, probes)
        counts[how, came] += 1
        if came not in ("equal", "refused", "refused by probes"):
            others.append((came, name, how, place, value))

    one()
    assert not others, f"{others}, of {dict(counts)}"
    assert counts["flip", "refused"] > 0
