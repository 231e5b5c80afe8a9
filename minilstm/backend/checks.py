"""Argument checks: shapes and dtypes are verified before anything is computed.

A wrong shape that happens to broadcast is the worst kind of bug, because the model still trains. Each public function
therefore states what it expects, and these helpers compare. They look at metadata only and never wait for a device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError


def is_array(x: object) -> bool:
    return isinstance(x, np.ndarray) or (hasattr(x, "dtype") and hasattr(x, "shape") and hasattr(x, "__array_ufunc__"))


def check_floating(name: str, x: Any) -> None:
    """Raise DtypeError unless ``x`` is an array of real or complex floating point numbers."""
    if not is_array(x):
        raise DtypeError(f"{name}: expected an array, got {type(x).__name__}")
    if x.dtype.kind not in "fc":
        raise DtypeError(f"{name}: expected floating point numbers, got dtype {x.dtype}; convert with "
                         f"{name}.astype(np.float32)")


def check_dtype(dtype: Any) -> np.dtype:
    """Return ``dtype`` as a NumPy dtype. Raises DtypeError unless it is float32, float64, complex64 or complex128."""
    try:
        known = np.dtype(dtype)
    except TypeError:
        raise DtypeError(f"dtype: expected float32 or float64, got {dtype!r}") from None
    if known.kind not in "fc" or known.itemsize not in {"f": (4, 8), "c": (8, 16)}[known.kind]:
        raise DtypeError(f"dtype: expected a floating point dtype, float32 or float64, got {known}")
    return known


def check_not_empty(name: str, x: Any) -> None:
    """Raise DtypeError unless ``x`` is a floating point array, and ShapeError if it has no element."""
    check_floating(name, x)
    if x.size == 0:
        raise ShapeError(f"{name}: is empty, got shape {tuple(x.shape)}")


def check_real(name: str, x: Any) -> None:
    """Raise DtypeError unless ``x`` is an array of real floating point numbers: only forward functions accept complex ones."""
    check_floating(name, x)
    if x.dtype.kind != "f":
        raise DtypeError(f"{name}: expected real floating point numbers, got dtype {x.dtype}; only forward functions accept "
                         "complex numbers (for complex-step checks)")


def check_integer(name: str, x: Any) -> None:
    """Raise DtypeError unless ``x`` is an array of integers."""
    if not is_array(x):
        raise DtypeError(f"{name}: expected an array, got {type(x).__name__}")
    if x.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected integers, got dtype {x.dtype}")


def check_shape(name: str, x: Any, expected: tuple[int | None, ...], axes: str) -> None:
    """Raise ShapeError unless ``x.shape`` equals ``expected``, where None stands for any size of at least 1.

    ``axes`` names the axes for the message, for example ``"N, T, D"``.
    """
    shape = tuple(x.shape)
    words = "(" + ", ".join(a if e is None else f"{a}={e}" for a, e in zip(axes.split(", "), expected)) + ")"
    if len(shape) != len(expected):
        raise ShapeError(f"{name}: expected {len(expected)} axes {words}, got {len(shape)} with shape {shape}")
    for axis, (got, want, letter) in enumerate(zip(shape, expected, axes.split(", "))):
        if want is None and got == 0:
            raise ShapeError(f"{name}: axis {axis} ({letter}) is empty, got shape {shape}; expected {words}")
        if want is not None and got != want:
            raise ShapeError(f"{name}: expected shape {words}, got {shape}: axis {axis} ({letter}) is {got}, not {want}")


def check_positive_int(name: str, value: Any) -> int:
    """Return ``value`` as an int; raise ArgumentError unless it is a whole number of at least 1."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(f"{name}: expected a whole number of at least 1, got {value!r}")
    return int(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ArgumentError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ArgumentError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")


def check_gradient(name: str, dy: Any, expected: tuple[int, ...], axes: str) -> None:
    """Raise DtypeError or ShapeError unless ``dy`` is an array of real numbers of exactly the expected shape."""
    check_real(name, dy)
    check_shape(name, dy, expected, axes)
