"""Mistakes of a backward that show without a reference.

A backward is linear in the gradients from above. So it gives zero for zero, unless something is added to the
gradient, such as a multiple of the weights; and a thousandth for a thousandth, unless something is clipped,
or multiplied with another gradient. And it gives the same twice, unless random numbers are drawn again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, to_numpy
from minilstm.gradients.targets.side_effects import SideEffect
from minilstm.gradients.targets.target import Target

RANDOM, ADDED, DECAY = SideEffect("random"), SideEffect("added"), SideEffect("decay")
CLIPPED, MULTIPLIED = SideEffect("clipped"), SideEffect("multiplied")
SMALL, LARGE = 1e-6, 1e4


def check_linearity(target: Target, upstream: Sequence[Array | None]) -> tuple[SideEffect, ...]:
    """Return what is wrong with a target's backward in this respect, given gradients from above."""
    # a backward may write into them
    copies = {name: value.copy() for name, value in target.tensors.items()}

    def gradients(factor: float) -> dict[str, np.ndarray]:
        found = target.gradients(copies, [None if u is None else factor * u for u in upstream])
        return {name: to_numpy(found[name]).astype(np.float64) for name in sorted(found)}

    def together(factor: float) -> np.ndarray:
        return np.concatenate([np.ravel(gradient) for gradient in gradients(factor).values()])

    first = together(1.0)
    if not np.isfinite(first).all():
        return ()
    if not _same(first, together(1.0)):
        return (RANDOM,)
    if target.is_loss:
        return ()
    limit = 1e-12 * max(1.0, float(np.abs(first).max()))
    added = {name: gradient for name, gradient in gradients(0.0).items() if np.abs(gradient).max() > limit}
    if added:
        decays = all(_is_multiple(gradient, to_numpy(target.tensors[name]))
                     for name, gradient in added.items())
        return (DECAY if decays else ADDED,)
    small, large = together(SMALL) / SMALL, together(LARGE) / LARGE
    if _same(small, first) and _same(large, first):
        return ()
    return (CLIPPED if np.linalg.norm(large) < np.linalg.norm(small) else MULTIPLIED,)


def _is_multiple(a: np.ndarray, b: np.ndarray) -> bool:
    return a.size > 1 and _same(a, (a * b).sum() / (b * b).sum() * b)


def _same(a: Any, b: Any) -> bool:
    return bool(np.linalg.norm(a - b) <= 1e-7 * max(float(np.linalg.norm(a)), float(np.linalg.norm(b))))
