from __future__ import annotations

import gzip
import json

import pytest

from pyserini_xqg import romanise as module
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import NAMES, SCRIPTS
from pyserini_xqg.collection.scripts import in_scripts_of
from pyserini_xqg.encode.corpus import encode_corpus
from pyserini_xqg.index.bm25 import build_bm25
from pyserini_xqg.index.build import build_routed
from pyserini_xqg.index.settings import Fusion
from pyserini_xqg.plugin import Bm25Searcher, XqgSearcher
from pyserini_xqg.romanise import CODES, latin, load_romaniser, main, queries_row
from pyserini_xqg.store.store import Store

ROWS = [
    {"docid": "1", "text": "kept", "generated_queries": {"bn": ["ক", "খ"], "fi": ["ä"]}},
    {"docid": "2", "generated_queries": {"fi": ["ä"]}},
    {"docid": "3", "generated_queries": {"ar": ["ا"], "bn": []}},
]


def spelled(text, language):
    return f"{language}:{text}"


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(module, "load_romaniser", lambda: spelled)


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_language_in_other_letters_alone():
    assert set(CODES) == {code for code in NAMES if "Latn" not in SCRIPTS.get(code, ("Latn",))} | {
        "sr"  # which is written in both
    }


def test_beside_the_queries(fake, write_jsonl, tmp_path, capsys):
    queries = write_jsonl("q.jsonl", ROWS)
    main(["--queries", str(queries), "--languages", "bn", "AR", "--output",
          str(tmp_path / "r.jsonl")])  # fmt: skip
    rows = rows_of(tmp_path / "r.jsonl")
    assert rows == [
        {**ROWS[0], "generated_queries": {"bn": ["ক", "খ"], "fi": ["ä"],
                                          "bn-Latn": ["bn:ক", "bn:খ"]}},
        ROWS[1],
        {"docid": "3", "generated_queries": {"ar": ["ا"], "bn": [], "bn-Latn": [],
                                             "ar-Latn": ["ar:ا"]}},
    ]  # fmt: skip
    assert list(rows[0]) == ["docid", "text", "generated_queries"]
    *_, bengali, arabic = capsys.readouterr().err.splitlines()
    assert (bengali, arabic) == ("note: 2 rows with bn-Latn", "note: 1 rows with ar-Latn")


def test_scores_and_queries_in_latin_letters_already():
    row = {"docid": "1", "generated_queries": {"bn": ["ক", "খ"], "bn-latn": ["k"]},
           "scores": {"bn": [1, None]}}  # fmt: skip
    found = queries_row(json.dumps(row).encode(), "q:1", ["bn"], spelled)
    assert found["generated_queries"] == {"bn": ["ক", "খ"], "bn-Latn": ["k", "bn:ক", "bn:খ"]}
    assert found["scores"] == {"bn": [1, None], "bn-Latn": [None, 1, None]}


def test_topics_keep_their_ids(fake, write_jsonl, tmp_path):
    topics = write_jsonl("t.jsonl", [
        {"id": 7, "question": "ক", "lang": " bn", "mention": "x"},
        {"qid": "fi-1", "title": "ä", "lang": "fi"},
        {"qid": "x", "title": "ক"},
    ])  # fmt: skip
    main(["--topics", str(topics), "--languages", "bn", "--output", str(tmp_path / "r.jsonl")])
    assert rows_of(tmp_path / "r.jsonl") == [
        {"id": 7, "question": "bn:ক", "lang": "bn-Latn", "mention": "x"},
        {"qid": "fi-1", "title": "ä", "lang": "fi"},
        {"qid": "x", "title": "ক"},
    ]
    main(["--topics", str(topics), "--languages", "bn", "--language", "bn", "--output",
          str(tmp_path / "all.jsonl")])  # fmt: skip
    assert rows_of(tmp_path / "all.jsonl")[1:] == [
        {"qid": "fi-1", "title": "bn:ä", "lang": "bn-Latn"},
        {"qid": "x", "title": "bn:ক", "lang": "bn-Latn"},
    ]


def test_topics_in_tsv(fake, tmp_path):
    (tmp_path / "t.tsv").write_text("007\tক\n")
    command = ["--topics", str(tmp_path / "t.tsv"), "--languages", "bn", "--output",
               str(tmp_path / "r.jsonl")]  # fmt: skip
    with pytest.raises(XqgError, match="do not say their language; give it with --language"):
        main(command)
    main([*command, "--language", "bn"])
    assert rows_of(tmp_path / "r.jsonl") == [{"qid": "007", "title": "bn:ক", "lang": "bn-Latn"}]


