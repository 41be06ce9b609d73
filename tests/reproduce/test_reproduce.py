"""Every command of every condition is parsed; xqg-mini's are run, and recipes on made data."""

from __future__ import annotations

import argparse
import gzip
import json
import re
import shlex

import pytest
from generate_models import make_t5

from pyserini_xqg.base.commands import main_of
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.files import read_json, write_json
from pyserini_xqg.demo import XQG_MINI
from pyserini_xqg.evaluate.__main__ import COMMANDS as EVALUATIONS
from pyserini_xqg.evaluate.__main__ import FURTHER
from pyserini_xqg.evaluate.xor.predictions import TOKENIZERS, simple_tokenizer
from pyserini_xqg.reproduce import mkqa, sample
from pyserini_xqg.reproduce.__main__ import main
from pyserini_xqg.reproduce.conditions import (
    Collection,
    Condition,
    read_collections,
    read_conditions,
)
from pyserini_xqg.reproduce.matrix import compare, detail, overview
from pyserini_xqg.reproduce.sample import is_drawn
from pyserini_xqg.reproduce.steps import resolve, run_condition, words_of

COLLECTIONS = read_collections()
CONDITIONS = {
    name: (collection, condition)
    for collection in COLLECTIONS.values()
    for name, condition in collection.conditions.items()
}
COMMANDS = sorted({command for _, each in CONDITIONS.values() for command in each.commands})
MINI = ["xqg-mini-plain", "xqg-mini-published", "xqg-mini-routed", "xqg-mini-bm25",
        "xqg-mini-fused", "xqg-mini-windows", "xqg-mini-translated-plain",
        "xqg-mini-translated-bm25"]  # fmt: skip
MORE = ["xqg-mini-published-tuned"]
#: The rows that the demo's README shows.
SHOWN = ["xqg-mini-plain", "xqg-mini-published", "xqg-mini-published-tuned", "xqg-mini-routed",
         "xqg-mini-bm25"]  # fmt: skip


class Parsed(Exception):  # noqa: N818 - not an error
    """The arguments were accepted."""


def stop(*_, **__):
    raise Parsed


@pytest.fixture
def parse_only(monkeypatch):
    """Let commands come as far as their arguments decide, and no further."""
    stock = argparse.ArgumentParser.parse_args
    further = ("run", "evaluate", "index", "encode input", "encode output", "encode encoder",
               "encode xqg")  # fmt: skip

    def parse_args(self, args=None, namespace=None):
        found = stock(self, args, namespace)
        if self.prog not in {f"python -m pyserini_xqg.{name}" for name in further}:
            raise Parsed
        return found

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr("pyserini_xqg.encode.__main__.encode_here", stop)
    monkeypatch.setattr("pyserini_xqg.store.store.Store", stop)  # index, its options checked
    monkeypatch.setattr("pyserini_xqg.index.bm25.build_bm25", stop)
    monkeypatch.setattr("pyserini_xqg.index.bm25_routed.build_routed_bm25", stop)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command, parse_only):
    python, dash, module, *arguments = words_of(command, {"own_language": "te"})
    assert (python, dash) == ("python", "-m")
    assert module.startswith("pyserini_xqg.")
    with pytest.raises(Parsed):
        main_of(module)(arguments)


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition(name):
    collection, condition = CONDITIONS[name]
    assert re.fullmatch(r"[a-z][A-Za-z0-9-]+", name)
    assert "$" not in " ".join([name, condition.display, condition.note, condition.scores])
    if condition.page:
        return
    # what is compared is what the last command writes
    assert f"--output $output/{condition.scores} --overwrite" in condition.commands[-1]
    for published in condition.published:
        assert published.source
        assert published.figures
    for key in condition.needs():
        assert "//" not in collection.data[key].what
        assert collection.data[key].source


def test_published_figures_are_multiples_of_one_question():
    collection, condition = CONDITIONS["xor-authors-mbert-xqg"]
    for found in compare(collection, condition, {}):
        if found.column != "mean":
            count = collection.counts[found.column]
            hits = round(found.published * count / 100)
            assert round(100 * hits / count, 2) == found.published
    with_mean = [*collection.counts, "mean"]
    assert [found.column for found in compare(collection, condition, {})] == with_mean * 2


