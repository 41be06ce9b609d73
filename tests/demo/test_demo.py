"""The demo as a user runs it; its figures are pinned, so that a change that moves them is seen."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from stock import stock, stock_command

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.demo import CAVEAT, LANGUAGES, TINY_ENCODER, XQG_MINI
from pyserini_xqg.demo.__main__ import main
from pyserini_xqg.evaluate.trec.measures import score_by_topic

#: trec_eval's figures over the test topics in eight languages: success at 1, reciprocal rank.
PINNED = {
    "plain": (0.1819, 0.2617),
    "xqg": (0.1875, 0.2718),
    "routed": (0.2278, 0.3404),
    "bm25": (0.2792, 0.4032),
    "fused": (0.3208, 0.4440),
    "alone": (0.1222, 0.2322),
    "bm25-passages": (0.1708, 0.2001),
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XQG_E5", raising=False)
        main(["--output", str(path)])
    return path


@pytest.mark.parametrize(
    ("words", "variable", "expected"),
    [
        ([], "", TINY_ENCODER),
        ([], "a/real-one", "a/real-one"),
        (["--encoder", "my/own"], "a/real-one", "my/own"),
    ],
)
def test_which_encoder_is_taken(words, variable, expected, tmp_path, monkeypatch, capsys):
    class Stop(Exception):  # noqa: N818 - not an error
        pass

    def encode(self):
        taken.append(self.encoder)
        raise Stop

    taken = []
    monkeypatch.setattr("pyserini_xqg.demo.pipeline.Demo._encode", encode)
    monkeypatch.setenv("XQG_E5", variable)
    with pytest.raises(Stop):
        main(["--output", str(tmp_path / "out"), *words])
    assert taken == [expected]
    said = "the encoder is a/real-one, as XQG_E5 says" in capsys.readouterr().err
    assert said == (expected == "a/real-one")


def test_everything_is_there(demo):
    page = (demo / "index.html").read_text(encoding="utf-8")
    table = (demo / "table.txt").read_text(encoding="utf-8")
    assert CAVEAT in page
    assert CAVEAT in table
    assert 'src="data:image/png;base64,' in page
    assert not re.search(r"(src|href)=['\"]?https?:", page)  # one file, nothing fetched
    for language in LANGUAGES:
        assert f'lang="{language}"' in page
    assert page.count('class="hit right"') >= 1
    assert (demo / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert len(re.findall(r"^n +630 +(90 +){7}90$", table, re.MULTILINE)) == 2  # the mean first
    assert page.index("<img") < page.index("<table")  # the picture before any table
    assert page.index("(xQG)") < page.index("<img")


@pytest.mark.parametrize("name", PINNED)
def test_trec_evals_figures_are_pinned(demo, name):
    qrels, run = XQG_MINI / "qrels.test.txt", demo / f"{name}.test.run"
    said = (stock_command if name == "xqg" else stock)(
        "pyserini.eval.trec_eval", "-c", "-m", "success.1", "-m", "recip_rank", qrels, run
    )
    found = dict(re.findall(r"^(\w+)\s+all\s+([\d.]+)$", said, re.MULTILINE))
    success, rank = PINNED[name]
    assert float(found["success_1"]) == pytest.approx(success, abs=1e-3)
    assert float(found["recip_rank"]) == pytest.approx(rank, abs=1e-3)
    ours = score_by_topic(qrels, run, ["Success@1", "RR"])
    for measure, theirs in (("Success@1", "success_1"), ("RR", "recip_rank")):
        mean = sum(ours[measure].values()) / len(ours[measure])
        assert mean == pytest.approx(float(found[theirs]), abs=1e-4)


def test_the_printed_commands_work_elsewhere(demo, tmp_path):
    commands = (demo / "commands.sh").read_text().splitlines()
    assert max(map(len, commands)) < 320
    index = next(c for c in commands if "pyserini_xqg.index" in c and "paper" in c)
    words = shlex.split(index)
    output = words.index("--output") + 1
    name = words[output].rsplit("/", 1)[1]
    words[0], words[output] = sys.executable, str(tmp_path / "again")
    subprocess.run(words, check=True)
    assert (tmp_path / "again/index").read_bytes() == (demo / name / "index").read_bytes()


def test_the_last_command_prints_a_number_of_the_page(demo):
    where, *_, last = (demo / "commands.sh").read_text().splitlines()
    python = f"export PATH={Path(sys.executable).parent}:$PATH"
    said = subprocess.run(
        ["bash", "-c", f"{python}\n{where}\n{last}"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"^fused.test +([\d.]+)", said.split("RR@10, %")[1], re.MULTILINE)[1]
    page = (demo / "index.html").read_text(encoding="utf-8")
    assert f">{found}<" in page.split("MRR@10, %", 1)[1]


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(XqgError, match="mine exists and is not the demo's own"):
        main(["--output", str(tmp_path / "mine")])
