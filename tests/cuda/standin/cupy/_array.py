"""The array: NumPy memory that behaves strictly like memory on a device.

Operators take arrays of this class and Python or NumPy scalars; a host array raises TypeError, also as an index (CuPy would
upload it at each use). Reductions return 0-d arrays. Whatever makes the host wait on a real device (float, bool, int, item,
get, printing) is counted as a sync, and a copy from the host as an upload. Indices out of range wrap round silently, as they
do on a device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
from cupy import _counts
from cupy._indexing import spell, wrapped

SCALARS = (bool, int, float, complex, np.generic)
KINDS = "biufc"


def host(x: Any, what: str = "an operand") -> Any:
    """Return the NumPy memory of a device array, or a scalar as it is; refuse everything else."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, SCALARS):
        return x
    if isinstance(x, np.ndarray):
        raise TypeError(f"stand-in: {what} is a host array of shape {x.shape}; upload it with asarray first")
    raise TypeError(f"stand-in: {what} is a {type(x).__name__}")


def device(x: Any) -> ndarray:
    """Wrap a result: what NumPy made a scalar is a 0-d array again."""
    a = np.asarray(x)
    if a.dtype.kind not in KINDS:
        raise ValueError(f"stand-in: unsupported dtype {a.dtype}")
    new = object.__new__(ndarray)
    new._a = a
    return new


def unique_copy(a: np.ndarray, order: str = "C") -> np.ndarray:
    return np.array(a, order=order, copy=True)


