"""Derivatives by evaluating a function, nothing else: what hand-derived gradients are checked against.

Two methods, both one number at a time and in float64:

- central differences, (y(p + ε) - y(p - ε)) / 2ε, as taught in courses. Rounding leaves about ten digits.
  Where the two one-sided slopes disagree there is a kink (relu) between the points, and ε is made smaller;
  where they still disagree p lies on the kink, and every slope between the two is a subgradient.
- complex step, Im y(p + i·10⁻³⁰) / 10⁻³⁰ (Squire & Trapp 1998). Nothing is subtracted, so all digits are
  good; but the function must be written so that it keeps complex numbers: no abs, no maximum, no cast to
  float.

The outputs' weights u turn a function with many outputs into the number Σ u·y whose gradient is sought.
Outputs are subtracted before they are weighted, which keeps the rounding error of large sums out of the
difference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from minilstm.backend.arrays import Array, get_array_module, to_numpy
from minilstm.backend.errors import MinilstmError
from minilstm.gradients.targets.target import Tensors

Run = Callable[[Tensors], list[Array]]      # the function: named tensors in, a list of output arrays out

EPS = 1e-5              # step of central differences: balances ε² truncation against rounding/ε
COMPLEX_STEP = 1e-30    # so small that its square is lost: the derivative's error is rounding alone


class NotComplexError(Exception):
    """The function does not keep complex numbers, so complex step cannot be used on it."""


class OutOfRangeError(Exception):
    """The function cannot be evaluated beside the point where its derivative is sought."""


def _weigh(upstream: list[Array | None], outputs: list[Array]) -> complex:
    return complex(sum(_terms(upstream, outputs)))


def _terms(upstream: list[Array | None], outputs: list[Array]) -> np.ndarray:
    """Return the terms of Σ u·y, one for each entry of the outputs."""
    terms = [to_numpy(u * y).ravel() for u, y in zip(upstream, outputs) if u is not None]
    return np.concatenate(terms) if terms else np.zeros(1)


def finite_difference(run: Run, tensors: Tensors, name: str, upstream: list[Array | None],
                      eps: float = EPS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return d(Σ u·y)/d(tensors[name]) by central differences: (low, high, noise), each shaped like the
    tensor (float64).

    low and high are equal except on a kink, where they bound the slopes between the two one-sided ones; each
    entry of the outputs may take another. noise bounds what rounding the outputs, which may be large numbers,
    can have changed. Raises OutOfRangeError where the function refuses a point beside this one.
    """
    probe = tensors[name].copy()
    moved = {**tensors, name: probe}
    here = [y.copy() for y in run(tensors)]
    rounding = 4 * float(np.finfo(np.float64).eps) * abs(_terms(upstream, here))
    low, high, noise = (np.zeros(probe.shape) for _ in range(3))
    for index in np.ndindex(probe.shape):
        value = float(probe[index])
        for step in (eps, eps / 10, eps / 100):
            try:
                probe[index] = value + step
                right, up = float(probe[index]) - value, [y.copy() for y in run(moved)]
                probe[index] = value - step
                left, down = value - float(probe[index]), run(moved)
            except MinilstmError as error:
                entry = f"{name}[{', '.join(map(str, index))}]"
                words = f"the forward cannot be evaluated beside {entry} = {value:g}: {error}"
                raise OutOfRangeError(words) from None
            above = _terms(upstream, [a - b for a, b in zip(up, here)]).real / right
            below = _terms(upstream, [a - b for a, b in zip(here, down)]).real / left
            rounded = rounding / min(left, right)
            steeper = np.maximum(np.maximum(abs(above), abs(below)), 1e-3)
            smooth = abs(above - below) <= 1e-2 * steeper + 2 * rounded
            if smooth.all():
                break
        central = _terms(upstream, [a - b for a, b in zip(up, down)]).real / (right + left)
        low[index] = np.where(smooth, central, np.minimum(below, above)).sum()
        high[index] = np.where(smooth, central, np.maximum(below, above)).sum()
        noise[index] = rounded.sum()
        probe[index] = value
    return low, high, noise


def complex_step(run: Run, tensors: Tensors, name: str, upstream: list[Array | None]) -> Array:
    """Return d(Σ u·y)/d(tensors[name]) by complex step, shaped like the tensor (float64).

    Raises NotComplexError where the function's outputs show that it does not keep complex numbers.
    """
    probe = tensors[name].astype(np.complex128)
    moved = {**tensors, name: probe}
    gradient = get_array_module(probe).zeros(probe.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        for index in np.ndindex(probe.shape):
            # on a device an entry is a view, and would change with the probe
            value = complex(probe[index])
            probe[index] = value + 1j * COMPLEX_STEP
            try:
                outputs = run(moved)
            except Exception as error:          # the real forward ran, so complex numbers are the cause
                raise NotComplexError(f"{type(error).__name__}: {error}") from error
            if not any(y.dtype.kind == "c" for y in outputs):
                raise NotComplexError("a complex input gave real outputs")
            gradient[index] = _weigh(upstream, outputs).imag / COMPLEX_STEP
            probe[index] = value
    return gradient
