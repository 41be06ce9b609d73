from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from pyserini_xqg.base import leftovers, output
from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder, read_finished
from pyserini_xqg.base.refusing import refuse_existing

PLAN = {"alpha": 0.1, "input": "abc"}


def files(path):
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}


def test_whole_only_at_the_end(tmp_path):
    path = tmp_path / "of/my" / "out"
    with OutputFolder(path, "m.json") as folder:
        folder.start(PLAN, {"data": b"head"})
        folder.append(2, {"data": b"xx"})
        assert not path.exists()
        assert (folder.rows, folder.blocks) == (2, 1)
        folder.finish({"rows": folder.rows}, {"data": b"HEAD"}, keep_log=False)
    assert files(path) == {"data": b"HEADxx", "m.json": b'{\n "rows": 2\n}\n'}
    assert [entry.name for entry in path.parent.iterdir()] == ["out"]


def test_what_a_killed_process_left_beyond_its_last_block_is_cut_off(tmp_path):
    path = tmp_path / "out"
    with OutputFolder(path, "m.json") as folder:
        folder.start(PLAN, {"data": b"head", "other": b""})
        folder.append(2, {"data": b"xx", "other": b"1"})
    with open(tmp_path / "out.partial/data", "ab") as data:
        data.write(b"half a blo")
    with open(tmp_path / "out.partial/blocks.jsonl", "ab") as log:
        log.write(b'{"rows": 2, "si')
    with OutputFolder(path, "m.json") as folder:
        folder.start(PLAN, {"data": b"head", "other": b""})
        assert (folder.rows, folder.blocks) == (2, 1)
        folder.append(1, {"data": b"y", "other": b"2"})
        folder.finish({})
    assert (path / "data").read_bytes() == b"headxxy"
    assert (path / "other").read_bytes() == b"12"
    log = [json.loads(line) for line in (path / "blocks.jsonl").read_text().splitlines()]
    assert [(entry["rows"], entry["sizes"]["data"]) for entry in log] == [(2, 6), (1, 7)]


@pytest.mark.parametrize("lost", [lambda path: os.truncate(path, 1), os.unlink])
def test_a_file_shorter_than_committed_is_refused(tmp_path, lost):
    with OutputFolder(tmp_path / "out", "m.json") as folder:
        folder.start(PLAN, {"data": b""})
        folder.append(1, {"data": b"xx"})
    lost(tmp_path / "out.partial/data")
    with (
        OutputFolder(tmp_path / "out", "m.json") as folder,
        pytest.raises(XqgError, match="data is missing or shorter than what was committed"),
    ):
        folder.start(PLAN, {"data": b""})


def test_another_plan_is_refused_naming_what_changed(tmp_path):
    with OutputFolder(tmp_path / "out", "m.json") as folder:
        folder.start(PLAN, {"data": b""})
    with (
        OutputFolder(tmp_path / "out", "m.json") as folder,
        pytest.raises(XqgError, match=r"alpha was 0\.1, is now 0\.2\. Run the first command again"),
    ):
        folder.start({**PLAN, "alpha": 0.2}, {"data": b""})
    with (
        OutputFolder(tmp_path / "out", "m.json") as folder,
        pytest.raises(XqgError, match=r'input was "abc", is now "a{76}\.\.\.\. Run'),
    ):
        folder.start({**PLAN, "input": "a" * 90}, {"data": b""})
    with OutputFolder(tmp_path / "out", "m.json", overwrite=True) as folder:
        folder.start({**PLAN, "alpha": 0.2}, {"data": b""})


def test_an_existing_folder_needs_overwrite(tmp_path):
    path = tmp_path / "out"
    for text in (b"1", b"2"):
        with OutputFolder(path, "m.json", overwrite=text == b"2") as folder:
            folder.start(PLAN, {"data": text})
            folder.finish({}, keep_log=False)
    assert files(path) == {"data": b"2", "m.json": b"{}\n"}
    with pytest.raises(XqgError, match="out exists; give another name, or --overwrite"):
        OutputFolder(path, "m.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_starting_anew_leaves_nothing_but_the_lock_that_is_held(tmp_path):
    partial = tmp_path / "out.partial"
    with OutputFolder(tmp_path / "out", "m.json") as folder:
        folder.start(PLAN, {"data": b"1"})
    lock = (partial / "lock").stat().st_ino
    (partial / "work" / "old").touch()
    (partial / "a folder").mkdir()
    with OutputFolder(tmp_path / "out", "m.json", overwrite=True) as folder:
        assert sorted(entry.name for entry in partial.iterdir()) == ["lock", "work"]
        assert not [*folder.work.iterdir()]
        assert (partial / "lock").stat().st_ino == lock


@pytest.mark.skipif(sys.platform != "linux", reason="Linux lists what is open under /proc")
def test_no_file_stays_open(tmp_path):
    before = os.listdir("/proc/self/fd")
    with OutputFolder(tmp_path / "out", "m.json") as folder:
        folder.start(PLAN, {"data": b"1", "more": b""})
        assert len(os.listdir("/proc/self/fd")) == len(before) + 4
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_the_old_folder_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out"
    with OutputFolder(path, "m.json") as folder:
        folder.start(PLAN, {"data": b"1"})
        folder.finish({})
    with OutputFolder(path, "m.json", overwrite=True) as folder:
        folder.start(PLAN, {"data": b"2"})
    assert (path / "data").read_bytes() == b"1"


def test_a_second_process_is_refused(tmp_path):
    code = (
        "import sys; from pyserini_xqg.base.output import OutputFolder\n"
        "from pyserini_xqg.base.errors import XqgError\n"
        "try:\n    OutputFolder(sys.argv[1], 'm.json').__enter__()\n"
        "except XqgError as error: print(error)"
    )
    with OutputFolder(tmp_path / "out", "m.json"):
        said = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "out"], capture_output=True, text=True
        )
    assert "is being written by another process" in said.stdout


