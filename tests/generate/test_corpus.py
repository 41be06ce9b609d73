from __future__ import annotations

import gzip
import json
import multiprocessing
import threading
import time

import pytest
import torch
from generate_models import make_chat, make_t5, write_corpus
from killing import kill_at_any_moment

from pyserini_xqg.base.errors import XqgError, run_command
from pyserini_xqg.collection.join import Join
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.collection.scripts import letters_by_script
from pyserini_xqg.generate import corpus as corpus_module
from pyserini_xqg.generate import devices
from pyserini_xqg.generate.__main__ import main
from pyserini_xqg.generate.corpus import generate_corpus
from pyserini_xqg.generate.decoding import Outside
from pyserini_xqg.generate.devices import devices_of
from pyserini_xqg.generate.generator import Generator
from pyserini_xqg.generate.settings import Settings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    return str(make_t5(tmp_path_factory.mktemp("t5")))


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """30 passages, in blocks of 8."""
    monkeypatch.setattr(corpus_module, "BLOCK", 8)
    return write_corpus(tmp_path / "corpus.jsonl", 30)


def settings(model, **given):
    given = {"num_queries": 2, "max_new_tokens": 6, "batch_size": 4, **given}
    return Settings.resolve(model, given.pop("languages", ["te", "ru"]), **given)


def generate(corpus, output, settings, **given):
    """The bytes that a run writes."""
    generate_corpus(corpus, output, settings, **{"device": "cpu", **given})
    return output.read_bytes()


