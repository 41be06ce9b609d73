from __future__ import annotations

import importlib
import sys

import pytest

from pyserini_xqg.base.import_hooks import after_import


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that nobody has imported."""
    (tmp_path / "xqg_later.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield "xqg_later"
    sys.meta_path[:] = finders
    sys.modules.pop("xqg_later", None)


def test_it_is_called_once_when_the_module_has_run(module):
    seen = []
    for _ in range(2):  # as where a package is loaded again
        after_import(module, lambda found: seen.append(found.value))
    assert not seen
    assert module not in sys.modules
    assert importlib.import_module(module).value == 1
    assert seen == [1]
    importlib.reload(sys.modules[module])
    assert seen == [1]


def test_it_is_called_at_once_where_the_module_is_there(module):
    importlib.import_module(module)
    seen = []
    after_import(module, lambda found: seen.append(found.value))
    assert seen == [1]


def test_a_module_that_is_not_there_is_missing_as_before(module):
    after_import("xqg_nowhere", print)
    with pytest.raises(ModuleNotFoundError, match="xqg_nowhere"):
        importlib.import_module("xqg_nowhere")