def by_its_command(path):
    """As every command refuses an output that is there, before it looks at anything else."""
    parser = Parser(prog="p", description="", example="")
    parser.add_argument("--output")
    parser.add_argument("--overwrite", action="store_true")
    parser.parse_args(["--output", str(path)])


@pytest.mark.parametrize("refuse", [lambda path: OutputFolder(path, "m.json"), by_its_command])
def test_what_a_process_killed_at_the_very_end_left_inside_is_removed(
    tmp_path, monkeypatch, refuse
):
    path = tmp_path / "out"

    def killed(path):
        if path.exists():
            raise KeyboardInterrupt

    with OutputFolder(path, "m.json") as folder, pytest.raises(KeyboardInterrupt):
        folder.start(PLAN, {"data": b""})
        folder.append(1, {"data": b"x"})
        monkeypatch.setattr(output, "tidy", killed)
        folder.finish({}, keep_log=False)
    monkeypatch.undo()
    assert {"lock", "plan.json", "work", "blocks.jsonl"} < {x.name for x in path.iterdir()}
    with pytest.raises(XqgError, match="out exists"):
        refuse(path)
    assert files(path) == {"data": b"x", "m.json": b"{}\n"}


def test_two_that_tidy_at_once(tmp_path, monkeypatch):
    listed = tmp_path / leftovers.LEFTOVERS
    listed.write_text('["lock", "blocks.jsonl", "plan.json", "work"]')

    def read(path):
        found = json.loads(path.read_text())
        listed.unlink()  # the other was quicker
        return found

    monkeypatch.setattr(leftovers, "read_json", read)
    leftovers.tidy(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_the_old_folder_goes_even_if_replacing_it_was_broken_off(tmp_path):
    path = tmp_path / "out"
    (tmp_path / "out.old").mkdir()
    with OutputFolder(path, "m.json", overwrite=True) as folder:
        folder.start(PLAN, {"data": b"2"})
        folder.finish({})
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("path", [".", "..", "", "../..", "/", "./", "../inside"])
def test_the_folder_that_this_runs_in_is_no_output(tmp_path, monkeypatch, path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "mine").touch()
    monkeypatch.chdir(tmp_path / "inside")
    for overwrite in (False, True):
        with pytest.raises(XqgError, match=f"'{path}' is the folder that this runs in, or one"):
            OutputFolder(path, "manifest.json", overwrite=overwrite)
        with pytest.raises(XqgError, match="is the folder that this runs in"):
            refuse_existing(path, overwrite)
    assert (tmp_path / "inside" / "mine").exists()


def test_what_is_no_finished_folder(tmp_path):
    def read(folder):
        return read_finished(folder, "m.json", 2, {"n": int}, what="store", made_by="encode")

    with pytest.raises(XqgError, match=r"out is no store \(no m.json\); make one with encode$"):
        read(tmp_path / "out")
    (tmp_path / "out.partial").mkdir()
    with pytest.raises(XqgError, match=r"out.partial is an unfinished one: run its command again$"):
        read(tmp_path / "out")
    (tmp_path / "out").mkdir()
    for content, message in (
        ({"format": 1, "n": 1}, "out: format 1 of store, expected 2; make it again"),
        ({"format": 2}, "out/m.json: .*'n'"),
    ):
        (tmp_path / "out/m.json").write_text(json.dumps(content))
        with pytest.raises(XqgError, match=message):
            read(tmp_path / "out")
    (tmp_path / "out/m.json").write_text('{"format": 2, "n": 7}')
    assert read(tmp_path / "out") == {"format": 2, "n": 7}


@pytest.mark.parametrize("name", ["manifest.json", "xqg.json"])
def test_an_output_inside_another_is_refused(tmp_path, name):
    inside = tmp_path / "store" / "of" / "index"
    inside.parent.mkdir(parents=True)
    (tmp_path / "store" / name).write_text('{"name": "a web page"}')
    OutputFolder(inside, "m.json")
    (tmp_path / "store" / name).write_text('{"format": 1}')
    for overwrite in (False, True):
        with pytest.raises(
            XqgError, match=rf"index is inside \S+store, which is replaced as one .{name}"
        ):
            OutputFolder(inside, "m.json", overwrite=overwrite)
    OutputFolder(tmp_path / "store", "m.json", overwrite=True)
