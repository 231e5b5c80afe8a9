"""HoldGates: what a held gate is while a model is trained, and what still learns."""

from __future__ import annotations

import numpy as np
import pytest

import minilstm as ml
from minilstm.lab.held_gates import HoldGates

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((12, 5, 2)).astype(np.float32), rng.standard_normal((12, 6)).astype(np.float32)


def fit(gates: dict[str, int], layer: ml.Module) -> ml.Sequential:
    model = ml.Sequential(layer)
    trainer = ml.Trainer(model, ml.MSELoss(), ml.Adam(model, lr=0.1), callbacks=[HoldGates(gates), ml.AveragedWeights(0.5)],
                         verbose=False, progress=False)
    trainer.fit(ml.DataLoader(X, Y, batch_size=4), epochs=2)
    return model


def test_held_gates_do_not_move_and_the_others_learn() -> None:
    def layer() -> ml.LSTM:
        return ml.LSTM(2, 3, 2, bidirectional=True, return_sequences=False, rng=0)
    trained, before = fit({"f": 0, "o": 1}, layer())[0], layer()
    for depth in (0, 1):
        for reverse in (False, True):
            for name, bias in (("f", -20), ("o", 20)):
                w, b = trained.gate(name, depth, reverse)
                assert not w.any() and (b == bias).all()
            for name in ("i", "c"):
                w, b = trained.gate(name, depth, reverse)
                assert (w != before.gate(name, depth, reverse)[0]).any() and (b != 0).any()


def test_open_gates_make_an_accumulator() -> None:
    """With f = i = o = 1, the cell sums up its candidates."""
    lstm = fit({"f": 1, "i": 1, "o": 1}, ml.LSTM(2, 6, return_sequences=False, rng=0))[0]
    W, b = lstm.gate("c")
    h, c = np.zeros((12, 6)), np.zeros((12, 6))
    for t in range(5):
        c = c + np.tanh(np.concatenate([h, X[:, t]], axis=1) @ W + b)
        h = np.tanh(c)
    np.testing.assert_allclose(lstm.eval()(X), h, atol=1e-5)


def test_gates_that_are_not_there() -> None:
    for gates, layer, words in (({"z": 1}, ml.LSTM(2, 6, return_sequences=False), "LSTM has no gate 'z'"),
                                ({"n": 1}, ml.GRU(2, 6, return_sequences=False), "GRU has no gate 'n'"),
                                ({"f": 1}, ml.Linear(2, 6), "no recurrent layer")):
        with pytest.raises(ml.ArgumentError, match=words):
            fit(gates, layer)
