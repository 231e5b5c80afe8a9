"""SGD beside PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
from backends import put
from optimizer_cases import OPTIMIZERS, agrees_with_pytorch

import minilstm as ml


@pytest.mark.parametrize(("kind", "options"), [case for case in OPTIMIZERS if issubclass(case[0], ml.SGD)])
def test_twenty_steps_agree_with_pytorch(kind: Any, options: dict[str, Any]) -> None:
    agrees_with_pytorch(kind, options)


def test_momentum_can_be_switched_on_later() -> None:
    model = put(ml.Linear(2, 2, rng=0))
    optimizer = ml.SGD(model, 0.1)
    for momentum in (0.0, 0.9, 0.0, 0.5):
        model.grads["W"] += 1
        optimizer.momentum = momentum
        optimizer.step()
    assert optimizer.steps == 4
