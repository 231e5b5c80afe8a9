"""NumPy or CuPy arrays: the only module that knows which of the two is in use.

The rest of the library never names a backend. A function that gets arrays starts with
``xp = get_array_module(x)`` and calls ``xp.tanh(x)``, so the arrays decide where the work is done. This is
the only file that imports CuPy, and it does so only when someone asks for it. Random numbers are always drawn
on the host by a seeded ``numpy.random.Generator`` and uploaded, so a seed gives the same numbers on every
backend.
"""

from __future__ import annotations

import warnings
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np

from minilstm.backend.errors import ArgumentError, BackendError, DtypeError, one_line

Array = Any     # numpy.ndarray or cupy.ndarray, of whatever float, complex or integer dtype the caller uses
BACKENDS = ("numpy", "cupy")

_cupy: ModuleType | None = None     # filled by require("cupy") once a device has answered


def _is_device_array(x: object) -> bool:
    return type(x).__module__.partition(".")[0] == "cupy"


def refuse_other_arithmetic(name: str, x: Any) -> None:
    """Raise DtypeError for masked arrays and np.matrix."""
    if type(x) is np.ndarray:
        return
    if isinstance(x, np.ma.MaskedArray):
        raise DtypeError(f"{name}: a masked array would lose its mask; give filled(...) values, or lengths")
    if isinstance(x, np.matrix):
        raise DtypeError(f"{name}: expected an array, got np.matrix, whose * is another; use asarray")


def get_array_module(*arrays: Array) -> Any:
    """Return the module (``numpy`` or ``cupy``) whose arrays these are.

    ``None`` and Python numbers belong to both. Raises BackendError when host and device arrays are mixed:
    silent copies between them are the slowest thing a GPU program can do.
    """
    device = host = False
    for x in arrays:
        if isinstance(x, np.ndarray):
            host = True
            refuse_other_arithmetic("array", x)
        elif _is_device_array(x):
            device = True
    if device and host:
        raise BackendError("host (NumPy) and device (CuPy) arrays were mixed: move all of them with "
                           "ml.asarray(x, backend) or model.to(backend)")
    return require("cupy") if device else np


def require(name: str) -> Any:
    """Return the array module called ``name`` ("numpy" or "cupy"), ready for use.

    Raises ArgumentError for another name and BackendError, with the line that would fix it, where CuPy or a
    GPU is missing. CuPy is probed once: import, device count, one small matrix product.
    """
    global _cupy
    if name == "numpy":
        return np
    if name != "cupy":
        raise ArgumentError(f"unknown backend {name!r}: expected one of {', '.join(BACKENDS)}")
    if _cupy is None:
        _cupy = _probe_cupy()
    return _cupy


def _probe_cupy() -> ModuleType:
    fix = 'for CUDA 12: pip install "cupy-cuda12x[ctk]"; for CUDA 13: pip install "cupy-cuda13x[ctk]"'
    # Recording holds back CuPy's page-long warning of a second wheel.
    with warnings.catch_warnings(record=True) as caught:
        try:
            import cupy
        except Exception as error:      # a half-installed wheel fails on import in many ways
            if isinstance(error, ImportError) and error.name in (None, "cupy") and not cupy_wheels():
                reason = "the cupy backend needs CuPy, which is not installed"
                raise BackendError(reason, fix, "not installed") from None
            reason = f"CuPy is installed but cannot be imported: {one_line(error)}"
            raise BackendError(reason, _mend(fix), "import") from None
        try:
            usable = cupy.cuda.is_available() and float(cupy.ones((2, 2)).dot(cupy.ones((2, 2))).sum()) == 8.0
            reason = "no CUDA driver or GPU was found"
        except (ImportError, RuntimeError, OSError, AttributeError) as error:
            usable, reason = False, one_line(error)
    if not usable:
        advice = _mend(fix) if len(cupy_wheels()) > 1 else f"CuPy must match the driver's CUDA: {fix}"
        raise BackendError(f"the cupy backend needs a working NVIDIA GPU: {reason}", advice, "device")
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return cupy


def cupy_wheels() -> list[str]:
    """Return the names of the installed CuPy packages, such as ["cupy-cuda12x"]; there must not be two."""
    installed = [package.metadata["Name"] or "" for package in metadata.distributions()]
    names = {name.lower().replace("_", "-") for name in installed}
    return sorted(name for name in names if name == "cupy" or name.startswith(("cupy-cuda", "cupy-rocm")))


def _mend(fix: str) -> str:
    wheels = cupy_wheels()
    if len(wheels) > 1:
        return (f"{len(wheels)} CuPy packages are installed, which overwrite each other: "
                f"pip uninstall -y {' '.join(wheels)}; then {fix}")
    return f"reinstall it: {fix}"


def backend_name(x: Array) -> str:
    """Return "numpy" or "cupy": where this array lives."""
    return "cupy" if _is_device_array(x) else "numpy"


def asarray(x: Any, backend: str = "numpy", dtype: Any = None) -> Array:
    """Return ``x`` as an array of the given backend, copied between host and device only where needed."""
    xp = require(backend)
    if xp is np:
        return np.asarray(to_numpy(x), dtype=dtype)
    return xp.asarray(x, dtype=dtype)


def to_numpy(x: Any) -> Any:
    """Return ``x`` as a NumPy array on the host (waits for the device where it has to)."""
    refuse_other_arithmetic("array", x)
    return x.get() if _is_device_array(x) else np.asarray(x)


def to_floats(scalars: list[Any]) -> list[float]:
    """Return 0-d arrays and numbers as floats, with a single transfer for all that are on a device."""
    xp = get_array_module(*scalars)
    if xp is np:
        return [float(scalar) for scalar in scalars]
    on_device = xp.stack([xp.asarray(scalar, dtype=np.float64) for scalar in scalars])
    return [float(value) for value in to_numpy(on_device)]


def synchronize(x: Array) -> None:
    """Wait until everything queued for the device of ``x`` is done; nothing to do on the host."""
    if _is_device_array(x):
        require("cupy").cuda.Device().synchronize()
