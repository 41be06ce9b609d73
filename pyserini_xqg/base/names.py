"""Names in files that come from elsewhere, which must stay inside their folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError


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
