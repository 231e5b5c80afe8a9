"""Each gradient compared with numerical derivatives, entry by entry."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, to_numpy
from minilstm.backend.errors import ArgumentError, GradientError
from minilstm.gradients.check.numerical import EPS, NotComplexError, OutOfRangeError, complex_step, finite_difference
from minilstm.gradients.targets.target import Target


class Comparison(NamedTuple):
    """One tensor's verdict by one method.

    ``error`` is, for finite differences, ‖a - n‖ / max(‖a‖, ‖n‖, 10⁻³ √size), since single small entries
    drown in rounding; for complex step the largest |a - n| / max(|a|, |n|, 10⁻³ · max(1, the largest entry of
    the gradient or of any tensor)).
    """

    name: str
    method: str             # "finite" or "complex"
    error: float
    entry: tuple[int, ...]  # the index of the worst one
    analytic: float
    numeric: float
    where: str              # describes the worst entry
    by_gate: dict[str, float]
    by_step: list[float]    # for an input whose time axis is known, the error at each time step


def compare_all(target: Target, analytic: dict[str, Array], weights: list[Array | None], method: str,
                tolerance: float) -> list[Comparison]:
    """Compare each gradient with its numerical derivatives; note what could not be done."""
    comparisons, keeps_complex, kinks = [], method != "finite", 0
    for name in analytic:
        if method != "complex":
            a = numeric = to_numpy(analytic[name])
            for eps in EPS / 10.0 ** np.arange(4):  # where the forward bends within a step, a smaller one is needed
                low, high, noise = _differences(target, name, weights, eps)
                better = np.clip(a, low, high)      # low = high except on a kink
                numeric = np.where((abs(a - better) > abs(a - numeric)) & (eps < EPS), numeric, better)
                found = _compare(target, name, "finite", a, numeric)
                if not found.error <= tolerance:    # unless rounding of large outputs alone explains it
                    found = _compare(target, name, "finite", a, np.where(abs(a - numeric) <= noise, a, numeric))
                if found.error <= tolerance:
                    break
            kinks += int((low < high).sum())
            comparisons.append(found)
        if keeps_complex:
            try:
                exact = target.zero_fixed_entries(name, to_numpy(complex_step(target.run, target.tensors, name, weights)))
            except NotComplexError as error:
                if method == "complex":
                    raise GradientError(f"gradcheck {target.title}: complex step needs a forward that keeps complex "
                                        f"numbers ({error}); use method='finite'") from error
                keeps_complex = False
                continue
            if method == "both" and not (
                    (low < high) | (abs(exact - numeric) <= 1e-4 * abs(numeric) + 1e-6 + 2 * noise)).all():
                keeps_complex = False       # the two numerical methods differ: abs, maximum or .real somewhere in the forward
                continue
            comparisons.append(_compare(target, name, "complex", analytic[name], exact))
    if not keeps_complex:
        comparisons = [c for c in comparisons if c.method == "finite"]
        if method == "both":
            target.add_note("finite differences alone: the forward does not keep complex numbers")
    if kinks:
        target.add_note(f"{kinks} entries lie on a kink, where any slope between the two one-sided ones is correct")
    return comparisons


def _differences(target: Target, name: str, weights: list[Array | None],
                 eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (low, high, noise) as ``finite_difference`` does, on the host."""
    try:
        low, high, noise = map(to_numpy, finite_difference(target.run, target.tensors, name, weights, eps))
    except OutOfRangeError as error:
        raise ArgumentError(f"gradcheck {target.title}: {error}; choose inputs away from the edge") from None
    return target.zero_fixed_entries(name, low), target.zero_fixed_entries(name, high), noise


def _compare(target: Target, name: str, method: str, analytic: Array, numeric: Array) -> Comparison:
    a, n = to_numpy(analytic).astype(np.float64), to_numpy(numeric)
    gap, size = np.abs(a - n), np.maximum(np.abs(a), np.abs(n))
    if method == "complex":
        large = max(1.0, float(size.max()), *(float(abs(to_numpy(v)).max()) for v in target.tensors.values()))
        errors = gap / np.maximum(size, 1e-3 * large)       # rounding grows with what the gradient is a product of
        error = float(errors.max())
    else:
        errors = gap
        error = _norm_error(a, n)
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(errors)), errors.shape))
    by_gate = {}
    for gate, columns in target.gate_blocks(name).items():
        by_gate[gate] = _norm_error(a[..., columns], n[..., columns])
    time = target.time_axis(name)
    by_step = [] if time is None else [_norm_error(a.take(t, time), n.take(t, time)) for t in range(a.shape[time])]
    return Comparison(name, method, error, index, float(a[index]), float(n[index]), target.describe(name, index), by_gate,
                      by_step)


def _norm_error(a: np.ndarray, n: np.ndarray) -> float:
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(n)), 1e-3 * math.sqrt(a.size))
    return float(np.linalg.norm(a - n)) / scale
