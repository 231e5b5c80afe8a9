"""The fast twin of Adam's update of one parameter: one pass over memory, compiled on the host, a kernel on a device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, get_array_module
from minilstm.kernels import compiled
from minilstm.kernels.cuda.adam import adam_on_device
from minilstm.kernels.cuda.launch import takes


def adam_twin(*arrays: Array) -> Callable[..., None] | None:
    """Return the function that takes these arrays, a parameter p, its gradient g and its moments m and v; None: there is none.

    ``twin(p, g, m, v, betas=(β₁, β₂), rate=, eps=, decay=)`` updates p, m and v in place, as ``minilstm.optim.adam`` does,
    which has the corrections for the first steps in ``rate`` and ``eps``:

        g ← g + decay·p;  m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  p ← p − rate·m / (√v + eps)
    """
    if get_array_module(*arrays) is not np:
        return adam_on_device if takes(*arrays) else None
    functions = compiled.functions(*arrays)
    return None if functions is None else partial(_adam_compiled, functions)


def _adam_compiled(functions: Any, p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, *, betas: tuple[float, float],
                   rate: float, eps: float, decay: float) -> None:
    in_rows: list[Any] = [np.ascontiguousarray(x) for x in (p, m, v)]
    functions.adam.adam(*in_rows, np.ascontiguousarray(g), *betas, rate, eps, decay)
    for x, result in zip((p, m, v), in_rows):
        if result is not x:         # of another memory order
            x[...] = result
