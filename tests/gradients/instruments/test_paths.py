"""The split by ways: its sums against the cells' own backward functions, its parts against models with frozen gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.gradients.instruments.flow import gradient_flow, model_gradient_flow
from minilstm.gradients.instruments.paths import gradient_paths, model_gradient_paths

CELLS = ("RNN", "GRU", "LSTM")
N, T, D, H = 3, 8, 2, 4
TINY = 1e-30


def make(cell: str, rng: np.random.Generator, **options: Any) -> Any:
    return getattr(ml, cell)(D, H, init="uniform", dtype=np.float64, rng=rng, **options)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.linalg.norm(a - b) <= 1e-10 * max(np.linalg.norm(a), np.linalg.norm(b)))


def upstream(cell: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    given = {"dh": rng.standard_normal((N, T, H)), "dh_last": rng.standard_normal((N, H))}
    return given | ({"dc_last": rng.standard_normal((N, H))} if cell == "LSTM" else {})


@pytest.mark.parametrize("cell", CELLS)
def test_the_parts_add_up(cell: str, rng: np.random.Generator) -> None:
    layer, x, given = make(cell, rng), rng.standard_normal((N, T, D)), upstream(cell, rng)
    paths, flow = gradient_paths(layer, x, **given), gradient_flow(layer, x, **given)
    state = flow.dc if cell == "LSTM" else flow.dh
    assert set(paths.parts) == {"LSTM": {"cell", "f", "i", "o", "c_tilde", "above"}, "RNN": {"h", "above"},
                                "GRU": {"state", "r", "z", "n", "above"}}[cell]
    for t in range(T + 1):
        assert close(sum(part[t] for part in paths.parts.values()), state[t])
        assert close(sum(part[t] for part in paths.into_h.values()), flow.dh[t])
        assert close(paths.alone[t] + paths.gated[t], state[t])
    shares = sum(paths.share(part) for part in paths.parts.values())
    assert np.abs(shares - 1).max() < 1e-10
    assert np.abs(paths.share(paths.alone) + paths.share(paths.gated) - 1).max() < 1e-10


@pytest.mark.parametrize("cell", ("GRU", "LSTM"))
def test_alone_is_the_gradient_with_frozen_gates(cell: str, rng: np.random.Generator) -> None:
    """With the gates frozen at their values, only the path along the state is left: c_t = f_t c_{t-1} + constant."""
    layer, x, given = make(cell, rng), rng.standard_normal((N, T, D)), upstream(cell, rng)
    paths = gradient_paths(layer, x, **given)
    W, b = layer.params["W"], layer.params["b"]
    state, caches = [np.zeros((N, H)) for _ in layer.state_names], []
    for t in range(T):
        *state, cache = (ml.lstm_step if cell == "LSTM" else ml.gru_step)(x[:, t], *state, W, b)
        caches.append(cache)
    for at in range(T + 1):
        for unit in range(H):
            s = np.zeros((N, H), complex)
            loss = np.zeros(N, complex)
            for t in range(T + 1):
                if t > 0:
                    k = caches[t - 1]
                    s = k.f * s + k.i * k.c_tilde if cell == "LSTM" else k.z * s + (1 - k.z) * k.n
                if t == at:
                    s[:, unit] += 1j * TINY
                if t > 0:
                    h = k.o * np.tanh(s) if cell == "LSTM" else s
                    loss += ((given["dh"][:, t - 1] + (given["dh_last"] if t == T else 0)) * h).sum(axis=1)
            if cell == "LSTM":
                loss += (given["dc_last"] * s).sum(axis=1)
            assert close(paths.alone[at][:, unit], loss.imag / TINY)


@pytest.mark.parametrize("cell, gates", [("RNN", "h"), ("GRU", "rzn"), ("LSTM", "fioc")])
def test_a_gate_that_does_not_see_h_sends_nothing(cell: str, gates: str, rng: np.random.Generator) -> None:
    """If one gate's recurrent weights are 0, nothing flows through that gate; if all are 0, only ``alone`` is left."""
    x, given = rng.standard_normal((N, T, D)), upstream(cell, rng)
    for gate in gates:
        layer = make(cell, rng)
        layer.gate(gate)[0][:H] = 0
        paths = gradient_paths(layer, x, **given)
        for way in gates:
            name = "c_tilde" if way == "c" else way
            assert (paths.into_h[name][:T] == 0).all() == (way == gate), (gate, way)
    layer = make(cell, rng)
    layer.params["W"][:H] = 0
    paths = gradient_paths(layer, x, **given)
    assert (paths.gated == 0).all() and close(paths.alone, paths.total)


def test_along_the_cell_is_a_product_of_forget_gates(rng: np.random.Generator) -> None:
    layer, x, dh_last = make("LSTM", rng), rng.standard_normal((N, T, D)), rng.standard_normal((N, H))
    paths = gradient_paths(layer, x, dh_last=dh_last)
    _, _, cache = ml.lstm_forward(x, None, None, layer.params["W"], layer.params["b"])
    expected = paths.total[T].copy()
    assert (paths.alone[T] == expected).all() and (paths.gated[T] == 0).all()
    for t in range(T, 0, -1):
        expected = expected * cache.steps[t - 1].f
        assert close(paths.alone[t - 1], expected)
    assert (paths.parts["above"][:T] == 0).all()


def test_a_simple_rnn_has_no_way_but_through_its_weights(rng: np.random.Generator) -> None:
    for nonlinearity in ("tanh", "relu"):
        layer, x = make("RNN", rng, nonlinearity=nonlinearity), rng.standard_normal((N, T, D))
        paths = gradient_paths(layer, x, dh_last=np.ones((N, H)))
        assert (paths.alone[:T] == 0).all() and close(paths.gated[:T], paths.total[:T])


def test_a_whole_model(rng: np.random.Generator) -> None:
    model = ml.Sequential(ml.Embedding(9, D, rng=rng), ml.LSTM(D, H, return_sequences=False, rng=rng), ml.Dropout(0.5),
                          ml.Linear(H, 1, rng=rng), ml.Sigmoid())
    tokens, targets = rng.integers(0, 9, (N, T)), np.array([0.0, 1.0, 1.0])
    paths = model_gradient_paths(model, ml.BCELoss(), tokens, targets)
    flow = model_gradient_flow(model, ml.BCELoss(), tokens, targets)
    assert flow.dc is not None and close(paths.alone + paths.gated, flow.dc) and (paths.alone[0] != 0).all()


def test_shares_of_nothing_and_of_very_little(rng: np.random.Generator) -> None:
    layer, x = make("LSTM", rng), rng.standard_normal((N, T, D))
    nothing = gradient_paths(layer, x)
    assert np.isnan(nothing.share(nothing.alone)).all()
    little = gradient_paths(layer, x, dh_last=np.full((N, H), 1e-200))
    assert np.abs(little.share(little.alone) + little.share(little.gated) - 1).max() < 1e-10


def test_mistakes_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ml.ArgumentError, match="one layer"):
        gradient_paths(ml.LSTM(D, H, 2), rng.standard_normal((N, T, D)))
    with pytest.raises(ml.ShapeError, match="dh_last"):
        gradient_paths(make("LSTM", rng), rng.standard_normal((N, T, D)), dh_last=np.ones((N, T)))
