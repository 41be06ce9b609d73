"""Shards on a real Ray cluster of this machine."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from generate_models import make_t5

import pyserini_xqg
from pyserini_xqg.base import native, ray_engine
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.ray_engine import Shard, run_on_ray, shard_path
from pyserini_xqg.encode.__main__ import main as encode
from pyserini_xqg.encode.command import encode_here
from pyserini_xqg.encode.groups import parse_groups
from pyserini_xqg.filter.__main__ import main as clean
from pyserini_xqg.generate.__main__ import main as generate

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    # Tasks have one core and so one thread each: what they make is compared with what we make.
    torch.set_num_threads(1)
    restore = native.fault_handlers()  # other tests have a Java machine in this process
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    restore()
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.shutdown()
    restore()


@pytest.fixture
def words(model_dir, corpus_and_queries):
    """The command's words for a store of this name; `shard` goes to the input group."""

    def command(output, *shard, corpus=None, queries=None, xqg=()):
        corpus, queries = corpus or corpus_and_queries[0], queries or corpus_and_queries[1]
        return ["input", "--corpus", str(corpus), *shard, "output", "--embeddings", str(output),
                "encoder", "--encoder", str(model_dir), "--pooling", "mean", "--device", "cpu",
                "xqg", "--queries", str(queries), *xqg]  # fmt: skip

    return command


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


RAY = ("--engine", "ray", "--shard-num", "2")


def test_the_command_makes_the_bytes_of_local_shards(words, tmp_path):
    # A process of its own: it starts a cluster, and its functions are those of __main__.
    command = [sys.executable, "-m", "pyserini_xqg.encode", *words("wiki", *RAY)]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    alone["PYTHONPATH"] = str(Path(pyserini_xqg.__file__).parents[1])
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=alone)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    for number in ("0", "1"):
        encode(words(tmp_path / f"local-{number}", "--shard-id", number, "--shard-num", "2"))
        made = files(tmp_path / f"wiki-{number}")
        assert made == files(tmp_path / f"local-{number}")
        assert "manifest.json" in made
    assert not (tmp_path / "wiki").exists()


