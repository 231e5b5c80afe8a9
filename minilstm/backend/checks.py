"""Argument checks: shapes and dtypes are verified before anything is computed.

A wrong shape that happens to broadcast is the worst kind of bug, because the model still trains. Each public
function therefore states what it expects, and these helpers compare. They look at metadata only and never
wait for a device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, backend_name, refuse_other_arithmetic
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError, one_line

# float16 and long doubles, by their dtype characters.
_PROMOTED = {"e": np.float32, "g": np.float64, "G": np.complex128}


def is_array(x: object) -> bool:
    if isinstance(x, np.ndarray):
        return True
    return all(hasattr(x, name) for name in ("dtype", "shape", "__array_ufunc__"))


def as_array(name: str, x: Any) -> Array:
    """Return ``x`` as an array that the rest of the library can take; what counts as one is decided here.

    Taken are NumPy arrays of any strides, byte order and alignment, read-only or not; memory maps; lists and
    numbers; pandas Series; PyTorch tensors on the CPU; CuPy arrays. Nothing is copied unless the bytes have
    to be reordered. Raises DtypeError for masked arrays and np.matrix, whose arithmetic means something else,
    for ragged lists, and for what NumPy cannot read.
    """
    if type(x) is not np.ndarray:
        if backend_name(x) != "numpy":
            return x
        refuse_other_arithmetic(name, x)
        try:
            array = np.asarray(x)
        except Exception as error:      # whatever such an object raises: a tensor on a GPU, a ragged list
            hint = " (ragged lists: see pad_sequences)" if isinstance(x, (list, tuple)) else ""
            raise DtypeError(f"{name}: expected an array, got {type(x).__name__}{hint}: "
                             f"{one_line(error)}") from None
        if array.dtype.kind == "O":
            raise DtypeError(f"{name}: expected an array of numbers, got {type(x).__name__}, "
                             "with dtype object")
        x = array
    if not (x.dtype.isnative and x.flags.aligned):
        x = x.astype(x.dtype.newbyteorder("="), order="C")
    return x


def as_floating(name: str, x: Any) -> Array:
    """Return ``x`` as an array of float32, float64, complex64 or complex128.

    float16 becomes float32, a long double float64. Raises DtypeError for what is no array, see ``as_array``,
    or not of floating point numbers.
    """
    x = as_array(name, x)
    if x.dtype.kind not in "fc":
        raise DtypeError(f"{name}: expected floating point numbers, got dtype {x.dtype}; convert with "
                         f"{name}.astype(np.float32)")
    return x.astype(_PROMOTED[x.dtype.char]) if x.dtype.char in _PROMOTED else x


def as_not_empty(name: str, x: Any) -> Array:
    """Return ``as_floating(name, x)``; raise ShapeError if it has no element."""
    x = as_floating(name, x)
    if x.size == 0:
        raise ShapeError(f"{name}: is empty, got shape {tuple(x.shape)}")
    return x


def as_real(name: str, x: Any) -> Array:
    """Return ``as_floating(name, x)``; raise DtypeError if it is complex."""
    x = as_floating(name, x)
    if x.dtype.kind != "f":
        raise DtypeError(f"{name}: expected real floating point numbers, got dtype {x.dtype}; "
                         "only forward functions accept complex numbers (for complex-step checks)")
    return x


def as_integers(name: str, x: Any) -> Array:
    """Return ``x`` as an array of integers. Raises DtypeError for anything else, bools too."""
    x = as_array(name, x)
    if x.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected integers, got dtype {x.dtype}")
    return x


def check_dtype(dtype: Any) -> np.dtype:
    """Return ``dtype`` as a NumPy dtype; raise DtypeError unless it is float32, float64 or their complex."""
    try:
        known = np.dtype(dtype)
    except TypeError:
        raise DtypeError(f"dtype: expected float32 or float64, got {dtype!r}") from None
    if known.kind not in "fc" or known.itemsize not in {"f": (4, 8), "c": (8, 16)}[known.kind]:
        raise DtypeError(f"dtype: expected a floating point dtype, float32 or float64, got {known}")
    return known


def check_writeable(arrays: Mapping[str, Any]) -> None:
    """Check arrays, by name, that are to be changed in place.

    Raises ArgumentError if one is read-only, DtypeError if one is no array.
    """
    for name, x in arrays.items():
        if type(x) is not np.ndarray:
            refuse_other_arithmetic(name, x)
            if not is_array(x):
                raise DtypeError(f"{name}: expected an array, got {type(x).__name__}")
        elif not x.flags.writeable:
            raise ArgumentError(f"{name}: is read-only, so it cannot be updated; "
                                f"put a copy in its place: {name}.copy()")


def check_shape(name: str, x: Any, expected: tuple[int | None, ...], axes: str) -> None:
    """Raise ShapeError unless ``x.shape`` equals ``expected``, where None stands for any size of at least 1.

    ``axes`` names the axes for the message, for example ``"N, T, D"``.
    """
    shape = tuple(x.shape)
    letters = axes.split(", ")
    words = ", ".join(a if size is None else f"{a}={size}" for a, size in zip(letters, expected))
    if len(shape) != len(expected):
        raise ShapeError(f"{name}: expected {len(expected)} axes ({words}), "
                         f"got {len(shape)} with shape {shape}")
    for axis, (got, want, letter) in enumerate(zip(shape, expected, letters)):
        where = f"axis {axis} ({letter})"
        if want is None and got == 0:
            raise ShapeError(f"{name}: {where} is empty, got shape {shape}; expected ({words})")
        if want is not None and got != want:
            raise ShapeError(f"{name}: expected shape ({words}), got {shape}: {where} is {got}, not {want}")


def axis_names(ndim: int, *last: str) -> str:
    """Return names of ``ndim`` axes for ``check_shape``: "N0, N1, D" for 3 axes of which the last is D."""
    return ", ".join([*(f"N{axis}" for axis in range(ndim - len(last))), *last])


def is_number(value: Any) -> bool:
    """Return whether ``value`` is one real number, and not a bool; 0-d arrays count."""
    if type(value) is np.ndarray and value.ndim == 0:
        return value.dtype.kind in "iuf"
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_number(name: str, value: Any, low: float = 0.0, below: float = math.inf) -> float:
    """Return ``value`` as a Python float; raise ArgumentError unless low <= value < below (NaN never is)."""
    try:
        found = float(value) if is_number(value) else math.nan
    except OverflowError:           # an int that is larger than any float
        found = math.inf
    if not low <= found < below:
        raise ArgumentError(f"{name}: expected a number >= {low:g} and < {below:g}, got {repr(value)[:50]}")
    return found


def is_whole(value: Any) -> bool:
    """Return whether ``value`` is a whole number, and not a bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_whole(name: str, value: Any, low: int = 0) -> int:
    """Return ``value`` as an int; raise ArgumentError unless it is a whole number of at least ``low``."""
    if not is_whole(value) or value < low:
        raise ArgumentError(f"{name}: expected a whole number of at least {low}, got {value!r}")
    return int(value)


def check_positive_int(name: str, value: Any) -> int:
    """Return ``value`` as an int; raise ArgumentError unless it is a whole number of at least 1."""
    return check_whole(name, value, 1)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ArgumentError unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ArgumentError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")


def as_gradient(name: str, dy: Any, expected: tuple[int, ...], axes: str, dtype: Any) -> Array:
    """Return the upstream gradient ``dy`` in the dtype of the output it belongs to.

    Raises DtypeError or ShapeError unless it is an array of real numbers of exactly the expected shape, and
    unless the forward was real.
    """
    dy = as_real(name, dy)
    if np.dtype(dtype).kind != "f":
        raise DtypeError(f"x of the forward: expected real floating point numbers, got dtype {dtype}; "
                         "only forward functions accept complex numbers (for complex-step checks)")
    check_shape(name, dy, expected, axes)
    return dy.astype(dtype, copy=False)
