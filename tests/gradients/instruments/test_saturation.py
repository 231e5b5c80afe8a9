"""Gate values against the sequence functions, fractions against counting, and gates that are saturated on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.gradients.instruments.saturation import gate_statistics

N, T, D, H = 5, 7, 3, 4


def make(cell: str, rng: np.random.Generator, **options: Any) -> Any:
    layer = getattr(ml, cell)(D, H, init="uniform", dtype=np.float64, rng=rng, **options)
    layer.params["W"] *= 5      # some gates are saturated, others are not
    return layer


def test_values_are_those_of_the_sequence_functions(rng: np.random.Generator) -> None:
    x, lengths = rng.standard_normal((N, T, D)), [7, 3, 1, 5, 7]
    for cell, names in (("LSTM", ("f", "i", "o", "c_tilde")), ("GRU", ("r", "z", "n"))):
        layer = make(cell, rng)
        W, b = layer.params["W"], layer.params["b"]
        steps = (ml.lstm_forward(x, None, None, W, b, lengths=lengths)[2].steps if cell == "LSTM" else
                 ml.gru_forward(x, None, W, b, lengths=lengths)[1].steps)
        found = gate_statistics(layer, x, lengths=lengths)
        assert tuple(found.values) == names and found.real.sum() == sum(lengths)
        for name in names:
            expected = np.stack([getattr(step, name) for step in steps])[found.real]
            assert np.abs(found.values[name][found.real] - expected).max() < 1e-12
    layer = make("RNN", rng)
    found = gate_statistics(layer, x)
    assert found.real.all() and np.abs(found.values["h"] - layer(x).transpose(1, 0, 2)).max() < 1e-12


@pytest.mark.parametrize("cell, gate, low, high", [
    ("LSTM", "f", 0.1, 0.9), ("LSTM", "c_tilde", -0.9, 0.9), ("GRU", "n", -0.9, 0.9), ("GRU", "z", 0.1, 0.9),
    ("RNN", "h", -0.9, 0.9)])
def test_fractions_are_counted(cell: str, gate: str, low: float, high: float, rng: np.random.Generator) -> None:
    lengths = [7, 3, 1, 5, 7]
    found = gate_statistics(make(cell, rng), rng.standard_normal((N, T, D)), lengths=lengths, padding="pre")
    left, right = found.saturation(gate)
    rows = [(t, n) for n in range(N) for t in range(T - lengths[n], T)]
    for unit in range(H):
        values = [found.values[gate][t, n, unit] for t, n in rows]
        assert left[unit] == pytest.approx(sum(v < low for v in values) / len(rows))
        assert right[unit] == pytest.approx(sum(v > high for v in values) / len(rows))
    assert 0 < left.mean() + right.mean() < 1
    assert found.mean(gate) == pytest.approx(np.mean([found.values[gate][t, n] for t, n in rows]))
    for t in range(T):
        steps = [found.values[gate][t, n] for n in range(N) if t >= T - lengths[n]]
        assert found.over_time(gate)[t] == pytest.approx(np.mean(steps))


def test_biases_saturate(rng: np.random.Generator) -> None:
    layer = make("LSTM", rng)
    layer.gate("f")[1][:], layer.gate("i")[1][:] = 100, -100
    found = gate_statistics(layer, rng.standard_normal((N, T, D)))
    assert [side.tolist() for side in found.saturation("f")] == [[0] * H, [1] * H]
    assert [side.tolist() for side in found.saturation("i")] == [[1] * H, [0] * H]


def test_steps_without_a_word(rng: np.random.Generator) -> None:
    found = gate_statistics(make("GRU", rng), rng.standard_normal((2, T, D)), lengths=[3, 2])
    assert np.isnan(found.over_time("z")).tolist() == [False] * 3 + [True] * 4


def test_mistakes_are_refused(rng: np.random.Generator) -> None:
    x = rng.standard_normal((N, T, D))
    found = gate_statistics(make("LSTM", rng), x)
    for ask in (found.saturation, found.mean, found.over_time):
        with pytest.raises(ml.ArgumentError, match="gate: expected one of f, i, o, c_tilde, got 'z'"):
            ask("z")
    with pytest.raises(ml.ArgumentError, match="saturation is defined for tanh"):
        gate_statistics(make("RNN", rng, nonlinearity="relu"), x)
    with pytest.raises(ml.ArgumentError, match="one layer"):
        gate_statistics(ml.LSTM(D, H, 2), x)