def die_once_after_a_block(groups):
    """Encode, in a process that is killed after its first block; note down the blocks."""
    from pyserini_xqg.store.writer import StoreWriter

    blocks = Path(groups.output.embeddings).with_name("blocks")
    append = StoreWriter.append

    def append_and_die(writer, block):
        append(writer, block)
        with open(blocks, "a") as file:
            file.write(block.docids[0] + "\n")
        if len(blocks.read_text().split()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    StoreWriter.append = append_and_die
    try:
        encode_here(groups)
    finally:
        StoreWriter.append = append


def run_one(function, groups, output, **given):
    run_on_ray(
        function,
        [Shard(str(output), groups)],
        groups.input,
        output=output,
        settings={},
        inputs=[],
        **given,
    )


def test_a_shard_whose_process_dies_goes_on_where_it_stopped(words, write_large, tmp_path):
    corpus, queries = write_large(tmp_path, 1100)
    encode(words(tmp_path / "local", corpus=corpus, queries=queries))
    groups = parse_groups(words(tmp_path / "wiki-0", corpus=corpus, queries=queries))
    run_one(die_once_after_a_block, groups, tmp_path / "wiki-0")
    assert (tmp_path / "blocks").read_text().split() == ["d0", "d1024"]  # each of them once
    assert files(tmp_path / "wiki-0") == files(tmp_path / "local")


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_shard_that_always_dies_is_given_up(words, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    groups = parse_groups(words(tmp_path / "wiki-0"))
    with pytest.raises(XqgError, match=r"shard 0: its process died 2 times \(WorkerCrashedError"):
        run_one(die, groups, tmp_path / "wiki-0")


def nothing(_):
    pass


def test_an_output_that_is_not_here(words, tmp_path):
    groups = parse_groups(words(tmp_path / "wiki-0"))
    with pytest.raises(XqgError, match="wiki-0 is not here: all machines must share the file"):
        run_one(nothing, groups, tmp_path / "wiki-0")


def refuse(_):
    raise PermissionError(13, "Permission denied", "/data")


def test_what_the_machine_refuses_comes_through(words, tmp_path):
    groups = parse_groups(words(tmp_path / "wiki-0"))
    with pytest.raises(PermissionError, match="/data"):
        run_one(refuse, groups, tmp_path / "wiki-0")


def test_finished_shards_are_passed_over_and_never_mixed(words, tmp_path, corpus_and_queries):
    again = words(tmp_path / "wiki", *RAY)
    encode(again)
    first, second = files(tmp_path / "wiki-0"), files(tmp_path / "wiki-1")
    (tmp_path / "wiki-1" / "manifest.json").unlink()
    (tmp_path / "wiki-1").rename(tmp_path / "away")
    made = (tmp_path / "wiki-0").stat().st_ino
    encode(again)
    assert (tmp_path / "wiki-0").stat().st_ino == made
    assert files(tmp_path / "wiki-1") == second
    with pytest.raises(XqgError, match="wiki was begun with .*: xqg --languages was null, is now"):
        encode([*again, "--languages", "te"])
    with pytest.raises(XqgError, match="input --shard-num was 2, is now 3"):
        encode(words(tmp_path / "wiki", *RAY[:3], "3"))
    with open(corpus_and_queries[0], "a") as corpus:
        corpus.write('{"docid": "new", "text": "w1"}\n')
    with pytest.raises(XqgError, match="inputs was "):
        encode(again)
    again.insert(again.index("encoder"), "--overwrite")
    encode(again)
    assert files(tmp_path / "wiki-0") != first
    assert b"new\n" in files(tmp_path / "wiki-1")["docid"]


def test_an_error_of_ours_names_the_shard(words, tmp_path, write_jsonl):
    bad = write_jsonl("bad.jsonl", [{"docid": "1", "text": "w1"}, {"docid": "1", "text": "w2"}])
    with pytest.raises(XqgError, match=r"^shard \d: .*bad.jsonl:2: duplicate docid '1'"):
        encode(words(tmp_path / "wiki", *RAY, corpus=bad))
    with pytest.raises(XqgError, match="makes every shard: leave --shard-id 1 out"):
        encode(words(tmp_path / "wiki", *RAY, "--shard-id", "1"))
    with pytest.raises(XqgError, match="--shard-num 0: expected at least 1"):
        encode(words(tmp_path / "wiki", "--engine", "ray", "--shard-num", "0"))


def test_a_dry_run_is_one_task(words, tmp_path, capsys):
    dry = words(tmp_path / "wiki", *RAY)
    dry.insert(dry.index("encoder"), "--dry-run")
    encode(dry)
    assert capsys.readouterr().out.startswith("shard 0: 15 of 15 passages measured: ")
    assert not list(tmp_path.glob("*wiki*"))


def test_generate(tmp_path, corpus_and_queries):
    given = ["--corpus", str(corpus_and_queries[0]), "--generator", str(make_t5(tmp_path / "t5")),
             "--languages", "te", "ru", "--num-queries", "1", "--max-new-tokens", "4",
             "--device", "cpu", "--shard-num", "2"]  # fmt: skip
    generate([*given, "--engine", "ray", "--output", str(tmp_path / "q.jsonl.gz")])
    for number in ("0", "1"):
        local = tmp_path / f"local-{number}.jsonl.gz"
        generate([*given, "--shard-id", number, "--output", str(local)])
        assert (tmp_path / f"q-{number}.jsonl.gz").read_bytes() == local.read_bytes()
    assert local.stat().st_size > 200


def test_filter(tmp_path, capsys, corpus_and_queries):
    corpus, queries = map(str, corpus_and_queries)
    given = ["--corpus", corpus, "--queries", queries, "--max-shared", "1", "--overwrite"]
    clean([*given, "--output", str(tmp_path / "whole.jsonl")])
    whole = (tmp_path / "whole.jsonl").read_bytes()
    # Passages 14 and 15 share this one, and are in different shards.
    assert b'"w45"' in corpus_and_queries[1].read_bytes()
    assert b'"w45"' not in whole
    capsys.readouterr()
    clean([*given, *RAY, "--output", str(tmp_path / "q.jsonl"), "--report", f"{tmp_path}/r.json"])
    shards = [(tmp_path / f"q-{number}.jsonl").read_bytes() for number in (0, 1)]
    assert [shard.count(b"\n") for shard in shards] == [15, 15]
    assert b"".join(shards) == whole
    said = capsys.readouterr().out
    assert "shard 0:  ar" in said
    assert "shard 1:  ar" in said
    assert (tmp_path / "r-1.json").exists()
    with pytest.raises(XqgError, match="^shard .: --keep-fraction compares the scores of all"):
        clean([*given, *RAY, "--keep-fraction", "0.5", "--output", str(tmp_path / "q.jsonl")])


def test_without_ray(words, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(XqgError, match=r"not installed: pip install 'pyserini_xqg\[ray\]'"):
        encode(words(tmp_path / "wiki", *RAY))


def test_no_cluster_at_the_address(words, tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(XqgError, match="--ray-address 127.0.0.1:1: no cluster there .*refused"):
        encode(words(tmp_path / "wiki", *RAY, "--ray-address", "127.0.0.1:1"))
    assert not list(tmp_path.glob(".wiki*"))


@pytest.mark.parametrize(
    ("output", "shard"),
    [
        ("/a/wiki", "/a/wiki-3"),
        ("/a/wiki.v1", "/a/wiki.v1-3"),
        ("/a/q.jsonl", "/a/q-3.jsonl"),
        ("/a/q.jsonl.gz", "/a/q-3.jsonl.gz"),
    ],
)
def test_names_of_shards(output, shard):
    assert shard_path(output, 3) == shard


def test_cores_and_gpus_of_a_task(capsys):
    def resources(cluster, cpus, gpus):
        given = argparse.Namespace(num_cpus_per_task=cpus, num_gpus_per_task=gpus)
        found = ray_engine._resources(cluster, given)
        return found["num_cpus"], found["num_gpus"]

    machines = [{"Resources": {"CPU": 8.0, "GPU": 4.0}}, {"Resources": {"CPU": 16.0}}]
    four_gpus = argparse.Namespace(nodes=lambda: machines)
    assert resources(four_gpus, 1, None) == (1, 1)
    assert resources(four_gpus, 16, 0.5) == (16, 0.5)
    assert resources(ray, 2, None) == (2, 0)
    assert capsys.readouterr().err == ""
    assert resources(four_gpus, 17, 8) == (17, 8)
    said = capsys.readouterr().err
    assert "--num-cpus-per-task 17: no machine of the cluster has as many yet (at most 16)" in said
    assert "--num-gpus-per-task 8: no machine of the cluster has as many yet (at most 4)" in said
    with pytest.raises(XqgError, match="--num-cpus-per-task is at least 1"):
        resources(ray, 0, None)
