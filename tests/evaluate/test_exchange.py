from __future__ import annotations

import numpy as np
import pytest
from made_stores import random_shards, write_store

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.from_store.exchange import (
    CHUNKS,
    neighbour_parts,
    next_in_group,
    next_rows,
    shuffled_parts,
)
from pyserini_xqg.store.rows import take_rows
from pyserini_xqg.store.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """101 passages in two shards; the sums of their queries are all different."""
    return random_shards(tmp_path_factory.mktemp("exchange"), [70, 31])


def joined(parts):
    """Row numbers, passages, sums and counts of all parts."""
    parts = list(parts)
    return (
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.block.passages for part in parts]),
        np.concatenate([part.block.sums["te"] for part in parts]),
        np.concatenate([part.block.counts["te"] for part in parts]),
        np.concatenate([part.block.sums["ar"] for part in parts]),
    )


def sources(store, parts):
    """By row, the row whose queries it has: sums and counts of both languages moved together."""
    own = take_rows(store, np.arange(store.passages))
    rows, passages, te, count, ar = joined(parts)
    assert np.array_equal(passages, own.passages[rows])
    found = {}
    for place, row in enumerate(rows.tolist()):
        there = (own.sums["te"] == te[place]).all(1) & (own.sums["ar"] == ar[place]).all(1)
        there &= own.counts["te"] == count[place]
        found[row] = np.flatnonzero(there)
    return found


@pytest.mark.parametrize("chunk", [1024, 3])
def test_every_passages_queries_go_to_one_other(store, chunk):
    found = sources(store, shuffled_parts(store, store.languages, [0], chunk=chunk))
    assert sorted(found) == list(range(101))
    own = take_rows(store, np.arange(101))
    has = np.flatnonzero(own.counts["te"] + own.counts["ar"]).tolist()
    assert len(has) > 80
    given = [int(rows[0]) for rows in found.values() if len(rows) == 1]
    assert sorted(given) == has  # each once; those without queries look alike
    assert not any(rows.tolist() == [row] for row, rows in found.items())  # never its own


def test_a_small_store_is_one_cycle(store):
    found = sources(store, shuffled_parts(store, store.languages, [0]))
    others = sources(store, shuffled_parts(store, store.languages, [1]))
    again = sources(store, shuffled_parts(store, store.languages, [0]))
    single = {row: int(rows[0]) for row, rows in found.items() if len(rows) == 1}
    assert {row: int(rows[0]) for row, rows in again.items() if len(rows) == 1} == single
    assert {row: int(rows[0]) for row, rows in others.items() if len(rows) == 1} != single


def test_no_more_is_held_than_a_group(store, monkeypatch):
    from pyserini_xqg.evaluate.from_store import exchange

    taken = []

    def counting(store, rows, languages=None):
        taken.append(len(rows))
        return take_rows(store, rows, languages)

    monkeypatch.setattr(exchange, "take_rows", counting)
    parts = list(shuffled_parts(store, store.languages, [0], chunk=3))
    assert len(taken) == 34 // CHUNKS
    assert max(taken) <= (2 * CHUNKS - 1) * 3
    assert max(len(part.rows) for part in parts) == 3
    # dealt at random: a group's rows are not neighbours
    assert np.ptp(parts[0].rows) + np.ptp(np.concatenate([p.rows for p in parts[:8]])) > 50


def test_the_next_row_and_the_first_after_the_last(store):
    parts = neighbour_parts(store, store.languages, next_rows(101), chunk=40)
    own = take_rows(store, np.arange(101))
    rows, passages, te, count, ar = joined(parts)
    assert rows.tolist() == list(range(101))
    assert np.array_equal(passages, own.passages)
    assert np.array_equal(te, np.roll(own.sums["te"], -1, axis=0))
    assert np.array_equal(ar, np.roll(own.sums["ar"], -1, axis=0))
    assert np.array_equal(count, np.roll(own.counts["te"], -1))


def test_the_next_of_the_group(tmp_path):
    store = Store([write_store(tmp_path / "s", [[0, 1]] * 6, {"te": [[]] * 6})])
    groups = tmp_path / "groups"
    groups.write_text("p5\tone two\np0 a\np1\tone two\np2 a\np4 a\np3 alone\n")
    source, alone = next_in_group(store, groups)
    assert source.tolist() == [2, 5, 4, 4, 0, 1]  # p3 is alone and takes the next of the store
    assert alone == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p0 a\n", "groups: no group for passage 'p1' of .*s"),
        ("p0 a\np1\n", "groups:2: expected docid and group"),
        ("p0 a\np1 a\np0 b\n", "groups:3: 'p0' comes twice"),
    ],
)
def test_groups_that_are_refused(tmp_path, text, message):
    store = Store([write_store(tmp_path / "s", [[0, 1]] * 2, {"te": [[]] * 2})])
    (tmp_path / "groups").write_text(text)
    with pytest.raises(XqgError, match=message):
        next_in_group(store, tmp_path / "groups")
    with pytest.raises(XqgError, match="no such file"):
        next_in_group(store, tmp_path / "nothing")


def test_one_passage_cannot_be_shuffled(tmp_path):
    store = Store([write_store(tmp_path / "s", [[0, 1]], {"te": [[]]})])
    with pytest.raises(XqgError, match="one passage has none to exchange queries with"):
        next(shuffled_parts(store, ["te"], [0]))