def test_rows_in_the_contracts_form_and_corpus_order(model, corpus, tmp_path):
    written = generate(corpus, tmp_path / "q.jsonl", settings(model))
    rows = [json.loads(line) for line in written.splitlines()]
    assert [row["docid"] for row in rows] == [f"d{i}" for i in range(30)]
    assert all(list(row) == ["docid", "generated_queries"] for row in rows)
    for row in rows:
        assert list(row["generated_queries"]) == ["te", "ru"]
        assert all(len(texts) == 2 for texts in row["generated_queries"].values())
    texts = {t for row in rows for texts in row["generated_queries"].values() for t in texts}
    assert len(texts) > 60  # of 120: passages, languages and samples differ
    assert not any("<pad>" in text or text != " ".join(text.split()) for text in texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl", "q.jsonl"]
    join = Join(corpus, [tmp_path / "q.jsonl"], tmp_path)
    assert join.counts.total() + join.empty_queries == 120


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(model, corpus, tmp_path):
    one = generate(corpus, tmp_path / "1", settings(model))
    assert generate(corpus, tmp_path / "2", settings(model)) == one
    assert generate(corpus, tmp_path / "3", settings(model, seed=1)) != one


def test_neither_batch_nor_other_languages_nor_more_samples_change_a_query(model, corpus, tmp_path):
    one = generate(corpus, tmp_path / "1", settings(model))
    assert generate(corpus, tmp_path / "2", settings(model, batch_size=7)) == one
    more = generate(corpus, tmp_path / "3",
                    settings(model, languages=["fi", "ru"], num_queries=3))  # fmt: skip
    for few, many in zip(one.splitlines(), more.splitlines(), strict=True):
        ru = json.loads(many)["generated_queries"]["ru"]
        assert ru[:2] == json.loads(few)["generated_queries"]["ru"]


@pytest.mark.parametrize("trim", [False, True])
def test_shards_together_are_the_whole(model, corpus, tmp_path, trim):
    known = settings(model, trim_vocabulary=trim)
    whole = generate(corpus, tmp_path / "whole", known)
    shards = [
        generate(corpus, tmp_path / f"s{shard}", known, shard_id=shard, shard_num=3)
        for shard in range(3)
    ]
    assert b"".join(shards) == whole
    assert all(shards)
    with pytest.raises(XqgError, match="shard 2 of 40 is empty: the corpus has only 30"):
        generate(corpus, tmp_path / "s", known, shard_id=2, shard_num=40)


def test_packed_by_name(model, corpus, tmp_path):
    plain = generate(corpus, tmp_path / "q.jsonl", settings(model))
    packed = generate(corpus, tmp_path / "q.jsonl.gz", settings(model))
    assert gzip.decompress(packed) == plain
    again = generate(corpus, tmp_path / "q.jsonl.gz", settings(model), overwrite=True)
    assert again == packed


def test_an_existing_file_needs_overwrite(model, corpus, tmp_path):
    output = tmp_path / "q.jsonl"
    output.write_text("dear")
    with pytest.raises(XqgError, match=r"q\.jsonl exists; give another name, or --overwrite"):
        generate(corpus, output, settings(model))
    assert output.read_text() == "dear"
    assert generate(corpus, output, settings(model), overwrite=True).startswith(b'{"docid": "d0"')
    with pytest.raises(XqgError, match="is a folder"):
        generate(corpus, tmp_path, settings(model), overwrite=True)


def stop_after(monkeypatch, jobs, error=KeyboardInterrupt):
    """Let so many jobs be done, then interrupt; the list of those begun."""
    real, begun = Generator.generate, []

    def breaking(self, passages, language, **given):
        if len(begun) == jobs:
            raise error
        begun.append((passages[0].docid, language))
        return real(self, passages, language, **given)

    monkeypatch.setattr(Generator, "generate", breaking)
    return begun


def test_an_interrupted_run_goes_on_job_by_job(model, corpus, tmp_path, monkeypatch):
    whole = generate(corpus, tmp_path / "whole", settings(model))
    begun = []
    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            begun.append(stop_after(patch, 3))
            generate(corpus, tmp_path / "q", settings(model))
        assert not (tmp_path / "q").exists()
    rest = stop_after(monkeypatch, 99)
    assert generate(corpus, tmp_path / "q", settings(model)) == whole
    # 4 blocks of 2 languages, each done once.
    assert [len(jobs) for jobs in (*begun, rest)] == [3, 3, 2]
    assert len({*begun[0], *begun[1], *rest}) == 8
    assert not (tmp_path / "q.partial").exists()


GENERATE = """
import sys
import torch
import pyserini_xqg.generate.corpus as corpus
import pyserini_xqg.generate.generator
from pyserini_xqg.generate.settings import Settings

source, model = sys.argv[3:]
torch.set_num_threads(1)
corpus.BLOCK = 8
settings = Settings.resolve(
    model, ["te", "ru"], num_queries=2, max_new_tokens=6, batch_size=4, trim_vocabulary=True
)

def work(output):
    corpus.generate_corpus(source, output, settings, device="cpu")
"""


def test_kill_9_at_any_moment(model, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "BLOCK", 8)
    source = write_corpus(tmp_path / "corpus.jsonl", 44)  # six blocks
    kill_at_any_moment(GENERATE, tmp_path / "q.jsonl.gz", source, model)
    written = (tmp_path / "q.jsonl.gz").read_bytes()
    assert written == generate(source, tmp_path / "whole.gz", settings(model, trim_vocabulary=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "corpus.jsonl", "q.jsonl.gz", "whole.gz",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [KeyboardInterrupt, XqgError])
def test_other_settings_are_refused_once_work_is_done(model, corpus, tmp_path, monkeypatch, error):
    with monkeypatch.context() as patch, pytest.raises(error):
        stop_after(patch, 1, error)
        generate(corpus, tmp_path / "q", settings(model))
    with pytest.raises(XqgError, match="was begun with other input or settings: settings was"):
        generate(corpus, tmp_path / "q", settings(model, seed=5))


def test_other_settings_are_welcome_while_none_is_done(model, corpus, tmp_path):
    with pytest.raises(XqgError, match="--device nowhere"):
        generate(corpus, tmp_path / "q", settings(model), device="nowhere")
    assert generate(corpus, tmp_path / "q", settings(model, batch_size=5))


def test_two_processes_write_what_one_does(model, corpus, tmp_path):
    one = generate(corpus, tmp_path / "1", settings(model))
    # The processes import the module anew, with its own size of blocks; the jobs are cut here.
    assert generate(corpus, tmp_path / "2", settings(model), device="cpu,cpu") == one
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("device", "error", "message"),
    [
        ("nowhere", XqgError, "^on nowhere: --device nowhere: "),
        ("cpu", RuntimeError, "(?s)^on cpu:\nTraceback .*AttributeError"),
    ],
)
def test_an_error_in_a_process_fails_the_run_with_its_message(model, device, error, message):
    # Both ends of the pipe in this process; what they do is the same.
    ours, theirs = multiprocessing.Pipe()
    ours.send("no job")
    devices._work(theirs, device, settings(model), {}, 1)
    worker = object.__new__(devices._Worker)
    worker.pipe, worker._device = ours, device
    with pytest.raises(error, match=message):
        worker.receive()


def test_a_process_that_dies_fails_the_run(model, corpus, tmp_path):
    def kill():
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        children[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(XqgError, match=r"the process on cpu died \(exit code -9"):
        generate(corpus, tmp_path / "q", settings(model), device="cpu,cpu")
    killer.join()
    assert not multiprocessing.active_children()


def test_device_names():
    assert devices_of("cpu, cpu") == ["cpu", "cpu"]
    with pytest.raises(XqgError, match="--device cuda:99: no such device; there is cpu"):
        devices_of("cpu,cuda:99")
    assert devices_of(None) == ["cuda:0" if torch.cuda.is_available() else "cpu"]
    with pytest.raises(XqgError, match="--device 'cpu,': expected names such as"):
        devices_of("cpu,")


def no_room_on_the_cpu():
    torch.empty(10**15)


def no_room_on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory")


def out_of_memory_above(monkeypatch, prompts, no_room=no_room_on_a_gpu):
    """As if the memory held so many prompts; the sizes of the batches tried."""
    from pyserini_xqg.generate import generator

    real, tried = generator.decode, []

    def limited(decoder, batch, *args, **given):
        tried.append(len(batch))
        if len(batch) > prompts:
            no_room()
        return real(decoder, batch, *args, **given)

    monkeypatch.setattr(generator, "decode", limited)
    return tried


@pytest.mark.parametrize("no_room", [no_room_on_a_gpu, no_room_on_the_cpu])
def test_a_batch_that_does_not_fit_is_halved(model, corpus, tmp_path, monkeypatch, no_room):
    known = settings(model, languages=["te"], batch_size=7)
    whole = generate(corpus, tmp_path / "1", known)
    tried = out_of_memory_above(monkeypatch, 2, no_room)
    assert generate(corpus, tmp_path / "2", known) == whole
    assert tried[:6] == [7, 3, 1, 1, 1, 1]
    assert len(tried) == 2 + 30  # and it stays halved


def test_the_longest_come_first(model, corpus, tmp_path, monkeypatch):
    from pyserini_xqg.generate import generator

    real, lengths = generator.decode, []

    def noting(decoder, batch, *args, **given):
        lengths.extend(map(len, batch))
        return real(decoder, batch, *args, **given)

    monkeypatch.setattr(generator, "decode", noting)
    generate(corpus, tmp_path / "q", settings(model, languages=["te"]))
    blocks = [lengths[at : at + 8] for at in range(0, 30, 8)]
    assert all(block == sorted(block, reverse=True) for block in blocks)
    assert len(set(lengths)) > 5


def test_another_error_of_torch_is_none_of_memory(model, corpus, tmp_path, monkeypatch):
    def broken():
        torch.empty(2) @ torch.empty(3)

    out_of_memory_above(monkeypatch, 2, broken)
    with pytest.raises(RuntimeError, match="size"):
        generate(corpus, tmp_path / "q", settings(model))


def test_one_passage_that_does_not_fit_says_what_to_do(model, corpus, tmp_path, monkeypatch):
    out_of_memory_above(monkeypatch, 0)
    with pytest.raises(XqgError, match="out of memory on cpu with one passage .* --num-queries"):
        generate(corpus, tmp_path / "q", settings(model))


def test_a_trimmed_vocabulary_guards_the_language(model, corpus, tmp_path, capsys):
    arguments = ["--corpus", corpus, "--generator", model, "--languages", "te", "ru",
                 "--device", "cpu", "--max-new-tokens", "12", "--top-k", "4"]  # fmt: skip
    found = {}
    for name, more in (("whole", []), ("trimmed", ["--trim-vocabulary"])):
        main([str(word) for word in [*arguments, "--output", tmp_path / name, *more]])
        texts = {"te": "", "ru": ""}
        for line in (tmp_path / name).read_text().splitlines():
            for language, of_language in json.loads(line)["generated_queries"].items():
                texts[language] += "".join(of_language)
        found[name] = {language: letters_by_script(text) for language, text in texts.items()}
    assert found["whole"]["te"]["Cyrl"]  # the random model knows no languages
    assert found["whole"]["ru"]["Telu"]
    assert set(found["trimmed"]["te"]) == {"Telu", "Latn"}
    assert set(found["trimmed"]["ru"]) == {"Cyrl", "Latn"}
    # The model's weights are random, so that the report must be bad.
    error = capsys.readouterr().err
    assert "note: trimmed vocabulary: in " in error
    assert "draws checked" in error


def test_names_are_looked_for_all_over_the_corpus(model, corpus, tmp_path):
    from transformers import AutoTokenizer

    join = Join(corpus, [], tmp_path)
    found = [passage.docid for passage in corpus_module.spread(join, 4)]
    assert found == ["d0", "d7", "d15", "d22"]
    assert len(list(corpus_module.spread(join, 99))) == 30
    kept = corpus_module.kept_for(settings(model, trim_vocabulary=True), join)
    # No language's own script has it; it is in titles, yet not in the first.
    assert AutoTokenizer.from_pretrained(model).convert_tokens_to_ids("▁London") in kept["te"]
    assert corpus_module.kept_for(settings(model), join) == {}


def test_the_report_sums_over_blocks_and_languages(model, corpus, tmp_path):
    known = settings(model, trim_vocabulary=True, max_new_tokens=1)
    outside = generate_corpus(corpus, tmp_path / "q", known, device="cpu")
    # The first batch, of 4, in each of 4 blocks and 2 languages, 2 samples, 1 step.
    assert outside.steps == 4 * 4 * 2 * 2
    assert 0 < outside.outside <= outside.steps
    assert generate_corpus(corpus, tmp_path / "w", settings(model), device="cpu") == Outside(0, 0)


def test_a_chat_model_through_its_template(tmp_path, corpus):
    template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %} question{% endif %}"
    )
    model = str(make_chat(tmp_path / "chat", template))
    known = settings(model, languages=["te"], template="w1 {lang} {passage} w2", max_length=3)
    generator = Generator(known, "cpu")
    (passage,) = Join(corpus, [], tmp_path).read_passages(9, 10)
    (prompt,) = generator._prompts([passage], "te")
    said = generator._tokenizer.decode(prompt)
    kept = " ".join(passage.text.split()[:3])  # the passage is cut, the prompt's end is not
    assert said.endswith(f"w1 Telugu {kept} w2 question")
    rows = generate(corpus, tmp_path / "q", known).splitlines()
    assert len({tuple(json.loads(row)["generated_queries"]["te"]) for row in rows}) > 20


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for", "its chat template cannot be filled .unexpected 'end of template'.; give one"),
        ("{{ raise_exception('a system first') }}", "cannot be filled .a system first."),
        ("{{ ''.__class__.__mro__ }}", "cannot be filled .access to attribute '__class__'"),
        ("{{ tools[0].name }}{{ messages[0]['content'] }}", "cannot be filled"),
        ("{# nothing #}", "its chat template leaves out what it is asked; give one that has it"),
        ("user: {{ messages[0]['content'][0]['text'] }}", "leaves out what it is asked"),
    ],
)
def test_a_chat_template_that_asks_nothing(tmp_path, template, message):
    model = str(make_chat(tmp_path / "chat", template))
    with pytest.raises(XqgError, match=message) as caught:
        Generator(settings(model), "cpu")
    assert "\n" not in str(caught.value)


