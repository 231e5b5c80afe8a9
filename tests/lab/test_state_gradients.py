"""‖∂L/∂s_t‖ against finite differences of the loss, with the state after step t moved by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.lab.state_gradients import distances, draw_state_gradients, state_gradients

CELLS = ("RNN", "GRU", "LSTM")
T, N, H = 7, 3, 4


def make(cell: str, rng: np.random.Generator, dtype: Any = np.float64) -> ml.Sequential:
    model = ml.Sequential(ml.Embedding(9, 3, init="uniform", dtype=dtype, rng=rng),
                          getattr(ml, cell)(3, H, return_sequences=False, dtype=dtype, rng=rng), ml.Dropout(0.5, rng=rng),
                          ml.Linear(H, 1, init="uniform", dtype=dtype, rng=rng), ml.Sigmoid())
    return model


def loss_of(model: ml.Sequential, state: list[np.ndarray], tokens: np.ndarray, target: np.ndarray) -> float:
    """One sequence's loss, from a state on, one readable step after the other."""
    W, b = model[1].params["W"], model[1].params["b"]
    for token in tokens:
        x = model[0].params["W"][[token]]
        if isinstance(model[1], ml.LSTM):
            state = list(ml.lstm_step(x, *state, W, b)[:2])
        else:
            state = [(ml.gru_step if isinstance(model[1], ml.GRU) else ml.rnn_step)(x, *state, W, b)[0]]
    p = ml.sigmoid(state[0] @ model[3].params["W"] + model[3].params["b"])
    return float(ml.BCELoss()(p, target))


@pytest.mark.parametrize("cell", CELLS)
def test_norms_are_those_of_finite_differences(cell: str, rng: np.random.Generator) -> None:
    model, tokens, targets = make(cell, rng), rng.integers(0, 9, (N, T)), rng.integers(0, 2, N).astype(np.float64)
    found = state_gradients(model, ml.BCELoss(), tokens, targets, range(1, T + 1))
    W, b, rows = model[1].params["W"], model[1].params["b"], model[0].params["W"]
    for t in range(1, T + 1):
        norms = []
        for n in range(N):
            state = [np.zeros((1, H)) for _ in range(2 if cell == "LSTM" else 1)]
            for token in tokens[n, :t]:
                x = rows[[token]]
                state = (list(ml.lstm_step(x, *state, W, b)[:2]) if cell == "LSTM" else
                         [(ml.gru_step if cell == "GRU" else ml.rnn_step)(x, *state, W, b)[0]])
            gradient = []
            for part in range(len(state)):
                for unit in range(H):
                    ends = []
                    for move in (1e-6, -1e-6):
                        moved = [values.copy() for values in state]
                        moved[part][0, unit] += move
                        ends.append(loss_of(model, moved, tokens[n, t:], targets[[n]]))
                    gradient.append((ends[0] - ends[1]) / 2e-6)
            norms.append(np.linalg.norm(gradient))
        assert found[t] == pytest.approx(np.mean(norms), rel=1e-6)


def test_the_model_is_left_as_it_was(rng: np.random.Generator) -> None:
    model = make("LSTM", rng, np.float32)
    model.eval()
    before = model.state_dict()
    tokens = rng.integers(0, 9, (N, T))
    state_gradients(model, ml.BCELoss(), tokens, np.ones(N), [1, T])
    assert not any(layer.training for layer in model) and model[1].fast
    for name, value in model.named_parameters().items():
        assert value.dtype == np.float32 and (value == before[name]).all()
    assert all((gradient == 0).all() for gradient in model.named_gradients().values())


def test_mistakes_are_refused(rng: np.random.Generator) -> None:
    model, tokens = make("LSTM", rng), rng.integers(0, 9, (N, T))
    for step in (0, T + 1):
        with pytest.raises(ml.ArgumentError, match="steps: expected numbers from 1 to 7"):
            state_gradients(model, ml.BCELoss(), tokens, np.ones(N), [step])
    with pytest.raises(ml.ArgumentError, match="model: expected"):
        state_gradients(model[1], ml.BCELoss(), tokens, np.ones(N), [1])
    with pytest.raises(ml.ShapeError, match="tokens"):
        state_gradients(model, ml.BCELoss(), tokens[0], np.ones(N), [1])


def test_distances_reach_from_the_first_step_to_the_last() -> None:
    assert distances(200)[0] == 1 and distances(200)[-1] == 200 and len(distances(200)) <= 12
    assert distances(1) == [1] and distances(2) == [1, 2]


def test_the_figure_has_a_line_for_each_curve() -> None:
    pytest.importorskip("matplotlib", reason="the examples extra is not installed")
    figure = draw_state_gradients({("rnn", "before training"): {1: 0.0, 5: 1e-9, 9: 1e-3},
                                   ("lstm", "after training"): {1: 1, 9: 2}})
    figure.canvas.draw()
    rnn, lstm = figure.axes[0].lines
    assert list(rnn.get_xdata()) == [4, 0] and rnn.get_ydata()[0] == pytest.approx(1e-6) and list(lstm.get_ydata()) == [0.5, 1]
