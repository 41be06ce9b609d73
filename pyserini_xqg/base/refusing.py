"""Where no output may go: around the working folder, inside what is whole, over what is there.

Names in files that come from elsewhere must stay inside their folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.leftovers import tidy


def refuse_around(path: str | Path) -> None:
    """Refuse an output that is the working folder, or one around it: replacing it loses all.

    Raises
    ------
    XqgError
    """
    if Path.cwd().is_relative_to(Path(path).resolve()):
        raise XqgError(
            f"{str(path)!r} is the folder that this runs in, or one around it; give the name of a "
            "new one, such as " + str(Path(path) / "NAME")
        )


def refuse_inside(path: str | Path) -> None:
    """Refuse a folder to be made inside a store, an index or a trained model.

    These are checked, moved and replaced as one, and it would go with them.

    Raises
    ------
    XqgError
    """
    for around in Path(path).resolve().parents:
        for name in _MANIFESTS:
            if _is_manifest(around / name):
                raise XqgError(
                    f"{path} is inside {around}, which is replaced as one ({name} is in it), and "
                    f"it would go with that; give a name outside it, such as {around}-NAME"
                )


#: Of stores and trained models, and of indexes.
_MANIFESTS = ("manifest.json", "xqg.json")


def _is_manifest(path: Path) -> bool:
    """Whether a file is one of ours: others may be called so."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("format"), int)


def refuse_existing(path: str | Path, overwrite: bool) -> None:
    """Refuse an output that is there, unless it may be replaced.

    A finished folder that was killed in its last moment loses first what it must still lose.

    Raises
    ------
    XqgError
    """
    refuse_around(path)
    tidy(Path(path))
    if os.path.lexists(path) and not overwrite:
        raise XqgError(f"{path} exists; give another name, or --overwrite to replace it")


def check_names(names: Iterable[Any], where: str | Path) -> None:
    """Refuse names that are not those of a file or folder right beside the file that names them.

    Parameters
    ----------
    names : iterable
        As they were read, of any type.
    where : str or path-like
        That file, for the message.

    Raises
    ------
    XqgError
    """
    for name in names:
        if (
            not isinstance(name, str)
            or name in ("", ".", "..")
            or set(name) & set("/\\\0:")
            or len(name) > 100
        ):
            raise XqgError(
                f"{where} names {name!r}, which is no name inside its folder: it was changed by "
                "hand, or is not to be trusted; make it again, or fetch it again"
            )
