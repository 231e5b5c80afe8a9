"""The fast twin of Adam's step: compiled, in one pass over memory (``compiled/optim.py``); for NumPy arrays of float32."""

from __future__ import annotations

import numpy as np

from minilstm.kernels.compiled import module


def adam_update(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, *, betas: tuple[float, float], rate: float,
                eps: float, decay: float) -> bool:
    """Update p, m and v in place, of any shape and memory order, given g in the same shape; return False if nothing was done.

    g ← g + decay·p;  m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  p ← p − rate·m / (√v + eps): what ``minilstm.optim.Adam``
    does, who has the corrections for the first steps in ``rate`` and ``eps``.
    """
    compiled = module("optim", p, g, m, v)
    if compiled is None:
        return False
    in_rows = [np.ascontiguousarray(x) for x in (p, m, v)]
    compiled.adam(*(x.reshape(-1) for x in (*in_rows, np.ascontiguousarray(g))), *betas, rate, eps, decay)
    for x, result in zip((p, m, v), in_rows):
        if result is not x:
            x[...] = result.reshape(x.shape)
    return True
