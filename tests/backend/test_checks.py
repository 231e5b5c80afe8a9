"""What counts as an array, decided by one function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.backend import checks

X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("given", [
    X, X.T, X[::-1, ::2], X.astype(">f4"), X.tolist(), np.frombuffer(b"x" + X.tobytes(), "f4", offset=1),
    np.broadcast_to(X, (2, 3, 4)), np.float32(3), [[1, 2]], np.float64(2)], ids=lambda x: type(x).__name__)
def test_what_is_taken_is_native_and_aligned(given: Any) -> None:
    array = checks.as_array("x", given)
    assert type(array) is np.ndarray and array.dtype.isnative and array.flags.aligned
    np.testing.assert_array_equal(array, given)


def test_nothing_is_copied_unless_bytes_are_reordered() -> None:
    for given in (X, X.T, X[::2], np.broadcast_to(X, (2, 3, 4))):
        assert checks.as_array("x", given) is given
    mapped = np.memmap(__file__, dtype=np.uint8, mode="r")
    assert np.shares_memory(checks.as_array("x", mapped), mapped)


@pytest.mark.parametrize(("given", "words"), [
    (np.ma.array([1.0]), "masked array"), ([[1], [1, 2]], "see pad_sequences"), (None, "NoneType"), ({"a": 1}, "dict"),
    (object(), "object"), ([1.0, None], "list")])
def test_what_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ml.DtypeError, match=f"^x: .*{words}"):
        checks.as_array("x", given)


def test_what_raises_when_it_is_read() -> None:
    """As a tensor on a GPU does."""
    class Elsewhere:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            raise TypeError("can't convert cuda:0 device type tensor to numpy.\nUse Tensor.cpu()")
    with pytest.raises(ml.DtypeError, match="^x: expected an array, got Elsewhere: can't convert .* Use Tensor.cpu"):
        checks.as_array("x", Elsewhere())


def test_floating_point_numbers_of_other_sizes() -> None:
    for given, dtype in ((X.astype("f2"), np.float32), (X.astype(np.longdouble), np.float64),
                         (X.astype(np.clongdouble), complex), (X, np.float32), (X.astype("f8"), np.float64),
                         (X.astype("c8"), np.complex64)):
        assert checks.as_floating("x", given).dtype == dtype
    for given in (X.astype(int), X > 3, X.astype(str)):
        with pytest.raises(ml.DtypeError, match="expected floating point numbers"):
            checks.as_floating("x", given)


def test_a_gradient_takes_the_dtype_of_its_output() -> None:
    assert checks.as_gradient("dy", X.astype("f8"), (3, 4), "N, D", np.dtype("f4")).dtype == np.float32
    assert checks.as_gradient("dy", X, (3, 4), "N, D", np.dtype("f4")) is X
    with pytest.raises(ml.DtypeError, match="x of the forward"):
        checks.as_gradient("dy", X, (3, 4), "N, D", np.dtype("c8"))
