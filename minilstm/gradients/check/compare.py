"""Each gradient compared with numerical derivatives, entry by entry."""

from __future__ import annotations

import copy
import math
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, to_numpy
from minilstm.backend.errors import ArgumentError, MinilstmError
from minilstm.gradients.check.numerical import (EPS, NotComplexError, OutOfRangeError, complex_step,
                                                finite_difference)
from minilstm.gradients.targets.target import Target

OFF_KINK = 0.01     # how far each number is moved where the gradients are checked beside a kink, too


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
                limits: dict[str, float]) -> list[Comparison]:
    """Compare each gradient with its numerical derivatives; note what could not be done.

    Where entries are on kinks, the gradients must be right at a point beside them, too. Then an entry where
    several meet may be whatever it is near by.
    """
    found, numerics = _compare_each(target, analytic, weights, method, limits)
    kinks = sum(int(numeric.on_kink.sum()) for numeric in numerics.values())
    if not kinks:
        return found
    target.add_note(f"{kinks} entries lie on a kink, where any slope between the two one-sided ones is "
                    "correct")
    beside = copy.copy(target)
    try:
        beside.tensors, moved = _gradients_near(target, weights, OFF_KINK)
        compared, _ = _compare_each(beside, moved, weights, method, limits)
        seeds = range(64 if any(not c.error <= limits[c.method] for c in found) else 0)
        near = [_gradients_near(target, weights, 1e-6, seed)[1] for seed in seeds]
    except MinilstmError:       # it takes no other point
        return found
    wrong = {c[:2]: c._replace(where=f"{c.where}, {OFF_KINK} beside a kink") for c in compared
             if not c.error <= limits[c.method]}
    for k, c in enumerate(found):
        if c.error <= limits[c.method]:
            found[k] = wrong.get(c[:2], c)
        elif not wrong and c.name in numerics:
            a, slopes = to_numpy(analytic[c.name]), [to_numpy(gradients[c.name]) for gradients in near]
            value = np.clip(a, np.min(slopes, axis=0), np.max(slopes, axis=0))
            met = numerics[c.name].on_kink & _near(a, value)
            value = np.where(met, a, numerics[c.name].value)
            found[k] = _compare(target, c.name, c.method, a, value)
    return found


def _gradients_near(target: Target, weights: list[Array | None], by: float, seed: int = 0) -> Any:
    """Return the tensors, moved by random numbers of this size, and the gradients there."""
    rng = np.random.default_rng(seed)
    moved = {name: a.copy() for name, a in target.tensors.items()}
    for a in moved.values():
        a += by * asarray(rng.standard_normal(a.shape), backend_name(a))
    return moved, target.gradients({name: a.copy() for name, a in moved.items()}, weights)


def _near(a: np.ndarray, numeric: np.ndarray) -> np.ndarray:
    return abs(a - numeric) <= 1e-6 * np.maximum(1.0, abs(numeric))


def _compare_each(target: Target, analytic: dict[str, Array], weights: list[Array | None], method: str,
                  limits: dict[str, float]) -> tuple[list[Comparison], dict[str, Numeric]]:
    """As ``compare_all`` at one point; also return the finite differences."""
    finite, exact, keeps_complex = [], [], method != "finite"
    numerics: dict[str, Numeric] = {}
    for name, gradient in analytic.items():
        a = to_numpy(gradient)
        if method != "complex":
            comparison, numerics[name] = _finite(target, name, a, weights, limits["finite"])
            finite.append(comparison)
        if keeps_complex:
            derivative = _exact(target, name, weights, method)
            if derivative is None:
                keeps_complex = False
                continue
            keeps_complex = method == "complex" or numerics[name].agrees(derivative)
            comparison = _compare(target, name, "complex", a, derivative)
            if not comparison.error <= limits["complex"]:       # on a kink it gives one slope of many
                if name not in numerics:
                    with suppress(ArgumentError):               # at an edge there are none
                        numerics[name] = _finite(target, name, a, weights, limits["finite"])[1]
                if name in numerics:
                    value, on_kink, _ = numerics[name]
                    value = np.where(on_kink, np.where(_near(a, value), a, value), derivative)
                    comparison = _compare(target, name, "complex", a, value)
            exact.append(comparison)
    if method == "both" and not keeps_complex:
        target.add_note("finite differences alone: the forward does not keep complex numbers")
    found = [*finite, *exact] if keeps_complex else finite
    return sorted(found, key=lambda comparison: list(analytic).index(comparison.name)), numerics


