from __future__ import annotations

import odd_models as odd
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encode.groups import encoder_from, parse_groups

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


def options_of(command):
    return parse_groups(f"input --corpus C output --embeddings S encoder {command}".split()).encoder


def test_where_settings_come_from_is_said_before_the_work(model_dir, tmp_path, capsys):
    encoder_from(options_of(f"--encoder {model_dir} --device cpu --max-length 40 --pooling cls"))
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f'encoder {model_dir}; given: pooling "cls", max_length 40; default: ')
    encoder_from(options_of(f"--encoder {model_dir} --device cpu --pooling mean --l2-norm"))
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert 'given: pooling "mean", l2_norm true' in line
    odd.sentence_transformer(model_dir, tmp_path / "st")
    encoder_from(options_of(f"--encoder {tmp_path / 'st'} --device cpu --max-length 6"))
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'folder: pooling "mean", l2_norm true' in line
    assert "note:" not in line


def test_another_similarity_is_said(model_dir, tmp_path, capsys):
    odd.sentence_transformer(model_dir, tmp_path / "st", norm=False)
    odd.change_json(tmp_path / "st/config_sentence_transformers.json", similarity_fn_name="cosine")
    command = f"--encoder {tmp_path / 'st'} --device cpu"
    encoder_from(options_of(command))
    assert "says that its vectors are compared by cosine; here" in capsys.readouterr().err
    encoder_from(options_of(f"{command} --l2-norm"))
    assert "note:" not in capsys.readouterr().err


def test_pooling_that_nobody_says_is_refused_before_the_model_is_loaded(model_dir, monkeypatch):
    monkeypatch.setattr("pyserini_xqg.encoder.loading.load_model", None)
    with pytest.raises(XqgError, match=f"how {model_dir} pools is not known.*Give --pooling"):
        encoder_from(options_of(f"--encoder {model_dir} --device cpu"))


def test_one_side_of_dpr_is_refused_before_the_work(model_dir, tmp_path):
    from transformers import DPRConfig, DPRContextEncoder

    folder = odd.copy_of(model_dir, tmp_path / "context")
    DPRContextEncoder(DPRConfig(
        vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64,
    )).save_pretrained(folder)  # fmt: skip
    with pytest.raises(XqgError, match="side of DPR for passages, .*with --query-encoder"):
        encoder_from(options_of(f"--encoder {folder} --device cpu"))
