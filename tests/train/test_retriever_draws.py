from __future__ import annotations

from collections import Counter

import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.train.draws import Draws, schedule
from pyserini_xqg.train.examples import Example


def passage(text):
    return Passage("", "", text)


def examples(count, negatives=0):
    numbers = range(negatives)
    return [
        Example("", f"q{i}", (passage(f"p{i}"),), tuple(passage(f"n{i}-{j}") for j in numbers))
        for i in range(count)
    ]


def test_an_example_shows_all_its_passages_over_the_epochs():
    example = Example("", "q", (passage("a"), passage("b")), tuple(map(passage, "uvwxyz")))
    draws = Draws([example, *examples(3)], negatives=2, seed=0)
    texts = [draws.texts(0, epoch) for epoch in range(6)]
    assert {query for query, *_ in texts} == {"q"}
    assert Counter(positive for _, positive, *_ in texts) == {"a": 3, "b": 3}
    assert Counter(text for _, _, *negatives in texts for text in negatives) == dict.fromkeys(
        "uvwxyz", 2
    )
    assert texts[:3] != [Draws([example], 2, 1).texts(0, epoch) for epoch in range(3)]
    assert texts == [Draws([example, *examples(3)], 2, 0).texts(0, epoch) for epoch in range(6)]


def test_missing_negatives_are_positives_of_others():
    shared = Example("", "q", (passage("p0"), passage("p1")), (passage("n"),))
    draws = Draws([shared, *examples(3)], negatives=4, seed=0)
    for epoch in range(20):
        _, positive, first, *others = draws.texts(0, epoch)
        assert positive in ("p0", "p1")
        assert first == "n"
        assert others == ["p2"] * 3  # the only one that is not its own


def test_columns_are_those_of_the_batch():
    draws = Draws(examples(3, negatives=2), negatives=2, seed=0)
    columns = draws.columns({"row": [2, 0], "epoch": [0, 1]})
    assert list(columns) == ["query", "positive", "negative_1", "negative_2"]
    assert [list(row) for row in zip(*columns.values(), strict=True)] == [
        draws.texts(2, 0), draws.texts(0, 1),
    ]  # fmt: skip
    assert Draws(examples(3), 0, 0).columns({"row": [1], "epoch": [0]}) == {
        "query": ["q1"], "positive": ["p1"],
    }  # fmt: skip


def test_every_example_is_seen_once_an_epoch():
    rows, epochs = schedule(examples(12), 5, 4, seed=3)
    assert len(rows) == 60
    for epoch in range(5):
        seen = [row for row, of in zip(rows, epochs, strict=True) if of == epoch]
        assert sorted(seen) == list(range(12))
        assert seen != list(range(12))
    assert (rows, epochs) == schedule(examples(12), 5, 4, seed=3)
    assert rows != schedule(examples(12), 5, 4, seed=4)[0]


def test_what_does_not_fill_a_batch_waits_for_the_next_epoch():
    rows, epochs = schedule(examples(10), 2, 4, seed=0)
    assert len(rows) == 20
    assert Counter(rows) == dict.fromkeys(range(10), 2)
    assert epochs == sorted(epochs)
    assert len(schedule(examples(10), 1, 4, seed=0)[0]) == 8


def test_no_batch_has_a_query_or_positive_twice():
    same_passage = [Example("", f"a{i}", (passage("p0"),)) for i in range(3)]
    same_query = [Example("", "q1", (passage(f"b{i}"),)) for i in range(3)]
    several = [Example("", "c", (passage("p2"), passage("p3")))]
    rows_of = [*examples(12), *same_passage, *same_query, *several]
    rows, _ = schedule(rows_of, 8, 4, seed=0)
    for start in range(0, len(rows), 4):
        batch = [rows_of[row] for row in rows[start : start + 4]]
        keys = [{example.query, *(p.text for p in example.positives)} for example in batch]
        assert len(set().union(*keys)) == sum(map(len, keys))
    assert min(Counter(rows)[row] for row in range(len(rows_of))) >= 7  # the rest still waits


def test_batches_that_cannot_be_filled_are_an_error():
    alike = [Example("", f"q{i}", (passage("p"),)) for i in range(50)]
    with pytest.raises(XqgError, match="50 training examples cannot fill a batch of 2"):
        schedule(alike, 40, 2, seed=0)
