"""Where a model's files are: a folder, or a name on the hub, fetched once into the cache."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pyserini_xqg.base.errors import XqgError, reason_of

#: Seconds that the hub has to answer, once; what is in the cache needs no answer.
_PATIENCE = 10
# Weights for other libraries than ours, which a repository may hold beside the ones we read.
_OTHERS = ("onnx/", "openvino/", "coreml/", "runs/", "original/", "gguf/", ".")
_FILES = (".json", ".txt", ".model", ".tiktoken", ".jinja", ".vocab", ".bpe", ".codes")


class Named(NamedTuple):
    """A model as the user names it.

    Attributes
    ----------
    name : str
        Hub name or folder.
    revision : str or None
        Revision on the hub.
    option : str
        How the command calls it, for messages.
    what : str
        What it is to the command, for messages.
    trust_remote_code : bool
        Run the Python that comes with the model. Only ever the user's own flag.
    """

    name: str
    revision: str | None = None
    option: str = "--encoder"
    what: str = "encoder"
    trust_remote_code: bool = False

    def error(self, reason: str) -> XqgError:
        """What to raise where it cannot be loaded."""
        return XqgError(f"cannot load the {self.what} {self.name!r}: {reason}")


def add_trust_option(parser: argparse._ActionsContainer) -> None:
    """The option of every command that loads an encoder; no file can stand in for it."""
    parser.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run the Python that comes with the encoder; never taken from an index or a store",
    )


def is_path(name: str) -> bool:
    """Whether a model's name can only be a folder's."""
    return name.startswith((".", "~")) or os.path.isabs(name) or name.count("/") > 1


def model_folder(named: Named) -> Path:
    """The folder of a model's files: as named, or of the hub's cache, filled if need be.

    The hub is asked once. Where it does not answer, what the cache holds is taken.

    Raises
    ------
    XqgError
        If there is no such folder, or no such model, or neither hub nor cache have it.
    """
    if os.path.isdir(named.name):
        return Path(named.name)
    if is_path(named.name):
        raise XqgError(
            f"no such model folder: {named.name}; give the folder of a Hugging Face model or its "
            f"name on the hub, with {named.option}"
        )
    return _fetched(named)


def cached_folder(named: Named) -> Path | None:
    """The folder as `model_folder` has it, where that needs no network; else None."""
    if os.path.isdir(named.name):
        return Path(named.name)
    return None if is_path(named.name) else _in_cache(named)


def name_in_cache(folder: str) -> str | None:
    """The hub name of a folder in the hub's cache (``models--ORG--NAME/snapshots/COMMIT``)."""
    place = Path(folder).absolute()
    kind, _, name = place.parent.parent.name.partition("--")
    in_cache = place.parent.name == "snapshots" and kind == "models"
    return name.replace("--", "/", 1) if in_cache else None


def _in_cache(named: Named) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(named.name, "config.json", revision=named.revision)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


@lru_cache(maxsize=16)
def _fetched(named: Named) -> Path:
    from huggingface_hub import HfApi, constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    cached = _in_cache(named)
    try:
        if constants.HF_HUB_OFFLINE:
            raise OSError("offline, as HF_HUB_OFFLINE says")
        info = HfApi().model_info(named.name, revision=named.revision, timeout=_PATIENCE)
    except HFValidationError as error:
        raise named.error(f"no such folder, and no name for the hub ({reason_of(error)})") from None
    except Exception as error:  # its library's own, and those of whichever HTTP library it has
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, HfHubHTTPError) and status in (401, 403, 404):
            raise named.error(_refusal(status, named)) from None
        if cached is not None:
            return cached
        raise named.error(
            f"the hub does not answer ({reason_of(error)}), and the cache does not hold it; give "
            f"its folder with {named.option}, or try again with a network"
        ) from None
    names = wanted([file.rfilename for file in info.siblings or ()], code=named.trust_remote_code)
    if "config.json" not in names:
        raise named.error("its repository has no config.json: not a model of transformers")
    with _download_bars():
        try:
            for name in names:  # by its commit, so that the hub is not asked for what is there
                hf_hub_download(named.name, name, revision=info.sha)
            # By its name, so that the cache knows which commit that was.
            config = hf_hub_download(named.name, "config.json", revision=named.revision)
        except Exception as error:
            raise named.error(f"its files cannot be fetched ({reason_of(error)})") from None
    return Path(config).parent


def _refusal(status: int, named: Named) -> str:
    if status == 403:
        return "the hub gives it only to those who accepted its terms there (run `hf auth login`)"
    revision = f" (or no revision {named.revision})" if named.revision else ""
    return (
        f"no such folder, and no such model on the hub{revision}; a private one needs "
        "`hf auth login`"
    )


def wanted(files: Collection[str], *, code: bool) -> list[str]:
    """Of a repository's files those that are read: safetensors where there are any, else ``.bin``.

    Parameters
    ----------
    files : collection of str
    code : bool
        Python as well.
    """
    ours = [name for name in files if not name.startswith(_OTHERS)]
    folders = {Path(name).parent for name in ours if name.endswith(".safetensors")}
    return sorted(
        name
        for name in ours
        if name.endswith((*_FILES, ".safetensors"))
        or (name.endswith(".bin") and "pytorch_model" in name and Path(name).parent not in folders)
        or (code and name.endswith(".py"))
    )


@contextmanager
def _download_bars() -> Iterator[None]:
    """Bars for what may take hours, at a terminal only."""
    from huggingface_hub import utils

    before = utils.are_progress_bars_disabled()
    if not sys.stderr.isatty():
        utils.disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            utils.enable_progress_bars()