def test_an_answer_ends_where_anybody_says_that_it_does(tmp_path):
    model = make_chat(tmp_path / "chat", None)
    for name in ("generation_config.json", "config.json"):
        file = model / name
        file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token_id": None}))
        assert Generator(settings(str(model)), "cpu")._ends == [1]
    file = model / "tokenizer_config.json"
    content = json.loads(file.read_text())
    del content["eos_token"], content["pad_token"]
    file.write_text(json.dumps(content))
    generator = Generator(settings(str(model), num_queries=1), "cpu")
    assert generator._ends == []
    rows = [Passage("a", "", "w1 w2"), Passage("b", "", "w3 w4 w5 w6")]
    assert len(generator.generate(rows, "te").texts) == 2


def test_a_chat_model_s_words_are_read_as_an_answer(tmp_path):
    generator = Generator(settings(str(make_chat(tmp_path / "chat", None))), "cpu")
    generator._tokenizer.decode = lambda tokens, **_: "Here it is:\n1. **What is it?**\nA lake."
    assert generator._text([1], "en") == "What is it?"


@pytest.mark.parametrize("name", ["q.jsonl", "q.jsonl.gz"])
def test_a_model_that_writes_nothing_ends_with_status_1(
    tmp_path, corpus, monkeypatch, capsys, name
):
    model = make_chat(tmp_path / "chat", None)
    ends = {"eos_token_id": [*range(json.loads((model / "config.json").read_text())["vocab_size"])]}
    (model / "generation_config.json").write_text(json.dumps(ends))
    words = ["--corpus", str(corpus), "--generator", str(model), "--languages", "te",
             "--output", str(tmp_path / name), "--device", "cpu"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["generate", *words])
    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert ended.value.code == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: nothing was generated: the model wrote no text for any passage")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chat", "corpus.jsonl"]


