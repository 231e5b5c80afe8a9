"""Indices of device arrays, spelled for NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from cupy import _counts


def wrapped(index: np.ndarray, size: int) -> np.ndarray:
    """Return indices as a device takes them: those out of range wrap round, silently."""
    return index if index.dtype.kind == "b" or not size else np.mod(index.astype(np.int64), size)


def spell(a: np.ndarray, index: Any, ndarray: type) -> tuple[Any, bool, bool]:
    """Return (the index for NumPy, whether arrays are in it, whether a mask is), for an array with the memory ``a``.

    Lists are uploaded, each time; a host array is refused.
    """
    parts = [_memory(part, ndarray) for part in (index if isinstance(index, tuple) else (index,))]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if not arrays:              # with an ellipsis, what NumPy gives for a single element is a view, too
        return tuple(parts) if Ellipsis in parts else (*parts, Ellipsis), False, False
    used = sum(_axes(part) for part in parts if part is not Ellipsis)
    axis, spelled = 0, []
    for part in parts:
        spelled.append(wrapped(part, a.shape[axis]) if isinstance(part, np.ndarray) else part)
        axis += a.ndim - used if part is Ellipsis else _axes(part)
    return tuple(spelled), True, any(part.dtype.kind == "b" for part in arrays)


def _memory(part: Any, ndarray: Any) -> Any:
    """Return a part of an index, arrays by their memory."""
    if isinstance(part, np.ndarray):
        raise TypeError("stand-in: a host array as an index; upload it with asarray first")
    if isinstance(part, list):
        _counts.upload()
        return np.array(part, None if part else np.int64)
    if isinstance(part, (bool, np.bool_)):
        raise NotImplementedError("stand-in: True or False as an index")
    if not isinstance(part, ndarray):
        return part
    if part.dtype.kind not in "biu" or part.dtype.kind == "b" and not part.ndim:
        raise IndexError(f"stand-in: an array of {part.dtype} with {part.ndim} axes as an index")
    return part._a


def _axes(part: Any) -> int:
    """Return how many axes a part of an index stands for."""
    if isinstance(part, np.ndarray) and part.dtype.kind == "b":
        return part.ndim
    return 0 if part is None else 1
