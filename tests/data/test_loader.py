"""DataLoader: which rows come, in which order, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from backends import assert_equal, backend, host, xp
from hypothesis import given
from hypothesis import strategies as st

from minilstm import data
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError

X, Y, LENGTHS = np.arange(22).reshape(11, 2), np.arange(11.0), np.arange(1, 12)


def DataLoader(*arrays, **options):
    """A loader that keeps its arrays on the running test's backend."""
    return data.DataLoader(*arrays, **{"backend": backend(), **options})


def rows(batches):
    return [batch[-1].tolist() for batch in batches]


def test_plain_order_keeps_the_short_last_batch():
    loader = DataLoader(X, Y, LENGTHS, batch_size=4)
    assert len(loader) == 3
    batches = list(loader)
    assert [tuple(part.shape for part in batch) for batch in batches] == [((4, 2), (4,), (4,))] * 2 + [((3, 2), (3,), (3,))]
    for k, part in enumerate((X, Y, LENGTHS)):
        assert_equal(xp.concatenate([batch[k] for batch in batches]), part)
        assert batches[0][k].dtype == part.dtype
    assert len(DataLoader(X, batch_size=4, drop_last=True)) == 2
    assert rows(DataLoader(Y, batch_size=4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_loader_shows_its_shapes_and_not_its_arrays():
    assert repr(DataLoader(X, Y, batch_size=4)) == f"DataLoader(11 rows of (2,) {X.dtype}, () float64; 3 batches of 4)"
    assert repr(DataLoader(X[:1], shuffle=True, seed=3)).endswith("1 row of (2,) int64; 1 batch of 64, shuffled with seed 3)")


def test_single_array_gives_one_tuples():
    (batch,) = DataLoader([1, 2, 3])
    assert isinstance(batch, tuple) and batch[0].tolist() == [1, 2, 3]


@given(st.integers(1, 40), st.integers(1, 45), st.integers(0, 2**40), st.integers(0, 10))
def test_shuffled_order_is_a_pure_function_of_seed_and_epoch(n, batch_size, seed, epoch):
    values = np.arange(n)
    loader = DataLoader(values, -values, batch_size=batch_size, shuffle=True, seed=seed)
    expected = np.random.default_rng([seed, epoch]).permutation(n)
    batches = list(loader.batches(epoch))
    assert len(batches) == len(loader)
    assert_equal(xp.concatenate([x for x, _ in batches]), expected)
    assert all(bool((x == -y).all()) for x, y in batches)
    assert loader.epoch == 0
    for start in range(len(loader) + 1):
        assert rows(loader.batches(epoch, start)) == rows(batches[start:])


def test_epoch_moves_on_at_the_start_of_an_iteration():
    loader = DataLoader(Y, batch_size=2, shuffle=True, seed=3)
    iterator = iter(loader)
    assert loader.epoch == 1            # before the first batch is drawn
    first = rows(iterator)
    second = rows(loader)
    assert loader.epoch == 2 and first != second
    assert first == rows(loader.batches(0)) and second == rows(loader.batches(1))
    loader.epoch = 0
    assert rows(loader) == first
    again = DataLoader(Y, batch_size=2, shuffle=True, seed=3)
    assert rows(again) == first and rows(again) == second
    assert rows(DataLoader(Y, batch_size=2, shuffle=True, seed=4)) != first


def test_two_iterations_at_once_do_not_disturb_each_other():
    loader = DataLoader(Y, batch_size=2, shuffle=True)
    pairs = list(zip(loader, loader))
    assert rows([a for a, _ in pairs]) == rows(loader.batches(0))
    assert rows([b for _, b in pairs]) == rows(loader.batches(1))


@pytest.mark.parametrize("arrays, kwargs, error", [
    ((), {}, ArgumentError), ((X, Y[:5]), {}, ShapeError), ((X[:0],), {}, ShapeError), ((np.float32(3),), {}, ShapeError),
    (([[1], [2, 3]],), {}, ShapeError), ((["a", "b"],), {}, DtypeError), ((X,), {"batch_size": 0}, ArgumentError),
    ((X,), {"batch_size": 2.5}, ArgumentError), ((X,), {"seed": -1}, ArgumentError), ((X,), {"seed": None}, ArgumentError),
    ((X,), {"seed": True}, ArgumentError), ((X,), {"backend": "torch"}, ArgumentError),
    ((X,), {"batch_size": 12, "drop_last": True}, ArgumentError)])
def test_refuses(arrays, kwargs, error):
    with pytest.raises(error):
        DataLoader(*arrays, **kwargs)


def test_refuses_batches_out_of_range_at_once():
    loader = DataLoader(X, batch_size=4)
    for epoch, start in ((-1, 0), (0, 4), (0, -1), (0.5, 0)):
        with pytest.raises(ArgumentError):
            loader.batches(epoch, start)


def test_batches_live_where_they_are_asked_to():
    for batch in DataLoader(X, Y, LENGTHS, batch_size=4, shuffle=True, seed=1):
        assert all(type(part) is type(xp.ones(1)) for part in batch)
        host(batch)


def test_a_window_sorts_by_length_and_cuts_batches():
    rng = np.random.default_rng(0)
    n, T, size, window = 50, 9, 4, 16
    lengths = rng.integers(1, T + 1, n)
    x = np.where(np.arange(T) < lengths[:, None], np.arange(n)[:, None] + 1, 0)
    loader = DataLoader(x, np.arange(n), lengths, batch_size=size, shuffle=True, seed=5, window=window)
    for epoch in (0, 1):
        batches = list(loader.batches(epoch))
        widths = [batch[0].shape[1] for batch in batches]
        assert widths == [int(batch[2].max()) for batch in batches] and len(batches) == len(loader) == 13
        seen = [batch[1].tolist() for batch in batches]
        assert sorted(sum(seen, [])) == list(range(n)) and len(seen[-1]) == 2
        shuffled = np.random.default_rng([5, epoch]).permutation(n)
        places = {int(row): place // window for place, row in enumerate(shuffled)}
        assert all(len({places[row] for row in rows}) == 1 for rows in seen)                # all of one window ...
        assert all(bool((batch[2][1:] >= batch[2][:-1]).all()) for batch in batches)        # ... and neighbours in length
        for number in range(0, 12, 4):      # of a window's batches, none reaches into another's lengths
            group = sorted((sorted(lengths[rows]) for rows in seen[:12] if places[rows[0]] == number // 4))
            assert all(a[-1] <= b[0] for a, b in zip(group, group[1:]))
        for tokens, numbers, real in batches:
            assert_equal(tokens, x[host(numbers)][:, :tokens.shape[1]])
            assert_equal(real, lengths[host(numbers)])
        for start in (0, 3, 12, 13):
            assert [batch[1].tolist() for batch in loader.batches(epoch, start)] == seen[start:]
    assert loader.order(0).tolist() != loader.order(1).tolist()
    groups = [places[int(rows[0])] for rows in loader.order(1)[:48].reshape(-1, size)]
    assert groups != sorted(groups)         # full batches come in any order
    plain = DataLoader(x, lengths, batch_size=size, window=n // size * size + size)
    assert_equal(xp.concatenate([batch[1] for batch in plain]), np.sort(lengths))


@pytest.mark.parametrize("arrays, window, words, error", [
    ((X, LENGTHS), 6, "multiple of batch_size=4", ArgumentError), ((X, LENGTHS), 0, "window", ArgumentError),
    ((Y, LENGTHS), 4, "lengths", ShapeError), ((X, Y), 4, "lengths", ShapeError), ((X,), 4, "lengths", ShapeError),
    ((X, LENGTHS), 4, "from 1 to T=2, got 1 to 11", ArgumentError)])
def test_a_window_that_does_not_fit(arrays, window, words, error):
    with pytest.raises(error, match=words):
        DataLoader(*arrays, batch_size=4, window=window)
