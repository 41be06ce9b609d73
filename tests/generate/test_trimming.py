from __future__ import annotations

import pytest
from generate_models import QUESTION_WORDS, make_tokenizer

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.generate.decoding import kept_tokens, names_in


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from transformers import AutoTokenizer

    path = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer(path)
    return AutoTokenizer.from_pretrained(path)


def pieces(tokenizer, language, names=()):
    return set(tokenizer.convert_ids_to_tokens(kept_tokens(tokenizer, [language], names)[language]))


ALWAYS = {"<pad>", "</s>", "<unk>", "<0x41>", "▁", "?", ".", ":", *"0123456789"}
LATIN_LETTERS = {*"abcxyzLé", "▁L", "▁a"}


def test_a_language_keeps_its_script_digits_punctuation_and_latin_letters(tokenizer):
    telugu = {f"▁{word}" for word in QUESTION_WORDS["te"]} | {"హ"}
    assert pieces(tokenizer, "te") == ALWAYS | LATIN_LETTERS | telugu
    russian = {f"▁{word}" for word in QUESTION_WORDS["ru"]} | {"к", "д", "а"}
    assert pieces(tokenizer, "ru") == ALWAYS | LATIN_LETTERS | russian
    assert pieces(tokenizer, "ja") == ALWAYS | LATIN_LETTERS | {"你"}


def test_pieces_of_two_scripts_need_both(tokenizer):
    assert "▁యing" not in pieces(tokenizer, "te")
    assert "▁యing" not in pieces(tokenizer, "fi")


def test_digits_are_the_scripts_own_and_european_ones():
    pieces = ["<pad>", "</s>", "7", "▁19", "౭", "▁৭", "৭১", "٧", "۷", "７", "Ⅶ", "²", "₹"]

    class Tokenizer:
        pad_token_id, eos_token_id, unk_token_id, all_special_ids = 0, 1, None, [0, 1]

        def get_vocab(self):
            return {piece: number for number, piece in enumerate(pieces)}

    common = [0, 1, 2, 3, 9, 10, 11, 12]
    assert kept_tokens(Tokenizer(), ["te", "bn", "fa", "fi"], []) == {
        "te": sorted([*common, 4]),
        "bn": sorted([*common, 5, 6]),
        "fa": sorted([*common, 7, 8]),
        "fi": common,
    }


def test_a_language_in_latin_script_keeps_all_of_it(tokenizer):
    kept = pieces(tokenizer, "fi")
    assert {"▁kuka", "▁mikä", "▁London", "ing", "▁w7"} <= kept
    assert not kept & {"▁నది", "▁река", "你", "😀"}
    assert pieces(tokenizer, "te-Latn") == kept  # the subtag decides


def test_names_keep_their_pieces_with_and_without_a_space(tokenizer):
    assert pieces(tokenizer, "te", ["London"]) - pieces(tokenizer, "te") == {"▁London"}
    # "Londoning" is spelled by pieces that stand inside a word.
    more = pieces(tokenizer, "te", ["Londoning"]) - pieces(tokenizer, "te")
    assert more == {"▁London", "ing"}
    # A name in a third script opens no door to it.
    assert pieces(tokenizer, "te", ["город", "你"]) == pieces(tokenizer, "te")


def test_token_ids_ascend(tokenizer):
    kept = kept_tokens(tokenizer, ["te", "fi"], ["London"])
    assert all(row == sorted(set(row)) for row in kept.values())
    assert list(kept) == ["te", "fi"]


def test_names_are_the_titles_and_capitalised_words_inside_sentences():
    passages = [
        Passage("d", "river Thames", "It flows through London, past 3 towns. What of Bath?"),
        Passage("e", "", "the Élysée_palace"),
    ]
    assert names_in(passages) == {"river", "Thames", "London", "Bath", "Élysée"}


def test_a_language_of_unknown_script_is_refused(tokenizer):
    with pytest.raises(XqgError, match="no script is known for 'xx'; name it .* xx-Latn"):
        kept_tokens(tokenizer, ["xx"], [])