class Numeric(NamedTuple):
    """Derivatives by finite differences, where the function bends, and how far rounding may go."""

    value: np.ndarray
    on_kink: np.ndarray
    noise: np.ndarray

    def agrees(self, exact: np.ndarray) -> bool:
        """Return whether complex step gives the same: not where the forward has abs or .real in it."""
        gap = abs(exact - self.value)
        return bool((self.on_kink | (gap <= 1e-4 * abs(self.value) + 1e-6 + 2 * self.noise)).all())


def _finite(target: Target, name: str, a: np.ndarray, weights: list[Array | None],
            tolerance: float) -> tuple[Comparison, Numeric]:
    """Compare with finite differences; where the forward bends within a step, by a smaller one."""
    numeric = a
    for eps in EPS / 10.0 ** np.arange(4):
        try:
            found = finite_difference(target.run, target.tensors, name, weights, eps)
        except OutOfRangeError as error:
            raise target.refusal(f"{error}; choose inputs away from the edge") from None
        low, high, noise = map(to_numpy, found)
        low, high = target.zero_fixed_entries(name, low), target.zero_fixed_entries(name, high)
        better = np.clip(a, low, high)      # low = high except on a kink
        numeric = np.where((abs(a - better) > abs(a - numeric)) & (eps < EPS), numeric, better)
        comparison = _compare(target, name, "finite", a, numeric)
        if not comparison.error <= tolerance:       # unless rounding of large outputs alone explains it
            comparison = _compare(target, name, "finite", a, np.where(abs(a - numeric) <= noise, a, numeric))
        if comparison.error <= tolerance:
            break
    return comparison, Numeric(numeric, low < high, noise)


def _exact(target: Target, name: str, weights: list[Array | None], method: str) -> np.ndarray | None:
    """Return the derivatives by complex step; None where the forward does not keep complex numbers."""
    try:
        derivative = complex_step(target.run, target.tensors, name, weights)
        return target.zero_fixed_entries(name, to_numpy(derivative))
    except NotComplexError as error:
        if method == "complex":
            raise target.failure(f"complex step needs a forward that keeps complex numbers ({error}); use "
                                 "method='finite'") from error
        return None


def _compare(target: Target, name: str, method: str, a: np.ndarray, n: np.ndarray) -> Comparison:
    a = a.astype(np.float64)
    errors, error = np.abs(a - n), _norm_error(a, n)
    if method == "complex":
        size = np.maximum(np.abs(a), np.abs(n))
        # Rounding grows with what the gradient is a product of.
        large = max(1.0, float(size.max()), *(float(abs(to_numpy(v)).max()) for v in target.tensors.values()))
        errors = errors / np.maximum(size, 1e-3 * large)
        error = float(errors.max())
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(errors)), errors.shape))
    by_gate = {gate: _norm_error(a[..., columns], n[..., columns])
               for gate, columns in target.gate_blocks(name).items()}
    time = target.time_axis(name)
    steps = range(0 if time is None else a.shape[time])
    by_step = [_norm_error(a.take(t, time), n.take(t, time)) for t in steps]
    where = target.describe(name, index)
    return Comparison(name, method, error, index, float(a[index]), float(n[index]), where, by_gate, by_step)


def _norm_error(a: np.ndarray, n: np.ndarray) -> float:
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(n)), 1e-3 * math.sqrt(a.size))
    return float(np.linalg.norm(a - n)) / scale