def test_a_t5_says_nothing_else(model):
    generator = Generator(settings(model), "cpu")
    generator._tokenizer.decode = lambda tokens, **_: " 1. what\tis it? "
    assert generator._text([1], "en") == "1. what is it?"


def test_dry_run(model, corpus, tmp_path, capsys):
    main([
        "--corpus", str(corpus), "--generator", model, "--languages", "te", "ru", "--dry-run",
        "--device", "cpu", "--max-new-tokens", "6", "--trim-vocabulary", "--num-queries", "3",
    ])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "30 passages, 180 queries"
    passages, queries = (float(part.split()[0].replace(",", "")) for part in lines[1].split(", "))
    assert queries == pytest.approx(6 * passages, rel=0.01)
    assert lines[2].endswith(" hours")
    # All 30 passages are in the sample, so that the size is exact.
    whole = generate(corpus, tmp_path / "q",
                     settings(model, num_queries=3, trim_vocabulary=True))  # fmt: skip
    assert lines[3] == f"{len(whole):,} bytes before compression"
    assert lines[4].startswith("queries/s of one device: te ")
    assert lines[5].startswith("trimmed vocabulary: in ")


def test_an_estimate_stretches_the_sample_to_the_whole(model, corpus, monkeypatch):
    from pyserini_xqg.generate import estimate

    clock = iter(range(0, 1000, 5))  # each measurement takes 5 seconds
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(estimate, "_ENOUGH", 8.0)  # so that the third language is not measured
    found = estimate.estimate(
        corpus, settings(model, languages=["te", "ru", "fi"]), device="cpu,cpu"
    )
    # A batch of 4 passages: 5 s a language, 15 s for three, 3.75 s a passage; two devices.
    assert found.passages_per_second == pytest.approx(2 / 3.75)
    assert found.queries_per_second == pytest.approx(2 / 3.75 * 6)
    assert found.hours == pytest.approx(30 * 3.75 / 2 / 3600)
    assert found.measured == {"te": pytest.approx(8 / 5), "ru": pytest.approx(8 / 5)}
    assert (found.passages, found.queries) == (30, 180)


