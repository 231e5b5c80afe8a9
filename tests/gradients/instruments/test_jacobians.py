"""Jacobians of the state against the complex step of the cells' sequence functions; singular values; bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.gradients.instruments.jacobians import jacobian_products, jacobian_spectrum, step_jacobians

CELLS = ("RNN", "GRU", "LSTM")
N, T, D, H = 2, 7, 3, 4
TINY = 1e-30


def make(cell: str, rng: np.random.Generator, **options: Any) -> Any:
    return getattr(ml, cell)(D, H, init="uniform", dtype=np.float64, rng=rng, **options)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.linalg.norm(a - b) <= 1e-10 * max(np.linalg.norm(a), np.linalg.norm(b)))


def run_on(layer: Any, x: np.ndarray, state: np.ndarray) -> np.ndarray:
    """The last state (N, S) of the layer's sequence function from a given one; h before c."""
    W, b = layer.params["W"], layer.params["b"]
    if isinstance(layer, ml.LSTM):
        h, c_last, _ = ml.lstm_forward(x, state[:, :H], state[:, H:], W, b)
        return np.concatenate([h[:, -1], c_last], axis=1)
    if isinstance(layer, ml.GRU):
        return np.asarray(ml.gru_forward(x, state, W, b)[0][:, -1])
    return np.asarray(ml.rnn_forward(x, state, W, b, nonlinearity=layer.nonlinearity)[0][:, -1])


def by_complex_step(layer: Any, x: np.ndarray, state: np.ndarray) -> np.ndarray:
    """(N, S, S): ∂ last state / ∂ state."""
    columns = []
    for unit in range(state.shape[1]):
        moved = state.astype(complex)
        moved[:, unit] += 1j * TINY
        columns.append(run_on(layer, x, moved).imag / TINY)
    return np.stack(columns, axis=2)


def states(layer: Any, x: np.ndarray) -> list[np.ndarray]:
    found = [np.zeros((N, H * len(layer.state_names)))]
    for t in range(T):
        found.append(run_on(layer, x[:, t:t + 1], found[-1]))
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_jacobians_are_those_of_the_complex_step(cell: str, rng: np.random.Generator) -> None:
    layer, x = make(cell, rng), rng.standard_normal((N, T, D))
    single, products, visited = step_jacobians(layer, x), jacobian_products(layer, x), states(layer, x)
    assert sorted(products) == list(range(T + 1))
    for t in range(T):
        assert close(single[t], by_complex_step(layer, x[:, t:t + 1], visited[t]))
        found = products[t].matrix * np.exp(products[t].log_scale)[:, None, None]
        assert close(found, by_complex_step(layer, x[:, t:], visited[t]))
    assert close(products[T].matrix * np.exp(products[T].log_scale)[:, None, None], np.stack([np.eye(single.shape[2])] * N))


