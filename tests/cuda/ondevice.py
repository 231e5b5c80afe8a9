"""The same body on NumPy and on a device, and the comparison of all that comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import close

import minilstm as ml

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
Put = Callable[[Any], Any]


def put_on(backend: str, dtype: Any = None) -> Put:
    """Return what brings an array (or None, or a tuple of them) to a backend, floating point numbers in the given dtype."""
    def put(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(put(part) for part in x)
        if x is None:
            return None
        x = np.asarray(x)
        return ml.asarray(x.astype(dtype) if dtype is not None and x.dtype.kind == "f" else x, backend)
    return put


def flat(results: Any) -> list[np.ndarray]:
    """Return all arrays in nested tuples, lists and dicts, on the host."""
    if results is None:
        return []
    if isinstance(results, dict):
        results = list(results.values())
    if isinstance(results, (tuple, list)):
        return [x for part in results for x in flat(part)]
    return [ml.to_numpy(results)]


def same(body: Callable[[str, Put], Any], dtype: str, tolerance: float | None = None) -> None:
    """Run a body on NumPy and on the device; compare all that it returns, dtypes included."""
    (want, got) = (flat(body(backend, put_on(backend, dtype))) for backend in ("numpy", "cupy"))
    assert want and len(want) == len(got)
    for a, b in zip(got, want):
        assert a.dtype == b.dtype
        close(a, b, TOLERANCE[dtype] if tolerance is None else tolerance)


both = pytest.mark.parametrize("dtype", TOLERANCE)
