"""A model folder's weight files: what they hold, and whether they are whole."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import parsed_json

_POINTER = b"version https://git-lfs"
#: A file of weights alone, or the list of several, in the order in which transformers looks.
_SINGLE = ("model.safetensors", "pytorch_model.bin")
_LIST = ".index.json"
_WHOLE_NUMBERS = ("I", "U", "BOOL")
_DAMAGED = (
    ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
_COUNTERS = ("_ids", "num_batches_tracked", "masked_bias", ".attn.bias", ".attention.bias")


def check_files(folder: Path) -> None:
    """Refuse files that are not what their names say: pointers of git LFS, halves, none at all.

    Raises
    ------
    XqgError
        Naming the file.
    """
    check_pointers(folder)
    check_adapter(folder)
    for file in weight_files(folder):
        if file.suffix == ".safetensors":
            check_header(file)
        elif not zipfile.is_zipfile(file) and _starts_as_zip(file):
            raise XqgError(f"{file}: cut short, or damaged; fetch it again")


def check_adapter(folder: Path) -> None:
    """Refuse a folder with an adapter, alone or beside a model."""
    if (folder / "adapter_config.json").is_file():
        raise XqgError(
            f"{folder} holds an adapter (LoRA), which would be left out: merge it into the model "
            "that it was trained from (peft: merge_and_unload), save that, and give its folder"
        )


def check_pointers(folder: Path) -> None:
    """Refuse a folder with pointers of git LFS in place of its files."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size < 1024 and path.name[0] != ".":
            with open(path, "rb") as file:
                start = file.read(len(_POINTER))
            if start == _POINTER:
                raise XqgError(
                    f"{path} is a pointer of git LFS, not the file itself: run `git lfs pull` in "
                    "its repository, or fetch it from the hub"
                )


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights.

    Raises
    ------
    XqgError
        If there are none, or one that a list names is missing.
    """
    for name in _SINGLE:
        single, listing = folder / name, folder / (name + _LIST)
        listed = _listed(folder, listing) if listing.is_file() else []
        if single.is_file() and listed and listed != [single]:
            raise XqgError(
                f"{folder} holds weights twice, as {name} and as {listing.name} lists them, of "
                "which one may be older: move one of the two out of it"
            )
        if listed or single.is_file():
            return listed or [single]
    there = sorted(path.name for path in folder.iterdir() if path.is_file())
    raise XqgError(
        f"{folder}: no weights; expected {' or '.join(_SINGLE)}, found "
        f"{', '.join(there[:8]) or 'nothing'}"
    )


def _listed(folder: Path, listing: Path) -> list[Path]:
    try:
        names = sorted(set(parsed_json(listing.read_text(encoding="utf-8"))["weight_map"].values()))
        files = [folder / name for name in names]
    except _DAMAGED as error:
        raise XqgError(f"{listing}: damaged ({error!r}); fetch it again") from None
    for name, file in zip(names, files, strict=True):
        if Path(name).name != name:  # what was downloaded reads nothing outside its own folder
            raise XqgError(f"{listing} names {name!r}, which is not a file of its own folder")
        if not file.is_file():
            raise XqgError(f"{folder}: {name} is missing, which {listing.name} names")
    return files


def check_header(file: Path) -> Mapping[str, Any]:
    """The header of a safetensors file, by tensor its type, shape and place.

    Raises
    ------
    XqgError
        If it is damaged, or the file is shorter or longer than it says.
    """
    size = file.stat().st_size
    with open(file, "rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        try:
            if length > size - 8:
                raise ValueError("its header is longer than the file")
            header: dict[str, Any] = parsed_json(opened.read(length))
            header.pop("__metadata__", None)
            end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
            if end != size - 8 - length:
                raise ValueError(f"{size} bytes, expected {8 + length + end}")
            for name, entry in header.items():
                # They would be read as weights all the same.
                dtype = str(entry["dtype"])
                if dtype.startswith(_WHOLE_NUMBERS) and not name.endswith(_COUNTERS):
                    raise ValueError(f"{name} holds whole numbers ({dtype}), not weights")
        except _DAMAGED as error:
            reason = error if type(error) is ValueError else repr(error)
            raise XqgError(
                f"{file}: not weights, or cut short ({reason}); fetch it again"
            ) from None
    return header


def tensor_names(folder: Path) -> list[str]:
    """What the weights of a folder are called; empty where they are no safetensors."""
    files = [file for file in weight_files(folder) if file.suffix == ".safetensors"]
    return [name for file in files for name in check_header(file)]


def _starts_as_zip(file: Path) -> bool:
    with open(file, "rb") as opened:
        return opened.read(2) == b"PK"