@pytest.mark.parametrize("cell", CELLS)
def test_jacobians_are_those_of_finite_differences(cell: str, rng: np.random.Generator) -> None:
    layer, x = make(cell, rng), rng.standard_normal((N, T, D))
    product, start = jacobian_products(layer, x, [0])[0], states(layer, x)[0]
    found = product.matrix * np.exp(product.log_scale)[:, None, None]
    for unit in range(start.shape[1]):
        move = np.zeros_like(start)
        move[:, unit] = 1e-6
        slope = (run_on(layer, x, start + move) - run_on(layer, x, start - move)) / 2e-6
        assert slope == pytest.approx(found[:, :, unit], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("nonlinearity", ("tanh", "relu"))
def test_the_equation_of_the_simple_rnn(nonlinearity: str, rng: np.random.Generator) -> None:
    layer, x = make("RNN", rng, nonlinearity=nonlinearity), rng.standard_normal((N, T, D))
    h, found = layer(x), step_jacobians(layer, x)
    for t in range(T):
        for n in range(N):
            slope = 1 - h[n, t] ** 2 if nonlinearity == "tanh" else (h[n, t] > 0).astype(float)
            assert close(found[t, n], np.diag(slope) @ layer.params["W"][:H].T)


@pytest.mark.parametrize("cell", CELLS)
def test_singular_values(cell: str, rng: np.random.Generator) -> None:
    layer, x = make(cell, rng), rng.standard_normal((N, T, D))
    spectrum, visited = jacobian_spectrum(layer, x, [0, 3, T]), states(layer, x)
    assert spectrum.steps.tolist() == [0, 3, T] and spectrum.T == T and (spectrum.c is None) == (cell != "LSTM")
    for k, t in enumerate((0, 3)):
        whole = by_complex_step(layer, x[:, t:], visited[t])
        for found, block in ((spectrum.h, slice(0, H)), (spectrum.c, slice(H, 2 * H)))[:2 if cell == "LSTM" else 1]:
            assert found is not None
            assert found[k] == pytest.approx(np.log10(np.linalg.svd(whole[:, block, block])[1]), abs=1e-9)
    assert np.abs(spectrum.h[2]).max() < 1e-12          # ∂h_T/∂h_T is the identity


def test_what_the_cell_carries_by_itself(rng: np.random.Generator) -> None:
    layer, x = make("LSTM", rng), rng.standard_normal((N, T, D))
    steps = ml.lstm_forward(x, None, None, layer.params["W"], layer.params["b"])[2].steps
    f = np.stack([step.f for step in steps])
    spectrum = jacobian_spectrum(layer, x)
    assert spectrum.keep is not None and spectrum.bound is None
    for t in range(T + 1):
        assert spectrum.keep[t] == pytest.approx(np.log10(f[t:].prod(axis=0)), abs=1e-12)
    layer.params["W"][:H] = 0           # no gate sees h: the cell is all there is
    alone = jacobian_spectrum(layer, x)
    assert alone.c is not None and alone.keep is not None
    assert alone.c == pytest.approx(np.sort(alone.keep, axis=2)[:, :, ::-1], abs=1e-9)


@pytest.mark.parametrize("gain", (0.5, 1.0, 3.0))
def test_the_bounds_of_the_simple_rnn_hold(gain: float, rng: np.random.Generator) -> None:
    layer, x = make("RNN", rng), rng.standard_normal((N, T, D))
    layer.params["W"][:H] *= gain
    spectrum = jacobian_spectrum(layer, x)
    assert spectrum.bound is not None and spectrum.step_bound is not None and spectrum.keep is None
    back = T - np.arange(T + 1)
    assert spectrum.bound == pytest.approx(back * np.log10(np.linalg.svd(layer.params["W"][:H])[1][0]), abs=1e-12)
    assert (spectrum.h[:, :, 0] <= spectrum.step_bound + 1e-12).all()
    assert (spectrum.step_bound <= spectrum.bound[:, None] + 1e-12).all()


def test_the_bound_is_reached(rng: np.random.Generator) -> None:
    """With h = 0 all the way tanh' is 1, and σ_max of a power of a symmetric W is that power of its σ_max."""
    layer = make("RNN", rng)
    symmetric = rng.standard_normal((H, H))
    layer.params["W"][:H] = symmetric + symmetric.T
    layer.params["b"][:] = 0
    spectrum = jacobian_spectrum(layer, np.zeros((N, T, D)))
    assert spectrum.bound is not None
    assert np.abs(spectrum.h[:, :, 0] - spectrum.bound[:, None]).max() < 1e-10


@pytest.mark.parametrize("size, inputs", [(1e-3, 1.0), (1e3, 1e-100)])
def test_long_products_neither_overflow_nor_underflow(size: float, inputs: float, rng: np.random.Generator) -> None:
    """size^129 is no floating point number; the states themselves stay within range."""
    layer = make("RNN", rng, nonlinearity="relu")
    layer.params["W"][:H], layer.params["W"][H:], layer.params["b"][:] = size * np.eye(H), inputs, 0
    x = np.ones((1, 130, D))
    if size > 1:
        x[:, 1:] = 0
    spectrum = jacobian_spectrum(layer, x, [1])
    assert spectrum.h[0, 0] == pytest.approx(np.log10(size) * 129, rel=1e-12)


def test_nothing_comes_through(rng: np.random.Generator) -> None:
    layer = make("RNN", rng, nonlinearity="relu")
    layer.params["b"][:] = -100
    spectrum = jacobian_spectrum(layer, rng.standard_normal((N, T, D)), [0, T])
    assert spectrum.step_bound is not None
    assert (spectrum.h[0] == -np.inf).all() and (spectrum.step_bound[0] == -np.inf).all()
    layer.params["W"][:H] = 0
    spectrum = jacobian_spectrum(layer, rng.standard_normal((N, T, D)), [0, T])
    assert spectrum.bound is not None and spectrum.bound.tolist() == [-np.inf, 0]


def test_what_rounding_has_eaten_is_not_shown(rng: np.random.Generator) -> None:
    layer = make("RNN", rng)
    layer.params["W"][:H] = np.diag([1.0, 0.1, 0.01, 0.001]) @ np.linalg.qr(rng.standard_normal((H, H)))[0]
    spectrum = jacobian_spectrum(layer, np.zeros((1, 40, D)), [0])
    assert np.isfinite(spectrum.h[0, 0, 0]) and np.isnan(spectrum.h[0, 0, -1])


def test_mistakes_are_refused(rng: np.random.Generator) -> None:
    layer, x = make("GRU", rng), rng.standard_normal((N, T, D))
    for steps in ([-1], [T + 1], [], [2, 2]):
        with pytest.raises(ml.ArgumentError, match=f"steps: expected different numbers from 0 to {T}"):
            jacobian_spectrum(layer, x, steps)
    with pytest.raises(ml.ArgumentError, match="one layer"):
        step_jacobians(ml.LSTM(D, H, bidirectional=True), x)
