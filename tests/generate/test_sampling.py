from __future__ import annotations

import numpy as np
import pytest
import torch

from pyserini_xqg.generate.sampling import noise, sample_top_k


def test_noise_depends_on_what_the_query_is_and_nothing_else():
    one = noise(0, "d1", "te", 0, 8)
    assert one == pytest.approx(noise(0, "d1", "te", 0, 8), abs=0)
    assert noise(0, "d1", "te", 0, 32)[:8] == pytest.approx(one, abs=0)
    others = [noise(1, "d1", "te", 0, 8), noise(0, "d2", "te", 0, 8), noise(0, "d1", "ar", 0, 8),
              noise(0, "d1", "te", 1, 8)]  # fmt: skip
    assert len({tuple(stream) for stream in [one, *others]}) == 5
    # Pinned: with other numbers every published query set would be another one.
    assert one[:3] == pytest.approx(
        [0.6617316043333525, 0.5585577028381014, 0.9486908302421584], abs=1e-15
    )


def test_noise_is_uniform():
    drawn = np.array([noise(0, f"d{i}", "te", 0, 16) for i in range(500)])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    # 8,000 numbers: the mean's standard error is 0.0032, that of a tenth's share 0.0034.
    assert drawn.mean() == pytest.approx(0.5, abs=0.016)
    assert np.histogram(drawn, 10, (0, 1))[0] / drawn.size == pytest.approx(0.1, abs=0.017)
    assert np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1] == pytest.approx(0, abs=0.2)


def test_the_column_is_where_the_cumulative_probability_passes_the_noise():
    # Probabilities 0.2, 0.5, 0.3 of the three likeliest; the fourth is out.
    scores = torch.tensor([0.2, 0.01, 0.5, 0.3]).log().expand(6, 4)
    uniform = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 1 - 2**-53], dtype=torch.float64)
    assert sample_top_k(scores, uniform, 3).tolist() == [0, 0, 2, 2, 3, 3]
    assert sample_top_k(scores, uniform, 1).tolist() == [2] * 6
    assert sample_top_k(scores[:2], uniform[:2], 99).tolist() == [0, 0]  # k beyond the columns


def test_frequencies_are_those_of_softmax_over_the_top_k():
    scores = torch.randn(50, generator=torch.Generator().manual_seed(0)) * 2
    uniform = torch.from_numpy(np.concatenate([noise(0, f"d{i}", "te", 0, 50) for i in range(400)]))
    drawn = sample_top_k(scores.expand(len(uniform), 50), uniform, 10)
    likeliest = scores.argsort(descending=True)[:10]
    expected = torch.zeros(50)
    expected[likeliest] = scores[likeliest].exp() / scores[likeliest].exp().sum()
    found = torch.bincount(drawn, minlength=50) / len(drawn)
    assert found.numpy() == pytest.approx(expected.numpy(), abs=0.014)  # 4 standard errors
    assert set(drawn.tolist()) <= set(likeliest.tolist())


def test_nearly_equal_scores_that_swap_change_nothing():
    scores = torch.tensor([[1.0, 0.5, 1.0 + 1e-6], [1.0 + 1e-6, 0.5, 1.0]])
    for u in (0.1, 0.3, 0.5, 0.9):
        drawn = sample_top_k(scores, torch.full((2,), u, dtype=torch.float64), 3)
        assert drawn[0] == drawn[1]
