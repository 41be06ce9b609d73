"""What tells one encoder from another without loading it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pyserini_xqg.encoder.hub import Named, cached_folder
from pyserini_xqg.encoder.spec import EncoderSpec

_RECIPE = 2  # counts up when our own code gives other vectors for the same model and settings
_LIBRARIES = ("torch", "transformers", "tokenizers", "onnxruntime", "sentencepiece")
#: Folders inside a model's folder that are not part of it: what training leaves.
_OTHERS = (".", "checkpoint-")


def identity(spec: EncoderSpec) -> str | None:
    """A name for everything that decides an encoder's vectors: settings, files, libraries.

    Files count by their names, sizes, places on the disk, and times of the last change, of the
    content and of anything else: none can be exchanged, not even by one of the same size with an
    old date, without one of these being another. Reading them would take longer than a search.

    Returns
    -------
    str or None
        None where the files are not known: a model that is on no disk here.
    """
    files = []
    for model in (spec.model, spec.query_model):
        if model is not None:
            folder = cached_folder(Named(model, spec.revision))
            if folder is None:
                return None
            files.append([model, *_files(folder)])
    libraries = [(name, _version(name)) for name in _LIBRARIES]
    facts = json.dumps([_RECIPE, spec.to_dict(), files, libraries], sort_keys=True)
    return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()


def _files(folder: Path) -> Iterator[list[str | int]]:
    for where, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith(_OTHERS))
        for name in sorted(file for file in files if not file.startswith(_OTHERS)):
            path = os.path.join(where, name)
            try:
                facts = os.stat(path)
            except OSError:  # a link that leads nowhere
                continue
            yield [
                os.path.relpath(path, folder),
                facts.st_size,
                facts.st_mtime_ns,
                facts.st_ctime_ns,
                facts.st_ino,
                facts.st_dev,
            ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
