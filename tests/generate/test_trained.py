"""A tiny mT5 that has learnt a few passages by heart: the prompt's language decides the query."""

from __future__ import annotations

import json

import pytest
import torch
from generate_models import QUESTION_WORDS, make_t5

from pyserini_xqg.generate.corpus import generate_corpus
from pyserini_xqg.generate.decoding import Outside
from pyserini_xqg.generate.prompts import PROMPTS, fill
from pyserini_xqg.generate.settings import Settings

PASSAGES = [f"w{2 * i} w{2 * i + 1} w{(7 * i + 3) % 40}" for i in range(20)]


def query(passage: int, language: str) -> str:
    """Three words of the language; those of no two passages are the same."""
    words = QUESTION_WORDS[language]
    at = (passage % 5, passage // 5, (passage * 3 + 1) % 5)
    return " ".join(words[place] for place in at)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    torch.set_num_threads(1)
    path = make_t5(tmp_path_factory.mktemp("trained"), d_model=48, d_kv=12)
    tokenizer = AutoTokenizer.from_pretrained(path)
    torch.manual_seed(2)
    model = AutoModelForSeq2SeqLM.from_config(AutoModelForSeq2SeqLM.from_pretrained(path).config)
    pairs = [(i, language) for i in range(len(PASSAGES)) for language in QUESTION_WORDS]
    template = PROMPTS["xqg"].template
    prompts = tokenizer(
        [fill(template, language, "London", PASSAGES[i]) for i, language in pairs],
        return_tensors="pt", padding=True,
    )  # fmt: skip
    labels = tokenizer(
        [query(i, language) for i, language in pairs], return_tensors="pt", padding=True
    )["input_ids"]
    model.eval()  # without dropout: it shall learn by heart
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(400):
        loss = model(
            input_ids=prompts["input_ids"], attention_mask=prompts["attention_mask"], labels=labels
        ).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.001:
            break
    assert loss < 0.001
    model.save_pretrained(path)
    return str(path)


@pytest.mark.parametrize("trim", [False, True])
def test_a_prompt_in_a_language_yields_that_languages_query(trained, write_jsonl, tmp_path, trim):
    corpus = write_jsonl(
        "corpus.jsonl",
        [{"docid": f"d{i}", "title": "London", "text": text} for i, text in enumerate(PASSAGES)],
    )
    settings = Settings.resolve(
        trained, list(QUESTION_WORDS), num_queries=3, batch_size=3, trim_vocabulary=trim
    )
    outside = generate_corpus(corpus, tmp_path / "q.jsonl", settings, device="cpu")
    rows = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [row["docid"] for row in rows] == [f"d{i}" for i in range(len(PASSAGES))]
    found = [
        text == query(i, language)
        for i, row in enumerate(rows)
        for language, texts in row["generated_queries"].items()
        for text in texts
    ]
    # Sampled, not greedy: now and then an unlikely token is drawn.
    assert len(found) == 180
    assert sum(found) >= 174
    if not trim:
        assert outside == Outside(0, 0)
    else:  # The first batch of each language, 3 passages x 3 samples of 3 words and the end.
        assert outside.steps == pytest.approx(108, abs=9)
        # The tiny vocabulary's ten likeliest hold other scripts, yet nobody would draw them.
        assert outside.outside > 0
        assert outside.lost / outside.steps < 0.005


def test_bfloat16_says_the_same(trained, write_jsonl, tmp_path):
    corpus = write_jsonl("corpus.jsonl", [{"docid": "d", "title": "London", "text": PASSAGES[0]}])
    settings = Settings.resolve(trained, ["te"], num_queries=1, dtype="bfloat16", top_k=1)
    generate_corpus(corpus, tmp_path / "q.jsonl", settings, device="cpu")
    row = json.loads((tmp_path / "q.jsonl").read_text())
    assert row["generated_queries"] == {"te": [query(0, "te")]}