def test_tolerances():
    collection, condition = CONDITIONS["xor-mbert"]
    allowed = {(c.source, c.column): c.allowed for c in compare(collection, condition, {})}
    assert allowed["repository", "te"] == pytest.approx(2 * 100 / 238)
    counts = (309, 304, 314, 241, 285, 237, 238)
    assert allowed["paper", "mean"] == pytest.approx(sum(200 / n for n in counts) / 7)
    assert compare(*CONDITIONS["xor-authors-mbert"], {})[0].allowed == 0.005


def test_ours_is_compared_with_theirs():
    collection, condition = CONDITIONS["xor-authors-mbert"]
    ours = {name: dict(of) for name, of in condition.published[0].figures["xor"].items()}
    ours["R@2kt"]["ar"] += 0.0049
    ours["R@2kt"]["te"] -= 0.0051
    results = {condition.name: {"figures": {"xor": ours}, "versions": {}, "date": "2023-07-23"}}
    found = compare(collection, condition, results)
    assert [(each.row, each.column) for each in found if not each.within] == [("R@2kt", "te")]
    (table,) = detail(collection, condition, results).tables
    assert [row[-1] for row in table.rows if row[1] == "te"] == ["OUTSIDE", "within"]


def test_what_was_not_run_is_nobodys_figure(capsys, tmp_path):
    main(["--list", "--output", str(tmp_path / "nowhere")])
    said = capsys.readouterr().out
    assert not (tmp_path / "nowhere").exists()
    line = next(line for line in said.splitlines() if line.startswith("xor-mbert "))
    assert re.split("  +", line) == [
        "xor-mbert", "mBERT", "xor R@2kt", "44.2 (repository); 44.1 (paper)", "not run",
    ]  # fmt: skip
    for name, collection in COLLECTIONS.items():
        table, *data = overview(name, collection, {}).tables
        assert [row[0] for each in data for row in each.rows] == [f"${k}" for k in collection.data]
        assert {row[-1] for row in table.rows} <= {"not run", "a page"}
        assert {row[0] for row in table.rows} == set(collection.conditions)


def test_missing_data_are_named_with_their_home(tmp_path):
    collection, condition = CONDITIONS["xor-authors-mbert"]
    with pytest.raises(XqgError, match=r"xor-authors-mbert needs augmented: the passages .* Give "
                       "--data augmented=..., or set PYSERINI_XQG_AUGMENTED"):  # fmt: skip
        resolve(collection, condition, {}, {})
    gold = tmp_path / "gold.jsonl"
    gold.touch()
    given = {"augmented": str(tmp_path), "gold": str(gold)}
    with pytest.raises(XqgError, match="authors_run=nowhere: no such file or folder"):
        resolve(collection, condition, {**given, "authors_run": "nowhere"}, {})
    found = resolve(collection, condition, given, {"PYSERINI_XQG_AUTHORS_RUN": str(gold),
                                                   "PYSERINI_XQG_GOLD": "elsewhere"})  # fmt: skip
    assert found == {**given, "authors_run": str(gold)}
    # a model's name has a default, and need not be a path
    collection, condition = CONDITIONS["xor-mbert"]
    assert resolve(collection, condition, given, {})["mbert"].startswith("ielabgroup/")
    assert resolve(collection, condition, {**given, "mbert": "a/b"}, {})["mbert"] == "a/b"


def test_what_is_refused(tmp_path):
    output = ["--output", str(tmp_path / "out")]
    with pytest.raises(
        XqgError, match="--condition xor: there is no such; expected one of afriqa, ciral,"
    ):
        main(["--condition", "xor", *output])
    with pytest.raises(
        XqgError, match="--data mbret=x: no such key; there are afriqa, augmented, "
    ):
        main(["--condition", "xor-mbert", "--data", "mbret=x", *output])
    with pytest.raises(XqgError, match="--data: augmented is given twice, as a and as b"):
        main(["--condition", "xor-mbert-xqg", "--data", "augmented=a", "augmented=b"])
    with pytest.raises(XqgError, match="--data mbert=: expected KEY=PATH"):
        main(["--condition", "xor-mbert", "--data", "mbert=", *output])
    with pytest.raises(XqgError, match="needs augmented"):  # before the first step of any
        main(["--condition", "xqg-mini-plain", "xor-mbert", *output])
    assert not (tmp_path / "out").exists()


