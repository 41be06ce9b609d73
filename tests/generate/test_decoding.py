from __future__ import annotations

import pytest
import torch
from generate_models import make_chat, make_t5
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.encoder.backends import pack
from pyserini_xqg.generate.chat import ChatDecoder
from pyserini_xqg.generate.decoding import Outside, decode
from pyserini_xqg.generate.t5 import T5Decoder, distance_bucket, padded

FAMILIES = {
    "mt5": {},
    "umt5": {},
    "t5": {},  # scales before the output layer
    "t5-v1.1": {"model_type": "t5", "feed_forward_proj": "gated-gelu",
                "tie_word_embeddings": False},
}  # fmt: skip
PROMPTS = [f"Generate a question {' '.join(f'w{i * 3 + j}' for j in range(9 - i))}"
           for i in range(7)]  # fmt: skip


@pytest.fixture(scope="module", params=[*FAMILIES, "llama"])
def loaded(request, tmp_path_factory):
    """Model, tokenizer and our decoder."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("model")
    if request.param == "llama":
        make_chat(path, None)
        model = AutoModelForCausalLM.from_pretrained(path).eval()
        return model, AutoTokenizer.from_pretrained(path), ChatDecoder(model, 0)
    make_t5(path, **{"model_type": request.param, **FAMILIES[request.param]})
    # Not by sdpa, with which umT5's decoder of transformers 5.17 reads on.
    model = AutoModelForSeq2SeqLM.from_pretrained(path, attn_implementation="eager").eval()
    return model, AutoTokenizer.from_pretrained(path), T5Decoder(model)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    torch.set_num_threads(1)
    path = make_t5(tmp_path_factory.mktemp("t5"))
    model = AutoModelForSeq2SeqLM.from_pretrained(path).eval()
    return model, AutoTokenizer.from_pretrained(path)


def uniform(prompts, samples, steps, seed=0):
    shape = (prompts, samples, steps)
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def greedy_of_transformers(model, prompts, steps):
    left = not model.config.is_encoder_decoder
    ids, mask = padded(prompts, 0, "cpu", left=left)
    answers = model.generate(
        input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=steps
    )
    answers = answers[:, ids.shape[1] :] if left else answers[:, 1:]
    return [row[: row.index(1)] if 1 in row else row for row in answers.tolist()]


def test_greedy_equals_transformers(loaded):
    model, tokenizer, decoder = loaded
    prompts = tokenizer(PROMPTS)["input_ids"]
    expected = greedy_of_transformers(model, prompts, 24)
    assert len({tuple(row) for row in expected}) == len(PROMPTS)  # else it would show little
    noise = uniform(len(prompts), 3, 24)
    answers, _ = decode(decoder, prompts, noise, top_k=1, ends=[1])
    for of_prompt, row in zip(answers, expected, strict=True):
        assert of_prompt == [row] * 3


def test_packed_layers_compute_the_same(loaded, tmp_path):
    model, tokenizer, decoder = loaded
    other = type(model).from_pretrained(_saved(model, tmp_path)).eval()
    pack(other)
    layers = [layer for layer in other.modules() if type(layer) is torch.nn.Linear]
    assert all(layer.forward.__name__ == "<lambda>" for layer in layers)
    packed = T5Decoder(other) if model.config.is_encoder_decoder else ChatDecoder(other, 0)
    prompts = tokenizer(PROMPTS)["input_ids"]
    noise = uniform(len(prompts), 3, 24)
    expected, _ = decode(decoder, prompts, noise, top_k=10, ends=[1])
    assert decode(packed, prompts, noise, top_k=10, ends=[1])[0] == expected
    with torch.inference_mode():
        scores = [d.all_scores(d.first(prompts, 1, 1)).numpy() for d in (decoder, packed)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-4, rel=1e-5)


def _saved(model, path):
    model.save_pretrained(path)
    return path


def test_scores_equal_those_of_one_forward_pass(loaded):
    model, tokenizer, decoder = loaded
    prompts = tokenizer(PROMPTS[:2])["input_ids"]
    tokens = torch.randint(3, 60, (4, 20), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        steps = [decoder.all_scores(decoder.first(prompts, 2, 20))]
        steps += [decoder.all_scores(decoder.next(tokens[:, step])) for step in range(19)]
        for row in range(4):
            prompt = torch.tensor([prompts[row // 2]])
            if model.config.is_encoder_decoder:
                given = torch.cat([torch.zeros(1, 1, dtype=torch.int64), tokens[row : row + 1]], 1)
                expected = model(input_ids=prompt, decoder_input_ids=given[:, :-1]).logits[0]
            else:
                given = torch.cat([prompt, tokens[row : row + 1, :-1]], 1)
                expected = model(input_ids=given).logits[0, prompt.shape[1] - 1 :]
            found = torch.stack([scores[row] for scores in steps])
            assert found.numpy() == pytest.approx(expected.numpy(), abs=2e-4, rel=1e-4)


def test_first_tokens_have_the_probabilities_of_the_top_k(t5):
    model, tokenizer = t5
    prompts = tokenizer(PROMPTS[:1])["input_ids"]
    with torch.inference_mode():
        logits = model(
            input_ids=torch.tensor(prompts), decoder_input_ids=torch.tensor([[0]])
        ).logits[0, 0]
    likeliest = logits.topk(4)
    answers, _ = decode(T5Decoder(model), prompts, uniform(1, 5000, 1), top_k=4, ends=[])
    drawn = torch.tensor([answer[0] for answer in answers[0]])
    found = torch.stack([(drawn == token).double().mean() for token in likeliest.indices])
    assert found.sum() == pytest.approx(1, abs=1e-9)
    # 4 standard errors of 5,000 draws
    assert found.numpy() == pytest.approx(likeliest.values.softmax(0).numpy(), abs=0.03)


def test_neither_the_batch_nor_leaving_out_ended_prompts_changes_a_draw(loaded, monkeypatch):
    _, tokenizer, decoder = loaded
    prompts = tokenizer(PROMPTS)["input_ids"]
    noise, ends = uniform(len(prompts), 2, 24), list(range(1, 20))
    kept, keep = [], decoder.keep
    monkeypatch.setattr(decoder, "keep", lambda living: (kept.append(len(living)), keep(living)))
    together, _ = decode(decoder, prompts, noise, top_k=10, ends=ends)
    assert kept
    assert kept[0] < len(prompts)
    lengths = {len(answer) for of_prompt in together for answer in of_prompt}
    assert len(lengths) > 3
    for row, prompt in enumerate(prompts):
        alone, _ = decode(decoder, [prompt], noise[row : row + 1], top_k=10, ends=ends)
        assert alone[0] == together[row]
    # Nor does the number of samples.
    fewer, _ = decode(decoder, prompts, noise[:, :1], top_k=10, ends=ends)
    assert [of_prompt[:1] for of_prompt in together] == fewer


def test_the_encoder_reads_each_prompt_once_for_all_its_samples(t5, monkeypatch):
    model, tokenizer = t5
    decoder, real, read = T5Decoder(model), model.encoder.forward, []

    def forward(input_ids, **given):
        read.extend(input_ids.tolist())
        return real(input_ids=input_ids, **given)

    monkeypatch.setattr(model.encoder, "forward", forward)
    prompts = tokenizer(PROMPTS)["input_ids"]
    decode(decoder, prompts, uniform(len(prompts), 5, 6), top_k=3, ends=[1])
    assert [[token for token in row if token] for row in read] == prompts


def test_a_trimmed_vocabulary_draws_the_same_where_the_top_k_lie_in_it(t5):
    model, tokenizer = t5
    decoder = T5Decoder(model)
    prompts = tokenizer(PROMPTS[:2])["input_ids"]
    vocabulary = range(len(tokenizer) + 3)
    ends = range(1, 30)  # many, so that some answers end before others

    def draw(kept):
        decoder.trim(kept)
        return decode(decoder, prompts, uniform(2, 2, 6), top_k=3, ends=ends, check=True)

    whole, unchecked = draw(None)
    assert unchecked == Outside(0, 0)
    assert len({len(answer) for of_prompt in whole for answer in of_prompt}) > 1
    draws = sum(min(len(answer) + 1, 6) for of_prompt in whole for answer in of_prompt)
    never = [
        token
        for token in vocabulary
        if draw([t for t in vocabulary if t != token])[1] == Outside(draws, 0)
    ]
    assert len(never) > 40
    # Tokens that are never among the three likeliest: all can go, and nothing changes.
    kept = [token for token in vocabulary if token not in never]
    assert draw(kept) == (whole, Outside(draws, 0))
    # Half of the others gone: what comes out is kept, and the report says that it may differ.
    half, outside = draw(kept[::2])
    assert {t for of_prompt in half for answer in of_prompt for t in answer} <= set(kept[::2])
    assert 0 < outside.outside <= outside.steps
    assert draw(None)[0] == whole


def test_outside_counts_the_draws_whose_top_k_are_not_all_kept(t5):
    model, tokenizer = t5
    decoder = T5Decoder(model)
    prompts = tokenizer(PROMPTS[:3])["input_ids"]
    with torch.inference_mode():
        values, likeliest = decoder.all_scores(decoder.first(prompts, 1, 1)).topk(2)
    # All of the first prompt's are kept, one of the second's is not; of the third's, who knows.
    lost = next(int(t) for t in likeliest[1] if t not in likeliest[0])
    decoder.trim([token for token in range(len(tokenizer) + 3) if token != lost])
    expected = sum(lost in row for row in likeliest.tolist())
    probability = float((values.softmax(1) * (likeliest == lost)).sum())
    _, outside = decode(decoder, prompts, uniform(3, 1, 1), top_k=2, ends=[1], check=True)
    assert outside == (3, expected, pytest.approx(probability, abs=1e-6))
    assert probability > 0
    assert 0 < expected < 3


def test_scores_that_are_not_finite_are_an_error(t5):
    model, tokenizer = t5
    decoder = T5Decoder(model)
    decoder._scale = float("nan")
    prompts = tokenizer(PROMPTS[:1])["input_ids"]
    with pytest.raises(XqgError, match="scores are not finite .* take --dtype float32"):
        decode(decoder, prompts, uniform(1, 1, 2), top_k=2, ends=[1])


def test_another_arithmetic_in_transformers_is_found(t5, monkeypatch):
    model, _ = t5
    with torch.no_grad():
        moved = model.decoder.block[0].layer[1].layer_norm.weight
    forward = model.decoder.block[0].layer[1].forward
    monkeypatch.setattr(  # as if cross-attention had changed
        model.decoder.block[0].layer[1],
        "forward",
        lambda hidden, *args, **kwargs: forward(hidden * 2 + moved.sum(), *args, **kwargs),
    )
    with pytest.raises(XqgError, match="computes T5 differently"):
        T5Decoder(model)


def test_distance_buckets_are_those_of_transformers():
    from transformers.models.t5.modeling_t5 import T5Attention

    theirs = T5Attention._relative_position_bucket(
        -torch.arange(200), bidirectional=False, num_buckets=32, max_distance=128
    )
    assert [distance_bucket(i, 32, 128) for i in range(200)] == theirs.tolist()
