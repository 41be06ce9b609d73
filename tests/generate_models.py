"""Tiny generators, made on the spot, for the tests of ``pyserini_xqg.generate``."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = [f"w{i}" for i in range(40)]
#: Questions by language: what a trained generator must tell apart.
QUESTION_WORDS = {
    "te": ["ఎవరు", "ఏమిటి", "ఎక్కడ", "నది", "నగరం"],
    "ru": ["кто", "что", "где", "река", "город"],
    "fi": ["kuka", "mikä", "missä", "joki", "kaupunki"],
}
PROMPT_WORDS = ["Generate", "a", "question", "for", "this", "passage:", "Telugu", "Russian",
                "Finnish", "Arabic", "London"]  # fmt: skip
LETTERS = "abcxyzLéкдаహ你?.:0123456789"


def make_tokenizer(path: Path) -> None:
    """A Unigram tokenizer in SentencePiece's manner: words with the sign for a space, letters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    questions = [word for words in QUESTION_WORDS.values() for word in words]
    words = [f"▁{word}" for word in [*WORDS, *PROMPT_WORDS, *questions]]
    pieces = [*special, "<0x41>", "▁", *LETTERS, "▁L", "ondon", "ing", "😀", "▁యing", *words]
    vocabulary = [(piece, -1.0 if piece.startswith("▁") else -5.0) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(path)


def make_t5(path: Path, model_type: str = "mt5", **settings) -> Path:
    """A T5 of two layers and 32 dimensions with seeded random weights, and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

    make_tokenizer(path)
    config = AutoConfig.for_model(model_type, **{
        "vocab_size": len(AutoTokenizer.from_pretrained(path)) + 3,  # as mT5: more rows than tokens
        "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
        "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16,
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1, **settings,
    })  # fmt: skip
    torch.manual_seed(11)
    model = AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():  # large, so that the scores differ clearly
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.mul_(3.0)
        # Of its own, as in mT5; tied ones would say the start token again and again.
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    model.config.tie_word_embeddings = False
    model.save_pretrained(path)
    return path


def make_mt5(path: Path, texts: list[str]) -> Path:
    """An mT5 of two layers and random weights, with a Unigram tokenizer trained on these texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import MT5Config, MT5ForConditionalGeneration, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=3000, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>",
        show_progress=False, max_piece_length=8, n_sub_iterations=1,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(path)
    torch.manual_seed(3)
    model = MT5ForConditionalGeneration(MT5Config(
        vocab_size=tokenizer.get_vocab_size() + 12,  # as mT5: more rows than tokens
        d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    ))  # fmt: skip
    # As in mT5, the output layer is not the embedding.
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    model.config.tie_word_embeddings = False
    model.save_pretrained(path)
    return path


def make_chat(path: Path, template: str | None) -> Path:
    """A Llama of two layers and 32 dimensions with seeded random weights."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    make_tokenizer(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(path)
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, pad_token_id=0, eos_token_id=1,
        bos_token_id=None, initializer_range=0.4,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(path)
    return path


def write_corpus(path: Path, count: int, words: int = 12) -> Path:
    """Passages of different lengths, each with its own words."""
    rows = [
        {
            "docid": f"d{i}",
            "title": "London" if i % 3 else "",
            "text": " ".join(f"w{(i * 7 + j * (1 + i % 5)) % 40}" for j in range(3 + i % words)),
        }
        for i in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
