"""Masks of real steps: the side of the padding, and lengths of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_equal, backend, put, xp
from cases import Case

from minilstm.cells.padding import real_steps


@pytest.mark.parametrize(("padding", "expected"), [
    ("post", [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]]), ("pre", [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])])
def test_masks_by_hand(padding: str, expected: Any) -> None:
    real = real_steps(put(np.array([4, 2, 1])), 4, padding, xp.ones(1))
    assert_equal(real[:, :, 0], np.array(expected, bool))
    assert backend() != "numpy" or real_steps(np.array([4, 4]), 4, padding, np.ones(1)) is None       # nothing is padded


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
@pytest.mark.parametrize("padding", ["post", "pre"])
def test_any_integer_dtype_of_lengths(dtype: Any, padding: str) -> None:
    case, T = Case(N=3, T=300, D=1, H=1), 300
    lengths = np.array([1, 100, 127])
    expected = case.layer()(case.x(), lengths=lengths, padding=padding)
    got = case.layer()(case.x(), lengths=lengths.astype(dtype), padding=padding)
    assert got.shape == (3, T, 1) and got.tobytes() == expected.tobytes()
