"""Model folders as they come in the field, made from the small random BERT of ``conftest``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1234\n"


def copy_of(model_dir: Path, path: Path) -> Path:
    shutil.copytree(model_dir, path)
    return path


def state_of(folder: Path):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def with_weights(folder: Path, state) -> Path:
    """The folder with other weights."""
    from safetensors.torch import save_file

    contiguous = {name: weight.clone().contiguous() for name, weight in state.items()}
    save_file(contiguous, folder / "model.safetensors", {"format": "pt"})
    return folder


def change_json(file: Path, **values) -> None:
    """Set these keys, or take out those of None."""
    content = {**(json.loads(file.read_text()) if file.is_file() else {}), **values}
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


#: Values that JSON may hold where others are expected.
OTHERS = (None, True, -1, 1.5, float("nan"), "", "x", [], ["a"], {}, {"a": 1}, [[]], 10**30)


def with_other_values(content, kept=lambda value: value):
    """The same JSON, at each of its places in turn with each of `OTHERS` there."""
    for value in OTHERS:
        yield kept(value)
    if isinstance(content, dict | list):
        for key, inner in content.items() if isinstance(content, dict) else enumerate(content):

            def put(value, key=key):
                changed = content.copy()
                changed[key] = value
                return kept(changed)

            yield from with_other_values(inner, put)


def under_a_prefix(folder: Path) -> None:
    with_weights(folder, {f"lm_q.{name}": weight for name, weight in state_of(folder).items()})


def without(folder: Path, part: str) -> None:
    with_weights(folder, {k: v for k, v in state_of(folder).items() if part not in k})


def with_extra(folder: Path, **weights) -> None:
    with_weights(folder, {**state_of(folder), **weights})


def cut_short(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def a_pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text(POINTER)


def with_words(folder: Path, *words: str, special: bool = False) -> None:
    """Words, or special tokens, that only the tokenizer was given, not the embedding."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([*words], special_tokens=special)
    tokenizer.save_pretrained(folder)


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def sentence_transformer(model_dir: Path, path: Path, *, pooling="mean", length=6, dense=None,
                         norm=True, prompts=None):  # fmt: skip
    """A folder as sentence-transformers itself saves it, and the model that it was saved from."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    parts = [
        modules.Transformer(str(model_dir), max_seq_length=length),
        modules.Pooling(16, pooling_mode=pooling),
        *([modules.Dense(16, dense)] if dense else []),
        *([modules.Normalize()] if norm else []),
    ]
    model = SentenceTransformer(modules=parts, prompts=prompts or {}, device="cpu")
    model.save(str(path), create_model_card=False)
    return model
