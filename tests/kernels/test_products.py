"""Of no single file: products of weights and states in NumPy, whole and in pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilstm.backend.threads import one_blas_thread
from minilstm.kernels.cpu import products

SHAPES = [(1, 1, 1), (7, 5, 3), (67, 256, 33), (256, 129, 35), (192, 512, 64), (192, 512, 35), (128, 256, 1), (64, 64, 900),
          (64, 64, 1100), (512, 321, 64)]           # M, K, n


@pytest.mark.parametrize("small_kernels", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128, np.longdouble])
@pytest.mark.parametrize("shape", SHAPES)
def test_product_of_weights_and_states(shape: tuple[int, int, int], dtype: Any, small_kernels: bool,
                                       monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """To what rounding allows, element by element."""
    def draw(*shape: int) -> np.ndarray:
        real = rng.standard_normal(shape)
        return (real + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)
    monkeypatch.setattr(products, "_has_small_kernels", lambda: small_kernels)
    M, K, n = shape if dtype is not np.longdouble else (shape[0] // 7 + 1, shape[1] // 7 + 1, shape[2])     # no BLAS for it
    W = draw(M, K)
    product = products.Product(W, n)
    for _ in range(2):
        state, out = draw(K, n), np.full((M, n), np.nan, dtype)
        before = state.copy()
        with one_blas_thread():
            product(state, out)
            want, bound = W @ state, np.abs(W) @ np.abs(state)
        assert (np.abs(out - want) <= 4 * np.finfo(dtype).eps * K * bound).all()
        assert np.array_equal(state, before)


def test_some_shapes_are_cut_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_has_small_kernels", lambda: True)
    cuts = {shape: products.pieces(*shape, 4) for shape in SHAPES}
    assert cuts[192, 512, 64] == (64, 4) and cuts[256, 129, 35] == (64, 1) and cuts[67, 256, 33] == (67, 1)
    assert len(set(cuts.values())) > 4
    monkeypatch.setattr(products, "_has_small_kernels", lambda: False)
    assert all(products.pieces(*shape, 4) == (shape[0], 1) for shape in SHAPES)


@given(st.integers(1, 600), st.integers(1, 700), st.integers(1, 1200), st.sampled_from([2, 4, 8, 16]))
def test_cuts_fit(M: int, K: int, n: int, itemsize: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "_has_small_kernels", lambda: True)
        rows, splits = products.pieces(M, K, n, itemsize)
    assert M % rows == K % splits == 0
    assert (rows, splits) == (M, 1) or rows * (K // splits) * n <= products.SMALL
