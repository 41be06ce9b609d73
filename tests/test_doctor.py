"""What the doctor says, with parts taken away and put in wrong."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from pyserini_xqg import doctor
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.doctor import Check, Finding, PartError


def found(part: str) -> Finding:
    (check,) = (check for check in doctor.CHECKS if check.part == part)
    (finding,) = doctor.examine([check])
    return finding


def test_whatever_a_check_raises_is_one_finding():
    def fails(error):
        def look():
            raise error

        return look

    checks = [
        Check("a", lambda: "1.0", required=True),
        Check("b", fails(PartError("not there", "buy one")), required=True),
        Check("c", fails(KeyError("two\nlines")), required=True),
        Check("d", fails(XqgError("no Java")), required=False),
    ]
    assert list(doctor.examine(checks)) == [
        ("ok", "a", "1.0"),
        ("FAILED", "b", "not there; to mend it: buy one"),
        ("FAILED", "c", r"KeyError: 'two\nlines'"),
        ("warning", "d", "no Java"),
    ]


@pytest.mark.parametrize(
    ("required", "status", "level"), [(True, 1, "FAILED"), (False, 0, "warning")]
)
def test_only_what_is_required_decides_the_exit_status(
    monkeypatch, capsys, required, status, level
):
    def look():
        raise PartError("gone", "find it")

    checks = (Check("first", look, required), Check("second", lambda: "fine", required=True))
    monkeypatch.setattr(doctor.examine, "__defaults__", (checks,))
    code = 0
    try:
        doctor.main([])
    except SystemExit as stop:
        code = stop.code
    assert code == status
    assert capsys.readouterr().out.splitlines() == [
        f"{level:8}first         gone; to mend it: find it",
        "ok      second        fine",
    ]


def test_the_parts_in_order():
    assert [(check.part, check.required) for check in doctor.CHECKS] == [
        ("Python", True),
        ("locale", False),
        ("Pyserini", True),
        ("Java", True),
        ("FAISS", True),
        ("torch", True),
        ("transformers", True),
        ("onnxruntime", False),
        ("model hub", False),
        ("NLTK data", False),
    ]


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert found("Python") == (
        "FAILED",
        "Python",
        "3.10.4; to mend it: make an environment with Python 3.11 or newer",
    )


@pytest.mark.parametrize("version", ["1.5.0", "0.44.0", "3.0.0"])
def test_a_pyserini_that_is_not_supported(monkeypatch, version):
    monkeypatch.setattr(doctor.metadata, "version", lambda _: version)
    assert found("Pyserini") == (
        "FAILED",
        "Pyserini",
        f"{version} is not supported; to mend it: pip install 'pyserini>=1.6,<3,!=2.4.0'",
    )


def test_the_pyserini_that_needs_a_network(monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", lambda _: "2.4.0")
    level, _, text = found("Pyserini")
    assert level == "FAILED"
    assert text.startswith("2.4.0 fetches the list of prebuilt indexes from the network when it is")


@pytest.mark.parametrize("version", ["1.6.0", "2.3.0", "2.4.1"])
def test_a_pyserini_that_is_supported(monkeypatch, version):
    monkeypatch.setattr(doctor.metadata, "version", lambda _: version)
    monkeypatch.setattr(doctor.java, "prepare", lambda: None)
    monkeypatch.setattr(doctor.importlib, "import_module", lambda _: None)
    assert found("Pyserini") == ("ok", "Pyserini", version)


def test_without_pyserini(monkeypatch):
    def missing(name):
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", missing)
    assert found("Pyserini").text.startswith("not installed; to mend it: pip install 'pyserini>=")


def test_an_openai_that_refuses_an_empty_key(monkeypatch):
    refusal = type("OpenAIError", (Exception,), {"__module__": "openai._exceptions"})

    def refuse(_):
        raise refusal("missing credentials")

    monkeypatch.setattr(doctor.java, "prepare", lambda: None)
    monkeypatch.setattr(doctor.importlib, "import_module", refuse)
    level, _, text = found("Pyserini")
    assert level == "FAILED"
    assert "cannot be imported (OpenAIError: missing credentials); " in text
    assert "pip install 'openai<2.34'" in text


def test_without_java(monkeypatch):
    def no_java():
        raise XqgError("Pyserini needs Java 21")

    monkeypatch.setattr(doctor.java, "prepare", no_java)
    assert found("Java") == ("FAILED", "Java", "Pyserini needs Java 21")
    # Its own line would only say the same again.
    assert found("Pyserini").text.endswith(", not tried without Java")


@pytest.mark.parametrize(
    ("part", "module", "level", "cure"),
    [
        ("FAISS", "faiss", "FAILED", "pip install faiss-cpu"),
        ("torch", "torch", "FAILED", "pip install torch"),
        ("transformers", "transformers", "FAILED", "pip install transformers"),
        ("onnxruntime", "onnxruntime", "warning", "pip install onnxruntime"),
        ("NLTK data", "nltk", "warning", "pip install nltk, then: "),
    ],
)
def test_a_library_that_is_missing(monkeypatch, part, module, level, cure):
    monkeypatch.setitem(sys.modules, module, None)  # the import system's word for "not there"
    finding = found(part)
    assert finding.level == level
    assert finding.text.startswith("cannot be imported (ModuleNotFoundError: import of ")
    assert f"; to mend it: {cure}" in finding.text


def test_nltk_without_its_data(monkeypatch):
    def missing(_):
        raise LookupError

    nltk = SimpleNamespace(__version__="3", data=SimpleNamespace(find=missing))
    monkeypatch.setitem(sys.modules, "nltk", nltk)
    assert found("NLTK data").text.startswith("punkt_tab is not there; to mend it: ")
    nltk.data.find = lambda _: "there"
    assert found("NLTK data") == ("ok", "NLTK data", "3 with punkt_tab")


@pytest.fixture
def hub(monkeypatch):
    constants = SimpleNamespace(HF_HUB_OFFLINE=False, ENDPOINT="http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", constants)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return constants


def test_the_hub_is_not_asked_when_offline(hub, monkeypatch):
    hub.HF_HUB_OFFLINE = True
    monkeypatch.setattr(doctor.urllib.request, "urlopen", None)
    assert found("model hub") == (
        "warning",
        "model hub",
        "not asked, because HF_HUB_OFFLINE is set; to mend it: models in local folders work "
        "without it",
    )


def test_a_hub_that_cannot_be_reached(hub):
    level, _, text = found("model hub")
    assert level == "warning"
    assert text.startswith("http://127.0.0.1:9 cannot be reached (")
    assert "models in local folders work" in text
    assert "HF_ENDPOINT" in text


@pytest.mark.parametrize(
    ("status", "level", "text"),
    [(200, "ok", "answers"), (404, "ok", "answers"), (503, "warning", "answers 503; ")],
)
def test_a_hub_that_answers(hub, status, level, text):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.ENDPOINT = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        finding = found("model hub")
        server.shutdown()
    assert finding.level == level
    assert finding.text.startswith(f"{hub.ENDPOINT} {text}")


def test_here_and_now():
    """The real thing: all that the main job needs is there in the environment of the tests."""
    done = subprocess.run(
        [sys.executable, "-m", "pyserini_xqg.doctor"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line[8:22].strip() for line in lines] == [check.part for check in doctor.CHECKS]
    assert [line[:8].strip() for line in lines[:7]] == ["ok"] * 7
