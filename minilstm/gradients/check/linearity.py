"""Mistakes of a backward that show without a reference.

A backward is linear in the gradients from above. So it gives zero for zero, unless something is added to the
gradient; and a thousandth for a thousandth, unless something is clipped. And it gives the same twice, unless
random numbers are drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, to_numpy
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.target import Target

RANDOM, ADDED, CLIPPED = SideEffect("random"), SideEffect("added"), SideEffect("clipped")
SMALL, LARGE = 1e-6, 1e4


def check_linearity(target: Target, upstream: Sequence[Array | None]) -> tuple[SideEffect, ...]:
    """Return what is wrong with a target's backward in this respect, given gradients from above."""
    # a backward may write into them
    copies = {name: value.copy() for name, value in target.tensors.items()}

    def gradients(factor: float) -> np.ndarray:
        found = target.gradients(copies, [None if u is None else factor * u for u in upstream])
        return np.concatenate([np.ravel(to_numpy(found[name])) for name in sorted(found)]).astype(np.float64)

    first = gradients(1.0)
    if not np.isfinite(first).all():
        return ()
    if not _same(first, gradients(1.0)):
        return (RANDOM,)
    if target.is_loss:
        return ()
    nothing = gradients(0.0)
    if np.abs(nothing).max() > 1e-12 * max(1.0, float(np.abs(first).max())):
        return (ADDED,)
    linear = all(_same(gradients(factor) / factor, first) for factor in (SMALL, LARGE))
    return () if linear else (CLIPPED,)


def _same(a: Any, b: Any) -> bool:
    return bool(np.linalg.norm(a - b) <= 1e-7 * max(float(np.linalg.norm(a)), float(np.linalg.norm(b))))
