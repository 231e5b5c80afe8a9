"""evaluate and predict: they disturb nothing; which metric is used, and what it counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import backend, host, put
from training_cases import LENGTHS, N, X, everything, loaders, modes, poisoned, rows, trainer

import minilstm as ml
from minilstm.backend.errors import ArgumentError
from minilstm.training.trainer import Trainer


def test_evaluate_and_predict_leave_everything_as_it_was() -> None:
    t = trainer()
    dict(t.model.modules())["1"].eval()
    before, seen, states = everything(t), modes(t.model), t.model.rng_state()
    x, y = rows(0, 4)
    loss = t.criterion(t.model(x), y)
    after_forward = t.model.rng_state()
    assert after_forward != states
    first, second = t.evaluate(loaders()[1]), t.evaluate(loaders()[1])
    out = t.predict(X, batch_size=5, lengths=LENGTHS.tolist())
    assert first == second and out.shape == (N, 1) and modes(t.model) == seen and t.model.rng_state() == after_forward
    np.testing.assert_allclose(out, host(t.model.eval()(put(X), lengths=LENGTHS)), rtol=1e-5)
    assert t.criterion.backward().shape == (4, 1) and float(loss) > 0   # the loss before the evaluation is still the latest
    assert everything(t)["weights"] == before["weights"]
    with pytest.raises(ml.ShapeError):
        t.predict(X[:0])
    with pytest.raises(ArgumentError):
        t.predict(X, batch_size=0)


def test_a_metric_of_ones_own_may_be_anything() -> None:
    """A number, a host number, an array on the device: the sums are the same."""
    sums = []
    for metric in (lambda p, y: 0.25, lambda p, y: np.float64(0.25), lambda p, y: (y * 0 + 0.25).mean()):
        t, _ = poisoned(metric=metric)
        t.fit(loaders()[0], epochs=1)
        sums.append(t.history["train_acc"])
    assert sums == [[0.25]] * 3


def test_the_default_accuracy_is_that_of_the_loss() -> None:
    model = put(ml.Sequential(ml.Linear(1, 1, rng=0)))
    model.load_state_dict({"0.W": np.ones((1, 1), np.float32), "0.b": np.zeros(1, np.float32)})
    x, y = np.array([[-3.0], [-0.2], [0.2], [3.0]], np.float32), np.array([0, 0, 1, 1], np.float32)
    loader = ml.DataLoader(x, y, batch_size=4, backend=backend())

    def score(criterion: Any, **options: Any) -> float | None:
        return Trainer(model, criterion, ml.SGD(model, 0.1), verbose=False, progress=False, **options).evaluate(loader)[1]

    assert score(ml.BCEWithLogitsLoss()) == 1.0
    assert score(ml.BCEWithLogitsLoss(), metric=ml.accuracy) == 0.75
    assert score(ml.MSELoss()) is None
    assert trainer().metric is ml.accuracy


def test_ignored_targets_are_no_mistakes() -> None:
    model = put(ml.Sequential(ml.Linear(2, 3, rng=0)))
    x = put(np.array([[[1, 0], [0, 1], [0, 1]]], np.float32))
    y = model(x).argmax(-1)
    y[0, 2] = -100
    t = Trainer(model, ml.CrossEntropyLoss(ignore_index=-100), ml.SGD(model, 0.1), verbose=False, progress=False)
    assert t.evaluate([(x, y)])[1] == 1.0