def test_a_run_that_was_killed(fake, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "BLOCK", 2)
    queries = tmp_path / "q.jsonl.gz"
    queries.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS * 2).encode()))
    command = ["--queries", str(queries), "--languages", "bn"]
    main([*command, "--output", str(tmp_path / "whole.jsonl.gz")])
    asked = []

    def broken(text, language):
        asked.append(text)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return spelled(text, language)

    # The queries of the rows 1 and 4; rows 3 and 4 are the second block.
    monkeypatch.setattr(module, "load_romaniser", lambda: broken)
    with pytest.raises(KeyboardInterrupt):
        main([*command, "--output", str(tmp_path / "r.jsonl.gz")])
    with pytest.raises(XqgError, match="was begun with other input or settings: languages"):
        main(["--queries", str(queries), "--languages", "ar", "--output",
              str(tmp_path / "r.jsonl.gz")])  # fmt: skip
    main([*command, "--output", str(tmp_path / "r.jsonl.gz")])
    assert asked[4:] == ["ক", "খ"]
    found = (tmp_path / "r.jsonl.gz").read_bytes()
    assert found == (tmp_path / "whole.jsonl.gz").read_bytes()
    assert len(gzip.decompress(found).splitlines()) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--languages", "fi"], "--languages fi: expected a language that is written in other"),
        (["--languages", "bn-Latn"], "expected a language that is written in other letters: am"),
        (["--languages", "bn", "--language", "bn"], "--language goes with --topics"),
    ],
)
def test_options_that_do_not_fit(write_jsonl, tmp_path, options, message):
    queries = write_jsonl("q.jsonl", ROWS)
    with pytest.raises(XqgError, match=message):
        main(["--queries", str(queries), "--output", str(tmp_path / "r.jsonl"), *options])


def test_a_broken_row(fake, write_jsonl, tmp_path):
    queries = write_jsonl("q.jsonl", [*ROWS, {"docid": "4", "generated_queries": {"bn": "ক"}}])
    with pytest.raises(XqgError, match=r"q\.jsonl:4: expected generated_queries\['bn'\]"):
        main(["--queries", str(queries), "--languages", "bn", "--output",
              str(tmp_path / "r.jsonl")])  # fmt: skip
    assert not (tmp_path / "r.jsonl").exists()


def test_the_letters():
    pytest.importorskip("uroman", reason="uroman (the extra romanise) is not installed")
    romanise = load_romaniser()
    for language, text, expected in (
        ("bn", "নদী কোথায়?", "nadii kothaay?"),
        ("ru", "Куда впадает Волга?", "Kuda vpadayet Volga?"),
        ("ar", "أين يصب نهر الدانوب؟", "ayn ysb nhr aldanwb?"),
        ("te", "నది ఎక్కడ", "nadi ekkadda"),
        ("ru", "гора", "gora"),
        ("uk", "гора", "hora"),  # by the language's own rules
    ):
        found = romanise(text, language)
        assert found == expected
        # What `filter --script` asks of a query.
        assert in_scripts_of(found, latin(language))
        assert not in_scripts_of(text, latin(language))


def test_to_all_that_follows_it_is_a_language_of_its_own(
    fake, encoder, write_jsonl, tmp_path, monkeypatch
):
    corpus = write_jsonl("c.jsonl", [{"docid": f"d{i}", "text": f"w{i}"} for i in range(4)])
    queries = write_jsonl(
        "q.jsonl",
        [{"docid": f"d{i}", "generated_queries": {"bn": [f"w{i + 9}"]}} for i in range(4)],
    )
    letters = {f"w{i + 9}": f"w{i + 30}" for i in range(4)}
    monkeypatch.setattr(module, "load_romaniser", lambda: lambda text, _: letters[text])
    main(["--queries", str(queries), "--languages", "bn", "--output", str(tmp_path / "r.jsonl")])
    encode_corpus(corpus, tmp_path / "store", encoder, queries=[tmp_path / "r.jsonl"])
    build_routed(Store([tmp_path / "store"]), tmp_path / "routed", Fusion("mean", 1.0))
    searcher = XqgSearcher(tmp_path / "routed")
    hits = searcher.search("w31", k=4, language="bn-Latn")
    expected = encoder.encode_queries(["w31"]) @ encoder.encode_queries(list(letters.values())).T
    assert {hit.docid: hit.score for hit in hits} == pytest.approx(
        {f"d{i}": expected[0, i] for i in range(4)}, rel=1e-4
    )
    # Any language's n-grams, but never the analyzer of Bengali letters.
    build_bm25(corpus, tmp_path / "bm25", queries=[tmp_path / "r.jsonl"], languages=["bn-Latn"])
    assert Bm25Searcher(tmp_path / "bm25").search("w31")[0].docid == "d1"
    with pytest.raises(XqgError, match="--analyzer 'bn-Latn': Anserini has none"):
        build_bm25(corpus, tmp_path / "x", queries=[tmp_path / "r.jsonl"], analyzer="bn-Latn")
    assert in_scripts_of("nadii kothaay?", "bn-Latn")  # as `filter --script` asks
    assert not in_scripts_of("নদী কোথায়?", "bn-Latn")


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uroman", None)
    with pytest.raises(XqgError, match=r"needs the package uroman: pip install .*\[romanise\]"):
        load_romaniser()
