from __future__ import annotations

import pytest
from generate_models import make_chat, make_t5

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.generate.prompts import PROMPTS, check_template, fill
from pyserini_xqg.generate.settings import Settings


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return make_t5(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    return make_chat(tmp_path_factory.mktemp("chat"), None)


def test_the_papers_prompt_and_sampling(t5):
    settings = Settings.resolve(str(t5), ["te", "ar", "te"])
    prompt = fill(settings.template, "te", "London", "A city.")
    assert prompt == "Generate a Telugu question for this passage: London A city."
    assert (settings.top_k, settings.max_length, settings.max_new_tokens) == (10, 256, 32)
    assert (settings.kind, settings.num_queries, settings.languages) == ("seq2seq", 5, ("te", "ar"))


def test_generators_of_one_language_read_the_passage_alone(t5):
    settings = Settings.resolve(str(t5), ["es"], preset="doc2query")
    assert fill(settings.template, "es", "London", "A city.") == "A city."
    assert (settings.top_k, settings.max_length, settings.max_new_tokens) == (10, 320, 64)


def test_without_a_title_there_is_one_space():
    prompt = fill(PROMPTS["xqg"].template, "zh-Hant", "", "A city.")
    assert prompt == "Generate a Chinese question for this passage: A city."


@pytest.mark.parametrize(
    ("code", "name"),
    [("bn-Latn", "Bengali (bn-Latn)"), ("sr-Latn", "Serbian"), ("zh-TW", "Chinese")],
)
def test_another_script_than_the_languages_own_is_said(code, name):
    assert fill("{lang}: {passage}", code, "", "A city.") == f"{name}: A city."


def test_braces_of_the_passage_stay():
    assert fill("{{x}} {passage}", "te", "", "{lang} {0}") == "{x} {lang} {0}"


def test_a_language_without_a_name_needs_a_prompt_that_says_it():
    with pytest.raises(XqgError, match="'xx' has no English name .* with a --prompt that says"):
        fill(PROMPTS["xqg"].template, "xx", "", "A city.")
    assert fill("Ask in Xxish: {passage}", "xx", "", "A city.") == "Ask in Xxish: A city."


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("Ask: {text}", "unknown field {text}; expected {passage}"),
        ("Ask: {}", "unknown field {}"),
        ("Ask in {lang}", "no {passage} in it"),
        ("Ask: {passage", "--prompt: .* write {{ and }}"),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template, message):
    with pytest.raises(XqgError, match=message):
        check_template(template)


def test_options_override_the_preset(t5, chat):
    settings = Settings.resolve(
        str(t5), ["te"], template="{passage}?", top_k=3, max_new_tokens=None, seed=7
    )
    assert (settings.template, settings.top_k, settings.max_new_tokens, settings.seed) == (
        "{passage}?", 3, 32, 7,
    )  # fmt: skip
    assert Settings.resolve(str(chat), ["te"]).max_new_tokens == PROMPTS["chat"].max_new_tokens
    assert Settings.resolve(str(chat), ["te"], preset="xqg").template == PROMPTS["xqg"].template


def test_float16_is_refused_for_t5_with_the_reason(t5, chat):
    with pytest.raises(XqgError, match="mt5 overflows it .* NaN .* take bfloat16"):
        Settings.resolve(str(t5), ["te"], dtype="float16")
    assert Settings.resolve(str(t5), ["te"], dtype="bfloat16").dtype == "bfloat16"
    assert Settings.resolve(str(chat), ["te"], dtype="float16").dtype == "float16"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_queries": 0}, "--num-queries 0: expected at least 1"),
        ({"dtype": "int8"}, "--dtype 'int8' is none of float32"),
        ({"preset": "x"}, "--preset 'x' is none of xqg, doc2query, chat"),
    ],
)
def test_settings_that_do_not_fit_are_refused(t5, given, message):
    with pytest.raises(XqgError, match=message):
        Settings.resolve(str(t5), ["te"], **given)


def test_models_that_do_not_fit_are_refused(t5, chat, model_dir):
    with pytest.raises(XqgError, match="no such model folder: ./nothing"):
        Settings.resolve("./nothing", ["te"])
    with pytest.raises(XqgError, match="--trim-vocabulary reads the vocabularies of T5"):
        Settings.resolve(str(chat), ["te"], trim_vocabulary=True)
    with pytest.raises(XqgError, match="--languages: 'no code' is not a language code"):
        Settings.resolve(str(t5), ["no code"])


def test_an_encoder_is_no_generator(model_dir):
    with pytest.raises(XqgError, match="a model of type 'bert'; expected one of t5, mt5, umt5"):
        Settings.resolve(str(model_dir), ["te"])


def test_a_t5_that_nobody_trained_to_generate(t5, tmp_path):
    from generate_models import make_t5
    from odd_models import change_json

    from pyserini_xqg.generate.generator import Generator

    folder = make_t5(tmp_path / "t5", "t5")
    for name in ("config.json", "generation_config.json"):
        change_json(folder / name, decoder_start_token_id=None)
    with pytest.raises(XqgError, match="no decoder_start_token_id"):
        Generator(Settings.resolve(str(folder), ["te"]), "cpu")
    with pytest.raises(XqgError, match="--device gpu: no such device; there is cpu"):
        Generator(Settings.resolve(str(t5), ["te"]), "gpu")


def test_an_encoder_decoder_of_another_family_is_refused(tmp_path):
    from transformers import BartConfig

    BartConfig().save_pretrained(tmp_path)
    with pytest.raises(XqgError, match="'bart'; expected one of t5, mt5, umt5, or a decoder-only"):
        Settings.resolve(str(tmp_path), ["te"])
