"""The mean squared error in float32."""

from __future__ import annotations

import numpy as np
from backends import xp

from minilstm.losses.squared_error import mse_forward


def test_float32_means_are_accurate() -> None:
    target = xp.zeros(1_000_000, np.float32)
    prediction = xp.full(target.shape, np.float32(0.1), np.float32)
    assert mse_forward(prediction, target)[0] == np.float32(0.1) * np.float32(0.1)
    assert mse_forward(prediction, target, reduction="sum")[0] == np.float32(1e6 * float(np.float32(0.1) * np.float32(0.1)))