def elementwise(function: np.ufunc, *inputs: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> ndarray:
    """Call a NumPy ufunc as one device call."""
    operands = [host(x, f"operand {k} of {function.__name__}") for k, x in enumerate(inputs)]
    if isinstance(out, tuple):
        out, = out
    if out is not None and not isinstance(out, ndarray):
        raise TypeError(f"stand-in: out of {function.__name__} is a {type(out).__name__}")
    with np.errstate(all="ignore"):             # a device does not warn
        result = function(*operands, out=None if out is None else out._a, dtype=dtype, casting=casting)
    if np.size(result):
        _counts.launch(function.__name__)
    return out if out is not None else device(result)


def product(a: Any, b: Any, out: Any = None) -> ndarray:
    """A matrix product: one GEMM, and a copy for each operand that is neither in C nor in Fortran order."""
    x, y = host(a, "the first factor"), host(b, "the second factor")
    if not isinstance(a, ndarray) or not isinstance(b, ndarray) or not x.ndim or not y.ndim:
        raise ValueError("stand-in: a matrix product needs two arrays with at least one axis")
    dtype = np.result_type(x, y)
    for operand in (x, y):
        if operand.dtype != dtype:
            _counts.launch("astype")
        elif not (operand.flags.c_contiguous or operand.flags.f_contiguous):
            _counts.launch("copy for gemm")
    if out is not None:
        if not isinstance(out, ndarray) or not out._a.flags.c_contiguous or out.dtype != dtype:
            raise ValueError("stand-in: out of a matrix product must be a C-contiguous device array of the result's dtype")
    _counts.gemm()
    with np.errstate(all="ignore"):
        result = np.matmul(x, y, out=None if out is None else out._a)
    return out if out is not None else device(result)


class ndarray:      # noqa: N801 (its name in CuPy)
    """A strict device array."""

    __array_priority__ = 100
    __hash__ = None
    _a: np.ndarray

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C") -> None:
        if memptr is not None or strides is not None:
            raise NotImplementedError("stand-in: arrays over given memory")
        self._a = np.full(shape, _garbage(dtype), dtype, order=order)

    # What costs nothing ----------------------------------------------------------------------------------------------

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    nbytes = property(lambda self: self._a.nbytes)
    itemsize = property(lambda self: self._a.itemsize)
    strides = property(lambda self: self._a.strides)
    flags = property(lambda self: self._a.flags)
    T = property(lambda self: device(self._a.T))

    @property
    def data(self) -> Any:
        from cupy.cuda import MemoryPointer
        return MemoryPointer(self._a.ctypes.data)

    @property
    def device(self) -> Any:
        from cupy.cuda import Device
        return Device()

    @property
    def real(self) -> ndarray:
        return self if self._a.dtype.kind != "c" else device(self._a.real)

    @property
    def imag(self) -> ndarray:
        if self._a.dtype.kind == "c":
            return device(self._a.imag)
        _counts.launch("zeros")
        return device(np.zeros_like(self._a))

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[ndarray]:
        if not self._a.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[k] for k in range(len(self._a)))

    def transpose(self, *axes: Any) -> ndarray:
        return device(self._a.transpose(*axes))

    def view(self, dtype: Any = None) -> ndarray:
        return device(self._a.view() if dtype is None else self._a.view(dtype))

    def reshape(self, *shape: Any, order: str = "C") -> ndarray:
        return self._reshaped(self._a.reshape(*shape, order=order))

    def ravel(self, order: str = "C") -> ndarray:
        return self._reshaped(self._a.reshape(-1, order=order))

    def _reshaped(self, result: np.ndarray) -> ndarray:
        if result.size and not np.may_share_memory(result, self._a):
            _counts.launch("copy for reshape")
        return device(result)

    # Indices ---------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> ndarray:
        spelled, gathers, masks = spell(self._a, index, ndarray)
        if masks:
            _counts.sync("boolean mask as an index")
            _counts.launch("getitem", 3)
        elif gathers:
            _counts.launch("take")
        return device(self._a[spelled])

    def __setitem__(self, index: Any, value: Any) -> None:
        spelled, scatters, masks = spell(self._a, index, ndarray)
        values = host(value, "the value of an assignment")
        if masks:
            _counts.sync("assignment through a boolean mask")
            _counts.launch("setitem", 3)
        elif scatters:
            if not isinstance(value, ndarray):
                _counts.upload()
            _counts.launch("setitem")
        elif isinstance(value, ndarray):
            target = self._a[spelled]
            if (target.ctypes.data, target.strides, target.shape) == (values.ctypes.data, values.strides, values.shape):
                return                              # a[t] += b puts a[t] back where it is
            _counts.launch("copy")
        else:
            _counts.launch("fill")
        with np.errstate(all="ignore"):
            self._a[spelled] = values

    # What waits for the device ---------------------------------------------------------------------------------------

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        _counts.sync("get")
        if out is None:
            return np.array(self._a, order=order)
        out[...] = self._a
        return out

    def _fetched(self, name: str) -> np.ndarray:
        _counts.sync(name)
        return self._a

    def __bool__(self) -> bool:
        return bool(self._fetched("bool"))

    def __int__(self) -> int:
        return int(self._fetched("int"))

    def __index__(self) -> int:
        return self._fetched("index").__index__()

    def __float__(self) -> float:
        return float(self._fetched("float"))

    def __complex__(self) -> complex:
        return complex(self._fetched("complex"))

    def item(self) -> Any:
        return self._fetched("item").item()

    def tolist(self) -> Any:
        return self._fetched("tolist").tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self._fetched("tobytes").tobytes(order)

    def __repr__(self) -> str:
        return repr(self._fetched("repr"))

    def __str__(self) -> str:
        return str(self._fetched("str"))

    def __format__(self, spec: str) -> str:
        return format(self._fetched("format"), spec)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> ndarray:
        if method != "__call__":
            raise TypeError(f"stand-in: numpy.{ufunc.__name__}.{method} on a device array")
        if ufunc is np.matmul:
            return product(*inputs, **options)
        return elementwise(ufunc, *inputs, **options)       # np.float64(2) * x comes here

    def __array_function__(self, function: Any, *rest: Any) -> NoReturn:
        raise TypeError(f"stand-in: numpy.{function.__name__} on a device array; use the array module of the array")

    # What the device does --------------------------------------------------------------------------------------------

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray) or arr.dtype != self.dtype or arr.shape != self.shape:
            raise TypeError("stand-in: set takes a host array of the same shape and dtype")
        _counts.upload()
        self._a[...] = arr

    def fill(self, value: Any) -> None:
        _counts.launch("fill")
        self._a.fill(host(value, "the value of fill"))

    def copy(self, order: str = "C") -> ndarray:
        _counts.launch("copy")
        return device(np.array(self._a, order=order))

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> ndarray:
        return memo.setdefault(id(self), self.copy())

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> ndarray:
        with np.errstate(all="ignore"):
            result = self._a.astype(dtype, order=order, copy=copy)
        if result is self._a:
            return self
        _counts.launch("astype")
        return device(result)

    def dot(self, b: Any, out: Any = None) -> ndarray:
        return product(self, b, out)

    def argsort(self, axis: int = -1, kind: Any = None) -> ndarray:
        if kind not in (None, "stable"):
            raise ValueError(f"stand-in: cupy.argsort does not take kind={kind!r}")
        _counts.launch("argsort", 2)            # a copy of the keys and the sort, which does not wait since CuPy 14
        return device(np.argsort(self._a, axis=axis, kind="stable"))

    def nonzero(self) -> tuple[ndarray, ...]:
        _counts.sync("nonzero")
        _counts.launch("nonzero", 3)
        return tuple(device(np.ascontiguousarray(x)) for x in self._a.nonzero())

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        if out is not None:
            raise NotImplementedError("stand-in: take(out=)")
        index = host(indices, "the indices of take")
        _counts.launch("take")
        size = self._a.size if axis is None else self._a.shape[axis]
        return device(np.take(self._a, wrapped(np.asarray(index), size), axis=axis))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        return device(self._a.diagonal(offset, axis1, axis2))


def _garbage(dtype: Any) -> Any:
    """What fresh memory holds: nothing that anyone may rely on."""
    kind = np.dtype(dtype).kind
    return np.nan if kind in "fc" else True if kind == "b" else 77
