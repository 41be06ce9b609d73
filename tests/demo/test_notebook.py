"""The notebook is run, cell by cell, as somebody would who opens it."""

from __future__ import annotations

import re

import pytest

from pyserini_xqg.demo import HERE

nbformat = pytest.importorskip("nbformat", reason="needs nbclient")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
pytest.importorskip("ipykernel", reason="needs ipykernel")


def test_it_runs_and_its_outputs_stay_small(tmp_path):
    path = HERE / "xqg.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.get("text", "") for output in outputs)
    pictures = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
    assert re.search(r"^\d+ passages; ar \d+", said, re.MULTILINE)
    assert len(re.findall(r"\| rank \S+ -> \S+$", said, re.MULTILINE)) == 5
    assert re.search(r"better|harm|undetermined", said.splitlines()[-1] + said)
    assert len(nbformat.writes(notebook)) < 100_000
    assert path.stat().st_size < 100_000