def test_a_file_that_names_unknown_data(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("title: t\nconditions: [{name: a, display: b, commands: [python -m x $y]}]\n")
    with pytest.raises(XqgError, match=r"c\.yaml: a names y, of which the file's 'data' says"):
        read_conditions(path)


def test_dry_run(tmp_path, capsys):
    main(["--condition", "xor-mbert", "--dry-run", "--output", "my out", "--data", "gold=g h"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# xor-mbert: mBERT"
    assert any(line.startswith("# augmented: the passages") for line in lines)
    commands = [line for line in lines if line.startswith("python")]
    assert len(commands) == 4
    assert "--corpus $augmented " in commands[0]
    assert "--encoder ielabgroup/bert-base-multilingual-cased-xor-tydi " in commands[0]
    words = shlex.split(commands[2])
    assert words[words.index("--topics") + 1] == "g h"
    assert words[words.index("--output") + 1] == "my out/xor-mbert.run"


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    output = tmp_path_factory.mktemp("reproduce") / "out"
    main(["--condition", *MINI, *MORE, "--output", str(output)])
    return output


@pytest.mark.parametrize("name", [*MINI, *MORE])
def test_xqg_minis_figures_are_pinned(mini, name):
    results = read_json(mini / "results.json")
    found = compare(*CONDITIONS[name], results)
    assert [each.column for each in found] == ["mean", "low", "high"] * 2
    assert all(each.within for each in found)
    assert all(each.allowed == 0.1 for each in found)
    assert {"pyserini", "python", "torch", "pyserini_xqg"} <= results[name]["versions"].keys()


def test_the_demos_sign_says_what_comes_out(mini):
    readme = (XQG_MINI.parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| .*? \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) - ([\d.]+) \|$", readme, re.MULTILINE
    )
    results = read_json(mini / "results.json")
    assert len(rows) == len(SHOWN)
    for name, row in zip(SHOWN, rows, strict=True):
        figures = results[name]["figures"]
        ranks = [figures["rr-10"][name][column] for column in ("mean", "low", "high")]
        ours = [figures["success-1"][name]["mean"], *ranks]
        assert [f"{value:.1f}" for value in ours] == list(row)


def test_steps_are_not_run_twice(mini, capsys):
    before = {path: path.stat().st_mtime_ns for path in mini.glob("*.run")}
    main(["--condition", "xqg-mini-fused", "--output", str(mini)])
    said = capsys.readouterr().err
    assert said.count("done before: ") == 7
    assert {path: path.stat().st_mtime_ns for path in mini.glob("*.run")} == before
    assert len(before) == len(MINI) + len(MORE)


def test_what_other_versions_made_is_not_taken_for_ours(mini, tmp_path):
    done = read_json(mini / "done.json")
    assert len(done["commands"]) == 28
    done["versions"]["torch"] = "0.1"
    write_json(tmp_path / "done.json", done)
    with pytest.raises(XqgError, match=r"was made with other versions \(torch 0\.1, now [\d.]+"):
        main(["--condition", "xqg-mini-plain", "--output", str(tmp_path)])


def test_the_page_shows_every_condition(mini):
    page = (mini / "page/index.html").read_text(encoding="utf-8")
    for name in CONDITIONS:
        assert f">{name}<" in page
    assert "not evidence about retrieval" in page
    assert page.count("OUTSIDE") == 0


@pytest.fixture
def made(write_jsonl, model_dir, tmp_path, monkeypatch):
    """A collection in XOR-TyDi's forms, small enough for the random encoder."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setitem(TOKENIZERS, "official", simple_tokenizer)
    rows = [
        {"docid": str(i), "title": f"w{i}",
         "text": " ".join(f"w{(i * 7 + j) % 60}" for j in range(9)),
         "generated_queries": {"te": [f"w{i} w{i + 1}"], "ar": [f"w{i + 20}"]}}
        for i in range(30)
    ]  # fmt: skip
    gold = [
        {"id": f"{lang}-{i}", "question": f"w{i}", "lang": lang, "answers": [f"w{(i * 7) % 60}"]}
        for i in range(6) for lang in ("te", "ar")
    ]  # fmt: skip
    folder = tmp_path / "augmented"
    write_jsonl("augmented/part-0.jsonl", rows)
    return folder, write_jsonl("gold.jsonl", gold), model_dir


@pytest.mark.filterwarnings("ignore:--max-length 128")  # the made model reads 64 tokens
def test_the_xor_recipe_on_made_data(made, tmp_path, monkeypatch, capsys):
    augmented, gold, model = made
    monkeypatch.setattr("pyserini_xqg.evaluate.xor.command.BUDGETS", (5, 20))
    output = tmp_path / "out"
    with pytest.raises(
        XqgError, match=r"17 of 17 figures are not within .*: None, expected 42\.39"
    ):
        main(["--condition", "xor-mbert-xqg", "--output", str(output),
              "--data", f"augmented={augmented}", f"gold={gold}", f"mbert={model}"])  # fmt: skip
    figures = read_json(output / "results.json")["xor-mbert-xqg"]["figures"]["xor"]
    assert figures["n"] == {"ar": 6, "te": 6, "mean": 12}
    assert figures["R@20t"]["mean"] == (figures["R@20t"]["ar"] + figures["R@20t"]["te"]) / 2
    # the same run as the authors write theirs
    ours = [line.split() for line in (output / "xor-mbert-xqg.run").read_text().splitlines()]
    theirs = tmp_path / "run.tsv"
    theirs.write_text("".join(f"{qid}\t{docid}\t{score}\n" for qid, _, docid, _, score, _ in ours))
    with pytest.raises(XqgError, match="16 of 16"):
        main(
            [
                "--condition",
                "xor-authors-mbert-xqg",
                "--output",
                str(output),
                "--data",
                f"augmented={augmented}",
                f"gold={gold}",
                f"authors_xqg_run={theirs}",
            ]
        )
    results = read_json(output / "results.json")
    assert results["xor-authors-mbert-xqg"]["figures"]["xor"] == figures
    assert "MISSING" in (output / "page/index.html").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:--max-length 128")  # the made model reads 64 tokens
def test_a_sample_of_the_xor_recipe(made, tmp_path, monkeypatch, capsys):
    augmented, gold, model = made
    monkeypatch.setattr("pyserini_xqg.evaluate.xor.command.BUDGETS", (5, 20))
    output = tmp_path / "out"
    words = ["--condition", "xor-mbert-xqg", "--sample", "0.5", "--output", str(output)]
    main([*words, "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if line.startswith("python")]
    assert len(commands) == 5
    assert "reproduce.sample --corpus $augmented --share 0.5" in commands[0]
    assert all("$augmented" not in command for command in commands[1:])
    # to the last command, and nothing of it is held against what was published
    main([*words, "--data", f"augmented={augmented}", f"gold={gold}", f"mbert={model}"])
    made_of = (output / "sample-0.5/augmented-sample.jsonl").read_text().splitlines()
    assert 5 < len(made_of) < 25
    assert [json.loads(line)["docid"] for line in made_of] == [
        str(i) for i in range(30) if is_drawn(str(i), 0.5)
    ]
    assert {i for i in range(30) if is_drawn(str(i), 0.2)} < {
        i for i in range(30) if is_drawn(str(i), 0.5)
    }
    found = read_json(output / "sample-0.5/results.json")["xor-mbert-xqg"]["figures"]["xor"]
    assert found["n"]["mean"] == 12
    said = capsys.readouterr().out
    assert "xor-mbert-xqg: mBERT + xQG" in said
    assert "xor-xlmr" not in said  # what was not run is on the page alone
    page = (output / "sample-0.5/page/index.html").read_text(encoding="utf-8")
    assert "OUTSIDE" not in page
    assert "On 50 % of the passages" in page


def test_samples_that_are_refused(write_jsonl, tmp_path):
    output = ["--output", str(tmp_path / "out")]
    with pytest.raises(XqgError, match="--sample 2: expected a share between 0 and 1"):
        main(["--condition", "xor-mbert", "--sample", "2", *output])
    with pytest.raises(XqgError, match="--sample: xqg-mini-plain reads no corpus that is large"):
        main(["--condition", "xqg-mini-plain", "--sample", "0.1", *output])
    corpus = str(write_jsonl("c.jsonl", [{"docid": "a", "text": "w1"}]))
    with pytest.raises(XqgError, match="none of 1 passages was drawn"):
        sample.main(
            ["--corpus", corpus, "--share", "0.0001", "--output", str(tmp_path / "s.jsonl")]
        )
    with pytest.raises(XqgError, match="--share 0: expected"):
        sample.main(["--corpus", corpus, "--share", "0", "--output", str(tmp_path / "s.jsonl")])
    assert not (tmp_path / "s.jsonl").exists()


@pytest.mark.filterwarnings("ignore:--max-length")  # the made model reads 64 tokens
def test_the_ciral_recipe_on_made_data(made, write_jsonl, tmp_path):
    generator = make_t5(tmp_path / "generator")
    write_jsonl("passages/yoruba_passages.jsonl", [
        {"docid": f"d#{i}", "title": f"w{i}", "text": f"w{i} w{i + 1} w{i + 2}"} for i in range(12)
    ])  # fmt: skip
    for kind, line in (("topics", "{0}\tw{0}\n"), ("qrels", "{0}\tQ0\td#{0}\t1\n")):
        folder = tmp_path / "ciral/ciral-yoruba" / kind
        folder.mkdir(parents=True)
        text = "".join(line.format(i) for i in range(1, 6))
        (folder / f"{kind}.ciral-v1.0-yo-test-a.tsv").write_text(text)
    output = tmp_path / "out"
    main(["--condition", "ciral-yo-xqg", "--output", str(output),
          "--data", f"ciral_passages={tmp_path / 'passages'}", f"ciral={tmp_path / 'ciral'}",
          f"mdpr={made[2]}", f"generator={generator}"])  # fmt: skip
    figures = read_json(output / "results.json")["ciral-yo-xqg"]["figures"]
    assert figures["r-100"]["ciral-yo-xqg"]["mean"] == 100.0  # of twelve passages, all come back
    assert figures["ndcg-20"]["n"]["mean"] == 5


def test_a_report_is_one_page(mini, tmp_path):
    scores = (
        "python -m pyserini_xqg.evaluate trec --topics $xqg_mini/topics.test.jsonl "
        f"--qrels $xqg_mini/qrels.test.txt --runs {mini}/xqg-mini-plain.run --measures RR@10"
    )
    condition = Condition("r", "R", [scores, scores], scores="r", page="A title", note="A note.")
    collection = Collection("C", [], {}, {"r": condition}, caveat="A check & no evidence")
    run_condition(collection, condition, {}, tmp_path, lambda line: None)
    assert sorted(path.name for path in (tmp_path / "r").glob("*.csv")) == [
        "trec-2-rr-10.csv", "trec-rr-10.csv",
    ]  # fmt: skip
    page = (tmp_path / "r/index.html").read_text(encoding="utf-8")
    for text in ("<h1>A title</h1>", "A check &amp; no evidence", "A note.", "--measures RR@10"):
        assert text in page
    assert not (tmp_path / "results.json").exists()  # nothing to compare


def test_the_report_has_every_evaluation():
    collection, condition = CONDITIONS["xqg-mini-report"]
    commands = [words_of(command, {})[2:4] for command in condition.commands]
    evaluated = {name for module, name in commands if module == "pyserini_xqg.evaluate"}
    # xor needs the official tokenizer; swapped makes what others are run on
    assert evaluated == (EVALUATIONS | FURTHER).keys() - {"xor", "xor-qrels", "swapped"}
    assert "not evidence" in collection.caveat


MKQA_ROW = {
    "example_id": 563,
    "queries": {"en": "who", "zh_cn": "谁", "fi": "kuka"},
    "answers": {
        "en": [
            {"type": "entity", "text": "Ann", "aliases": ["A."]},
            {"type": "binary", "text": "yes"},
        ],
        "fi": [{"type": "entity", "text": "Anna"}],
    },
}


def test_mkqa(tmp_path):
    unanswerable = {**MKQA_ROW, "example_id": 1, "answers": {"en": [{"type": "unanswerable",
                                                                     "text": None}]}}  # fmt: skip
    path, output = tmp_path / "mkqa.jsonl.gz", tmp_path / "gold.jsonl"
    path.write_bytes(gzip.compress(
        "".join(json.dumps(row) + "\n" for row in (MKQA_ROW, unanswerable)).encode()
    ))  # fmt: skip
    mkqa.main(["--input", str(path), "--output", str(output)])
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert rows[1] == {
        "id": "zh-CN-563",
        "question": "谁",
        "lang": "zh-CN",
        "answers": ["Ann", "A."],
    }
    assert [row["lang"] for row in rows] == ["en", "zh-CN", "fi"]
    mkqa.main(["--input", str(path), "--languages", "fi", "--output", str(output)])
    assert [json.loads(line)["id"] for line in output.read_text().splitlines()] == ["fi-563"]
    with pytest.raises(XqgError, match="no question in the languages asked for has a short answer"):
        mkqa.main(["--input", str(path), "--languages", "te", "--output", str(tmp_path / "none")])
    path.write_bytes(gzip.compress(b'{"example_id": 1}\n'))
    with pytest.raises(XqgError, match=r"mkqa.jsonl.gz:1: not as MKQA's rows are .*'answers'"):
        mkqa.main(["--input", str(path), "--output", str(tmp_path / "none")])