def test_a_dry_run_of_shards_adds_them_up(model, corpus, capsys):
    words = ["--corpus", str(corpus), "--generator", model, "--languages", "te", "--device", "cpu",
             "--max-new-tokens", "4", "--shard-num", "4", "--price-per-hour", "3"]  # fmt: skip
    main([*words, "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "7 passages, 35 queries"  # of 30; the last shard has the rest
    assert lines[5].startswith("all 4 shards: ")
    assert " machine hours at 3.00: " in lines[6]
    with pytest.raises(XqgError, match="--price-per-hour goes with --dry-run"):
        main([*words, "--output", "q.jsonl"])


def test_the_output_is_asked_for(model, corpus, capsys):
    with pytest.raises(SystemExit):
        main(["--corpus", str(corpus), "--generator", model, "--languages", "te"])
    assert "--output is missing" in capsys.readouterr().err


def test_a_missing_corpus_is_found_first(model, tmp_path):
    with pytest.raises(XqgError, match="no such file or folder"):
        main(["--corpus", str(tmp_path / "no"), "--generator", "no", "--languages", "te",
              "--output", "q"])  # fmt: skip


def test_a_sample_of_a_model_of_ones_own(model, corpus, tmp_path, monkeypatch):
    known = settings(model)
    whole = generate(corpus, tmp_path / "whole", known).splitlines()
    some = generate(corpus, tmp_path / "some", known, sample=0.5).splitlines()
    assert len(some) == 15
    assert [row for row in whole if row in some] == some  # the queries are the same
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 3)
        generate(corpus, tmp_path / "q", known, sample=0.5)
    with pytest.raises(XqgError, match=r"sample was \[0.5, 0\], is now \[16, 0\]"):
        generate(corpus, tmp_path / "q", known, sample=16)
    assert generate(corpus, tmp_path / "q", known, sample=0.5).splitlines() == some
    rest = generate(corpus, tmp_path / "rest", known, earlier=[tmp_path / "some"]).splitlines()
    assert sorted(some + rest) == sorted(whole)
