"""Binary cross-entropy at the extremes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, host, put, xp
from loss_cases import ALL, torch_loss

import minilstm as ml
from minilstm.losses.binary_cross_entropy import bce_with_logits_forward


@pytest.mark.parametrize("kind, options", ALL[:3])
def test_extremes_are_finite_and_pytorchs(kind: Any, options: dict) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    values = [0.0, 1.0, 1e-30, 1 - 1e-16, 1e-13] if kind is ml.BCELoss else [-1000.0, 1000.0, -40.0, 40.0, 0.0]
    for dtype in (np.float64, np.float32):
        prediction = np.repeat(np.array(values, dtype), 2)
        target = np.tile(np.array([0, 1], dtype), len(values))
        for entry in range(len(prediction)):
            p, y = prediction[entry:entry + 1], target[entry:entry + 1]
            criterion = kind(**options)
            loss, gradient = host(criterion(put(p), put(y))), host(criterion.backward())
            theirs = torch.tensor(p, requires_grad=True)
            expected = torch_loss(kind, options, "mean")(theirs, torch.tensor(y))
            expected.backward()
            assert np.isfinite(loss) and np.isfinite(gradient).all()
            tolerance = 1e-12 if dtype is np.float64 else 1e-5
            assert_allclose(loss, expected.item(), rtol=tolerance, atol=1e-16)
            # PyTorch rounds its floor of 1e-12 to float32, also in float64: 4e-9
            assert_allclose(gradient, theirs.grad.numpy(), rtol=max(tolerance, 1e-8), atol=1e-14)


def test_bce_logits_keep_the_smallest_losses() -> None:
    loss = bce_with_logits_forward(xp.array([-80.0]), xp.array([0]), pos_weight=2.0)[0]
    assert_allclose(loss, np.exp(-80.0), rtol=1e-12)
