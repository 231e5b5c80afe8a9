"""∂L/∂h_t and ∂L/∂c_t against the complex step of the loss, the state nudged at step t, and the layers' own backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.gradients.instruments.flow import gradient_flow, model_gradient_flow, norms

CELLS = ("RNN", "GRU", "LSTM")
N, T, D, H = 3, 6, 2, 4
TINY = 1e-30


def make(cell: str, rng: np.random.Generator, **options: Any) -> Any:
    return getattr(ml, cell)(D, H, init="uniform", dtype=np.float64, rng=rng, **options)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.linalg.norm(a - b) <= 1e-10 * max(np.linalg.norm(a), np.linalg.norm(b)))


def step(layer: Any, x: np.ndarray, state: list[np.ndarray]) -> list[np.ndarray]:
    W, b = layer.params["W"], layer.params["b"]
    if isinstance(layer, ml.LSTM):
        return list(ml.lstm_step(x, *state, W, b)[:2])
    if isinstance(layer, ml.GRU):
        return [ml.gru_step(x, *state, W, b)[0]]
    return [ml.rnn_step(x, *state, W, b, nonlinearity=layer.nonlinearity)[0]]


def nudged_losses(layer: Any, x: np.ndarray, weights: np.ndarray, last: list[np.ndarray], real: np.ndarray, at: int, part: int,
                  unit: int) -> np.ndarray:
    """Each sequence's loss Σ_t weights_t · h_t + last · state_T, with one unit of h (part 0) or c (1) nudged by i·TINY.

    A nudge of c_t reaches h_t too, since h_t is computed from c_t; one of h_t does not reach c_t.
    """
    state = [np.zeros((N, H), complex) for _ in last]
    nudge = np.zeros((N, H), complex)
    nudge[:, unit] = 1j * TINY
    loss = np.zeros(N, complex)
    if at == 0:
        state[part] = state[part] + nudge
    for t in range(1, T + 1):
        new = step(layer, x[:, t - 1], state)
        is_real = real[t - 1][:, None]
        if t == at and part == 1:
            o = new[0] / np.tanh(new[1])
            moved = new[1] + nudge
            new = [np.where(is_real, o * np.tanh(moved), new[0]), moved]
            state = [np.where(is_real, n, s) for n, s in zip(new, [state[0], state[1] + nudge])]
        else:
            state = [np.where(is_real, n, s) for n, s in zip(new, state)]
            if t == at:
                state[0] = state[0] + nudge
        loss += (np.where(is_real, weights[:, t - 1] * state[0], 0)).sum(axis=1)
    return loss + sum((w * s).sum(axis=1) for w, s in zip(last, state))


@pytest.mark.parametrize("padding", ("post", "pre"))
@pytest.mark.parametrize("lengths", (None, [6, 2, 4]))
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_a_nudged_state(cell: str, lengths: Any, padding: str, rng: np.random.Generator) -> None:
    layer, x, dh = make(cell, rng), rng.standard_normal((N, T, D)), rng.standard_normal((N, T, H))
    last = [rng.standard_normal((N, H)) for _ in layer.state_names]
    more = {"dc_last": last[1]} if cell == "LSTM" else {}
    flow = gradient_flow(layer, x, dh, last[0], lengths=lengths, padding=padding, **more)
    steps = np.arange(T)[:, None]
    n = np.array(lengths or [T] * N)
    real = steps < n if padding == "post" else steps >= T - n
    assert (flow.real == real).all() and flow.h_norms.shape == (T + 1, N)
    for part, found in enumerate((flow.dh, flow.dc)[:len(last)]):
        assert found is not None
        expected = np.zeros_like(found)
        for t in range(T + 1):
            for unit in range(H):
                expected[t, :, unit] = nudged_losses(layer, x, dh, last, real, t, part, unit).imag / TINY
        assert close(found, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_parameter_gradients_are_those_of_the_layer(cell: str, rng: np.random.Generator) -> None:
    layer, x, dh = make(cell, rng), rng.standard_normal((N, T, D)), rng.standard_normal((N, T, H))
    state = tuple(rng.standard_normal((N, H)) for _ in layer.state_names)
    last = tuple(rng.standard_normal((N, H)) for _ in layer.state_names)
    given, dlast = (state, last) if cell == "LSTM" else (state[0], last[0])
    layer(x, given, lengths=[6, 2, 4], padding="pre", return_state=True)
    dx, dstate = layer.backward(dh, dlast)
    own = {name: gradient.copy() for name, gradient in layer.grads.items()}
    more = {"dc_last": last[1]} if cell == "LSTM" else {}
    flow = gradient_flow(layer, x, dh, last[0], state0=given, lengths=[6, 2, 4], padding="pre", **more)
    assert close(flow.dx, dx) and all(close(flow.grads[name], own[name]) for name in ("W", "b"))
    initial = dstate if cell == "LSTM" else (dstate,)
    assert close(flow.dh[0], initial[0]) and (flow.dc is None or close(flow.dc[0], initial[1]))
    assert all((layer.grads[name] == own[name]).all() for name in own)      # looked at, not added to


def test_relu(rng: np.random.Generator) -> None:
    layer, x, dh = make("RNN", rng, nonlinearity="relu"), rng.standard_normal((N, T, D)), rng.standard_normal((N, T, H))
    layer(x)
    assert close(gradient_flow(layer, x, dh).dx, layer.backward(dh))


@pytest.mark.parametrize("sequences", (False, True))
@pytest.mark.parametrize("cell", CELLS)
def test_a_whole_model(cell: str, sequences: bool, rng: np.random.Generator) -> None:
    head: list[Any] = [ml.Linear(H, 1, dtype=np.float64, rng=rng), ml.Sigmoid()]
    model = ml.Sequential(ml.Embedding(9, D, init="uniform", dtype=np.float64, rng=rng),
                          make(cell, rng, return_sequences=sequences), ml.Dropout(0.0), *head)
    tokens = rng.integers(0, 9, (N, T))
    targets = rng.integers(0, 2, (N, T, 1) if sequences else N).astype(np.float64)
    criterion = ml.BCELoss()
    criterion(model(tokens), targets)
    model.backward(criterion.backward())
    own = {name: gradient.copy() for name, gradient in model[1].grads.items()}
    model[2].p = 0.5            # dropout plays no part in the measurement
    before = model.rng_state()
    flow = model_gradient_flow(model.to(dtype=np.float64).eval(), criterion, tokens, targets)
    assert all(close(flow.grads[name], own[name]) for name in own)
    assert model.rng_state() == before and not model[1].training and model[1].fast and model[2].p == 0.5


def test_lengths_reach_the_layer(rng: np.random.Generator) -> None:
    model = ml.Sequential(make("LSTM", rng, return_sequences=False), ml.Linear(H, 1, dtype=np.float64, rng=rng))
    x, y = rng.standard_normal((N, T, D)), rng.standard_normal((N, 1))
    criterion = ml.MSELoss()
    criterion(model(x, lengths=[1, 2, 6], padding="pre"), y)
    dx = model.backward(criterion.backward())
    flow = model_gradient_flow(model, criterion, x, y, lengths=[1, 2, 6], padding="pre")
    assert close(flow.dx, dx)
    assert (flow.c_norms[:5, 0] == flow.c_norms[0, 0]).all()      # carried through the padding


def test_norms_far_from_one() -> None:
    assert norms(np.array([[3e-200, 4e-200], [3e200, 4e200], [0, 0]])) == pytest.approx([5e-200, 5e200, 0], rel=1e-14)


def test_mistakes_are_refused(rng: np.random.Generator) -> None:
    x, layer = rng.standard_normal((N, T, D)), make("GRU", rng)
    for wrong in (ml.LSTM(D, H, 2), ml.LSTM(D, H, bidirectional=True)):
        with pytest.raises(ml.ArgumentError, match="one layer and one direction"):
            gradient_flow(wrong, x)
    with pytest.raises(ml.ArgumentError, match="expected an RNN, a GRU or an LSTM, got Linear"):
        gradient_flow(ml.Linear(D, H), x)       # type: ignore[arg-type]
    with pytest.raises(ml.ArgumentError, match="dc_last: GRU has no cell state"):
        gradient_flow(layer, x, dc_last=np.zeros((N, H)))
    for name, shape in (("dh", (N, T, H + 1)), ("dh_last", (N, T, H)), ("state0", (N, T))):
        with pytest.raises(ml.ShapeError, match=name):
            gradient_flow(layer, x, **{name: np.zeros(shape)})
    with pytest.raises(ml.ShapeError, match="tuple"):
        gradient_flow(make("LSTM", rng), x, state0=np.zeros((2, N, H)))
    with pytest.raises(ml.DtypeError, match="real"):
        gradient_flow(layer, x + 0j)
    with pytest.raises(ml.ArgumentError, match="exactly one recurrent layer"):
        model_gradient_flow(ml.Sequential(layer, make("GRU", rng)), ml.MSELoss(), x, x)
    with pytest.raises(ml.ArgumentError, match="exactly one recurrent layer, got GRU"):
        model_gradient_flow(layer, ml.MSELoss(), x, x)
