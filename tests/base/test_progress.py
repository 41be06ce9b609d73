"""What long work says: lines in a log, a bar on a terminal."""

from __future__ import annotations

import sys

import pytest

from pyserini_xqg.base import progress
from pyserini_xqg.base.progress import Progress, duration, with_bar


class Block:
    def __init__(self, number):
        self.docids = [str(n) for n in range(number)]


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_has_a_first_line_some_between_and_a_last(clock, capsys):
    with Progress(18_200_000, "encoding", done=200_000) as bar:
        clock[0] += 60
        bar.update(60_000)
        clock[0] += 5
        bar.update(6_000_000)  # much, but too soon after the last line
        clock[0] += 5
        bar.update(0)
        clock[0] += 30
        bar.update(11_940_000)
    assert capsys.readouterr().err.splitlines() == [
        "encoding: 18,200,000 passages, going on after 200,000",
        "encoding: 260,000 of 18,200,000 passages (1 %), 1,000/s, 4 h 59 min left",
        "encoding: 6,260,000 of 18,200,000 passages (34 %), 86,571/s, 2 min 18 s left",
        "encoding: 18,200,000 of 18,200,000 passages (100 %), 180,000/s, 0 s left",
        "encoding: 18,200,000 passages in 1 min 40 s",
    ]


def test_work_aside_is_silent_while_it_is_short(clock, capsys):
    with Progress(5_000_000_000, "checking", "bytes", aside=True) as bar:
        clock[0] += 30
        bar.update(2_500_000_000)
    assert capsys.readouterr().err == ""
    with Progress(5_000_000_000, "checking", "bytes", aside=True) as bar:
        clock[0] += 60
        bar.update(3_000_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "checking: 3.0 GB of 5.0 GB (60 %), 50 MB/s, 40 s left",
        "checking: 3.0 GB in 1 min 0 s",
    ]


def test_quiet_says_nothing(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_quiet", True)
    assert len(list(with_bar([Block(2), Block(3)], 5, "indexing"))) == 2
    progress.say("done")
    assert capsys.readouterr().err == ""


def test_a_failure_has_no_last_line(capsys):
    with pytest.raises(KeyError), Progress(3, "indexing"):
        raise KeyError
    assert capsys.readouterr().err == "indexing: 3 passages\n"


def test_a_terminal_has_a_bar_that_stays(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for _ in with_bar([Block(2), Block(3)], 5, "indexing"):
        pass
    said = capsys.readouterr().err
    assert "indexing: 100%" in said
    assert said.endswith("\n")  # the next line does not overwrite it


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (192, "3 min 12 s"), (68_580, "19 h 3 min")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
