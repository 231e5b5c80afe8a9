"""The fast Adam update of one parameter: one kernel on a device. On the host, NumPy is as fast as compiled code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels.cuda.adam import adam_on_device
from minilstm.kernels.cuda.launch import takes
from minilstm.kernels.cuda.trial import trusted


def adam_twin(*arrays: Array) -> Callable[..., None] | None:
    """Return the update function for a parameter p, its gradient g and its moments m and v, or None if there is none.

    ``twin(p, g, m, v, betas=(β₁, β₂), rate=, eps=, decay=)`` updates p, m and v in place, like
    ``minilstm.optim.adam``. ``rate`` and ``eps`` include the bias corrections:

        g ← g + decay·p;  m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  p ← p − rate·m / (√v + eps)
    """
    if get_array_module(*arrays) is np or not takes(*arrays) or not trusted("adam", arrays[0].dtype):
        return None
    return adam_on_device
