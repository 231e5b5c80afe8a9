"""train_test_split against scikit-learn's own indices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilstm.backend.errors import ArgumentError, ShapeError
from minilstm.data import train_test_split


@pytest.fixture(scope="session")
def sklearn_split():
    return pytest.importorskip("sklearn.model_selection", reason="compares with scikit-learn's indices").train_test_split


def outcome(split, arguments, error):
    try:
        return [part.tolist() for part in split(*arguments[0], **arguments[1])]
    except error:
        return "refused"


@given(st.integers(1, 60), st.one_of(st.none(), st.integers(-1, 61), st.floats(-0.1, 1.1)),
       st.one_of(st.none(), st.integers(-1, 61), st.floats(-0.1, 1.1)), st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=100, deadline=None)
def test_same_indices_and_refusals(sklearn_split, n, test_size, train_size, seed, shuffle):
    arguments = [np.arange(n)], dict(test_size=test_size, train_size=train_size, random_state=seed, shuffle=shuffle)
    theirs = outcome(sklearn_split, arguments, ValueError)
    ours = outcome(train_test_split, arguments, ArgumentError)
    if theirs != "refused" and not all(theirs):
        theirs = "refused"      # scikit-learn lets a test part be empty
    assert ours == theirs


@pytest.mark.parametrize("n", [2, 3, 7, 99, 1000, 25_000, 50_000])
@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
def test_same_indices_large(sklearn_split, n, seed):
    for test_size in (0.2, 0.25, 1 / 3, 0.5, 1):
        for ours, theirs in zip(train_test_split(np.arange(n), test_size=test_size, random_state=seed),
                                sklearn_split(np.arange(n), test_size=test_size, random_state=seed)):
            np.testing.assert_array_equal(ours, theirs)


def test_random_state_object_moves_on(sklearn_split):
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    for _ in range(3):
        a, b = train_test_split(range(20), random_state=ours), sklearn_split(range(20), random_state=theirs)
        assert a == b


def test_kinds_of_arrays_stay_together():
    pandas = pytest.importorskip("pandas", reason="splits pandas objects too")
    x = np.arange(30).reshape(10, 3)
    texts, labels, series = [f"t{k}" for k in range(10)], tuple(range(10)), pandas.Series(range(10), index=range(90, 100))
    x_train, x_test, t_train, t_test, y_train, y_test, s_train, s_test = train_test_split(
        x, texts, labels, series, test_size=0.2, random_state=42)
    assert (x_train.shape, x_test.shape, t_test) == ((8, 3), (2, 3), ["t8", "t1"])
    assert x_train[:, 0].tolist() == [3 * y for y in y_train] == [3 * int(t[1:]) for t in t_train] == (3 * s_train).tolist()
    assert isinstance(y_test, list) and s_test.index.tolist() == [90 + y for y in y_test]


def test_leaves_the_global_generator_alone():
    np.random.seed(5)
    expected = np.random.RandomState(5).random(3)
    train_test_split(range(9), random_state=1)
    train_test_split(range(9))
    np.testing.assert_array_equal(np.random.random(3), expected)


def test_refuses():
    for arrays, kwargs in (((), {}), (([1],), {}), ((3,), {}), ((range(9),), {"random_state": -1}),
                           ((range(9),), {"random_state": "x"}), ((range(9),), {"random_state": np.random.default_rng(0)}),
                           ((range(9),), {"test_size": True}), ((range(9),), {"test_size": "half"})):
        with pytest.raises(ArgumentError):
            train_test_split(*arrays, **kwargs)
    with pytest.raises(ShapeError, match=r"\[3, 4\]"):
        train_test_split([1, 2, 3], [1, 2, 3, 4])
