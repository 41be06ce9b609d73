from __future__ import annotations

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.groups import parse_groups

COMMAND = "input --corpus C output --embeddings E --to-faiss encoder --encoder M --l2-norm"


def test_a_pyserini_command_as_it_is():
    groups = parse_groups(
        "input --corpus C --fields title text --delimiter \\n --shard-id 1 --shard-num 4 "
        "output --embeddings E --to-faiss "
        "encoder --encoder M --fields title text --batch-size 32 --max-length 180 --dimension 768 "
        "--device cpu --fp16 --add-sep --pooling mean --l2-norm --prefix p".split()
    )
    assert groups.xqg is None
    assert (groups.input.shard_id, groups.input.fields) == (1, ["title", "text"])
    assert groups.output.to_faiss
    assert (groups.encoder.max_length, groups.encoder.l2_norm) == (180, True)


def test_a_fourth_group():
    groups = parse_groups(f"{COMMAND} xqg --queries Q R --method mean --alpha 0.5".split())
    assert groups.xqg.queries == ["Q", "R"]
    assert (groups.xqg.method, groups.xqg.alpha) == ("mean", 0.5)


def test_a_groups_name_after_an_option_is_its_value():
    groups = parse_groups(
        "input --corpus input output --embeddings output encoder --encoder encoder "
        "xqg --queries xqg".split()
    )
    assert (groups.input.corpus, groups.output.embeddings) == ("input", "output")
    assert (groups.encoder.encoder, groups.xqg.queries) == ("encoder", ["xqg"])


def test_a_groups_name_after_a_flag_begins_the_group():
    assert parse_groups(COMMAND.split()).encoder.encoder == "M"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--corpus C", "'--corpus' stands before the first group"),
        ("input --corpus C", r"missing group\(s\): output, encoder"),
        (f"{COMMAND} input --corpus D", "the group 'input' is given twice"),
    ],
)
def test_what_is_refused(command, message):
    with pytest.raises(XqgError, match=message):
        parse_groups(command.split())


def test_help_names_every_group(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_groups(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert all(option in said for option in ("--corpus", "--embeddings", "--encoder", "--queries"))
