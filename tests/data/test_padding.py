"""pad_sequences and sequence_lengths, against Keras itself."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError
from minilstm.data import pad_sequences, sequence_lengths
from minilstm.data.padding import cut_middle


@pytest.fixture(scope="session")
def keras_pad():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras.utils", reason="compares with Keras' pad_sequences").pad_sequences


@given(st.lists(st.lists(st.integers(-5, 1000), max_size=9), min_size=1, max_size=7), st.one_of(st.none(), st.integers(1, 12)),
       st.sampled_from(["int32", "int64", "float32", np.float64, "complex64"]), st.sampled_from(["pre", "post"]),
       st.sampled_from(["pre", "post"]), st.sampled_from([0.0, 7, -1, 2.5]), st.sampled_from([list, tuple, np.array]))
@settings(max_examples=100, deadline=None)
def test_pad_same_as_keras(keras_pad, sequences, maxlen, dtype, padding, truncating, value, make):
    arguments = [make(s) for s in sequences], maxlen, dtype, padding, truncating, value
    got, expected = pad_sequences(*arguments), keras_pad(*arguments)
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("sequences, kwargs", [
    ([[[1, 2], [3, 4]], [], [[5, 6]]], {"maxlen": 3}), ([["a", "bc"], ["d"]], {"dtype": object, "value": "<pad>"}),
    ([["a", "bc"], ["d"]], {"dtype": "U3", "value": "-"}), ([[1.7, -2.7]], {"maxlen": 3}), ([], {"maxlen": 4}),
    ([[], []], {})])
def test_pad_odd_cases_same_as_keras(keras_pad, sequences, kwargs):
    got, expected = pad_sequences(sequences, **kwargs), keras_pad(sequences, **kwargs)
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


def test_pad_what_keras_takes_too(keras_pad):
    pandas = pytest.importorskip("pandas", reason="Series are pandas'")
    rows = [[1], [2, 3, 4]]
    series = pandas.Series(rows, index=[7, 9])
    for sequences in (series, [pandas.Series(row, index=range(5, 5 + len(row))) for row in rows], deque(rows),
                      dict(enumerate(rows)).values(), tuple(map(tuple, rows)), [range(1, 2), range(2, 5)]):
        assert pad_sequences(sequences).tolist() == keras_pad(sequences).tolist() == [[0, 0, 1], [2, 3, 4]]
        assert sequence_lengths(sequences).tolist() == [1, 3]
    assert pad_sequences([deque(row) for row in rows]).tolist() == [[0, 0, 1], [2, 3, 4]]      # which Keras does not take


def test_pad_by_hand():
    assert pad_sequences([[1], [2, 3, 4]], maxlen=2).tolist() == [[0, 1], [3, 4]]
    assert pad_sequences([[1], [2, 3, 4]], maxlen=2, padding="post", truncating="post").tolist() == [[1, 0], [2, 3]]


def test_pad_refuses():
    for arguments in (([1, 2],), (3,), ([],), ([[1]], 0), ([[1]], -2), ([[1]], 2.0), ([[1]], 2, "int32", "left"),
                      ([[1]], 2, "int32", "pre", "both"), ([[1]], 2, "int32", "pre", "pre", "x")):
        with pytest.raises(ArgumentError):
            pad_sequences(*arguments)
    with pytest.raises(ShapeError, match=r"sequences\[1\]"):
        pad_sequences([[[1, 2]], [[1, 2, 3]]])


def test_sequence_lengths():
    assert sequence_lengths([[1], [], [1, 2, 3]], 2).tolist() == [1, 1, 2]
    assert sequence_lengths([[1], [], [1, 2, 3]], minimum=0).tolist() == [1, 0, 3]
    assert sequence_lengths([[1]]).dtype == np.int64


@pytest.mark.parametrize(("sequences", "options", "error", "words"), [
    (["abc"], {}, DtypeError, r"sequences\[0\]: .*text 'abc'"), ("abc", {}, DtypeError, "text 'a'"),
    ([[1], ["x"]], {}, DtypeError, r"sequences\[1\]"), ([[1, [2, 3]]], {}, ShapeError, "one shape"),
    ([[1], [[1, 2], [3]]], {}, ShapeError, r"sequences\[1\]"), ([[1]], {"dtype": "float99"}, ArgumentError, "dtype"),
    ([[1], [2 ** 40]], {}, ArgumentError, r"sequences\[1\]"), ([[-1]], {"dtype": "uint8"}, ArgumentError, "uint8"),
    ([np.array([300])], {"dtype": "uint8"}, ArgumentError, "uint8"), ([[1e10]], {}, ArgumentError, "int32"),
    ([np.array([np.nan])], {}, ArgumentError, "int32"), ([[1]], {"dtype": "uint8", "value": 300}, ArgumentError, "value"),
    ([[1]], {"value": float("nan")}, ArgumentError, "value"),
    ([[1], {2, 3}], {}, DtypeError, r"sequences\[1\]: a set has no order"),
    ([{"a": 1}], {}, DtypeError, "a dict has no order"),
    ([["a"]], {"dtype": str, "value": "-"}, ArgumentError, "dtype=object"),
    ([["film"]], {"dtype": "U3", "value": "-"}, ArgumentError, r"sequences\[0\]: a text in it does not fit dtype <U3"),
    ([["a"]], {"dtype": "U3", "value": "<pad>"}, ArgumentError, "value: '<pad>' does not fit"),
    ([[1], np.ma.array([1, 2], mask=[0, 1])], {}, DtypeError, r"sequences\[1\]"),
    (np.array(3), {}, ArgumentError, "list of sequences"), ([[1e300]], {"dtype": "float32"}, ArgumentError, "does not fit")])
def test_what_cannot_be_padded_is_said_in_words(sequences: Any, options: dict[str, Any], error: type[Exception],
                                                words: str) -> None:
    with pytest.raises(error, match=words):
        pad_sequences(sequences, maxlen=3, **options)


def test_cut_middle_keeps_both_ends():
    rows = [list(range(9)), list(range(5)), list(range(4)), []]
    assert cut_middle(rows, 2, 3) == [[0, 1, 6, 7, 8], [0, 1, 2, 3, 4], [0, 1, 2, 3], []]
    got = cut_middle([np.arange(9), np.arange(2)], 1, 1)
    assert [row.tolist() for row in got] == [[0, 8], [0, 1]] and len(rows[0]) == 9
    with pytest.raises(ArgumentError, match="tail"):
        cut_middle(rows, 2, 0)


@pytest.mark.parametrize("value", [None, [1, 2], [1, 2, 3], [[1], [2, 3]], np.array([1, 2]),
                                   np.datetime64("NaT", "D"), {}, np.ma.array(1.0)])
def test_a_fill_value_is_one_number(value: Any) -> None:
    with pytest.raises((ArgumentError, DtypeError), match="value|array"):
        pad_sequences([[1], [2, 3]], value=value)
    if value is None:
        assert pad_sequences([["a"], ["b", "c"]], dtype=object, value=value)[0, 0] is None
