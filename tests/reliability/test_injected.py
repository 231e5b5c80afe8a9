"""NaN or infinity injected in 40 places stops the run in that step, with no weight changed; mended, it goes on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_cases import LENGTHS, V, X, Y

import minilstm as ml

pytestmark = pytest.mark.reliability
LAYERS = ("embedding", "lstm", "dropout", "linear", "sigmoid")


class Injected(ml.Module):
    """A layer whose output or gradient has one bad number, at one call. (σ(∞) = 1 is a number: not before the Sigmoid.)"""

    def __init__(self, inner: ml.Module, where: str, value: float, at: int) -> None:
        super().__init__()
        self.inner, self.where, self.value, self.at, self.calls = inner, where, value, at, 0

    def forward(self, x: Any, lengths: Any = None) -> Any:
        y = self.inner(x, lengths=lengths) if isinstance(self.inner, ml.LSTM) else self.inner(x)
        self.calls += self.training
        return self.spoil(y, "output")

    def backward(self, dy: Any) -> Any:
        dx = self.inner.backward(self.spoil(dy, "gradient"))
        if self.where == "parameter gradient" and self.calls == self.at and self.inner.grads:
            next(iter(self.inner.grads.values())).flat[-1] = self.value
        return dx

    def spoil(self, values: Any, what: str) -> Any:
        if self.where == what and self.calls == self.at:
            values = values.copy()
            values.flat[values.size // 2] = self.value
        return values


def model(place: str, where: str, value: float, at: int) -> ml.Sequential:
    layers = dict(zip(LAYERS, (ml.Embedding(V, 4, rng=0), ml.LSTM(4, 3, return_sequences=False, rng=1), ml.Dropout(0.0),
                               ml.Linear(3, 1, rng=2), ml.Sigmoid())))
    layers[place] = Injected(layers[place], where, value, at)
    return ml.Sequential(*layers.values())


PLACES = [*((layer, "output") for layer in LAYERS[:4]), *((layer, "gradient") for layer in LAYERS),
          *((layer, "parameter gradient") for layer in ("embedding", "lstm", "linear"))]


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize(("place", "where", "value"), [
    (*place, value) for place in PLACES for value in (np.nan, np.inf) if (*place, value) != ("linear", "output", np.inf)])
def test_the_step_is_stopped(place: str, where: str, value: float, at: int) -> None:
    bad, good = (model(place, where, value, when) for when in (at, 0))
    loader = ml.DataLoader(X, Y, LENGTHS, batch_size=8)
    trainers = [ml.Trainer(m, ml.BCELoss(), ml.Adam(m, lr=0.05), verbose=False, progress=False) for m in (bad, good)]
    with pytest.raises(ml.NonFiniteError, match=f"epoch 1, step {at}: .*no weight was changed"):
        trainers[0].fit(loader, epochs=1)
    for batch in list(loader.batches(0))[:at - 1]:
        trainers[1].train_step(batch[0], batch[1], {"lengths": batch[2]})
    assert [p.tobytes() for p in bad.parameters()] == [p.tobytes() for p in good.parameters()]
    assert trainers[0].optimizer.steps == at - 1 and trainers[0].step == at - 1
    trainers[0].fit(loader, epochs=1)           # the bad number came once
    trainers[1].fit(loader, epochs=1)
    assert [p.tobytes() for p in bad.parameters()] == [p.tobytes() for p in good.parameters()]
