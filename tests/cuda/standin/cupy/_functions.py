"""The functions of the array module, with the arguments that CuPy's have and no others (tests/cuda/test_standin.py compares
them with the manifest of the real ones)."""

from __future__ import annotations

from typing import Any

import numpy as np
from cupy import _counts
from cupy._array import device, elementwise, host, ndarray, product

# Making arrays -------------------------------------------------------------------------------------------------------


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K", subok: bool = False, ndmin: int = 0, *,
          blocking: bool = False) -> ndarray:
    if isinstance(obj, ndarray):
        return obj.astype(obj.dtype if dtype is None else dtype, copy=copy)
    if isinstance(obj, (list, tuple)) and any(isinstance(part, ndarray) for part in obj):
        return stack(obj).astype(obj[0].dtype if dtype is None else dtype, copy=False)
    values = np.array(obj, dtype=dtype)
    _counts.upload()
    return device(values)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    return array(a, dtype, copy=bool(copy))


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    if not isinstance(a, ndarray):
        return array(a, dtype)
    if a.flags.c_contiguous and (dtype is None or a.dtype == dtype):     # to NumPy a dtype of float64 == None
        return a
    _counts.launch("copy")
    return device(np.array(a._a, a.dtype if dtype is None else dtype, order="C"))


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    _counts.launch("zeros")
    return device(np.zeros(shape, dtype, order=order))


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    _counts.launch("ones")
    return device(np.ones(shape, dtype, order=order))


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    _counts.launch("full")
    return device(np.full(shape, host(fill_value), dtype, order=order))


def empty_like(prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    like = host(prototype)
    return empty(like.shape if shape is None else shape, like.dtype if dtype is None else dtype)


def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    _counts.launch("zeros")
    return device(np.zeros_like(host(a), dtype, order, shape=shape))


def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    _counts.launch("ones")
    return device(np.ones_like(host(a), dtype, order, shape=shape))


def full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None) -> ndarray:
    _counts.launch("full")
    return device(np.full_like(host(a), host(fill_value), dtype, order, shape=shape))


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    _counts.launch("arange")
    return device(np.arange(0, start, step, dtype) if stop is None else np.arange(start, stop, step, dtype))


# Putting arrays together, and picking from them ----------------------------------------------------------------------


def concatenate(tup: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> ndarray:
    parts = [host(part, "a part of concatenate") for part in tup]
    if not all(isinstance(part, ndarray) for part in tup):
        raise TypeError("Only cupy arrays can be concatenated")
    if len(parts) > 8 and len({part.dtype for part in parts}) == 1:     # one kernel, which gets the addresses from the host
        same = all(part.flags.c_contiguous for part in parts) and len({part.shape for part in parts}) == 1
        _counts.upload(1 if same else 3)
        _counts.launch("concatenate")
    else:
        _counts.launch("concatenate", len(parts))
    result = np.concatenate(parts, axis, out=None if out is None else out._a, dtype=dtype,
                            casting=casting)
    return out if out is not None else device(result)


def stack(tup: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> ndarray:
    return concatenate([expand_dims(part, axis) for part in tup], axis, out, dtype=dtype, casting=casting)


def expand_dims(a: ndarray, axis: Any) -> ndarray:
    host(a)
    return device(np.expand_dims(a._a, axis))


def broadcast_to(array: ndarray, shape: Any) -> ndarray:
    host(array)
    return device(np.broadcast_to(array._a, shape))


def reshape(a: ndarray, newshape: Any, order: str = "C") -> ndarray:
    return a.reshape(newshape, order=order)


def transpose(a: ndarray, axes: Any = None) -> ndarray:
    return a.transpose(axes)


def ravel(a: ndarray, order: str = "C") -> ndarray:
    return a.ravel(order)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return condition.nonzero()
    if not isinstance(condition, ndarray):
        raise TypeError("stand-in: the condition of where is no device array")
    c, values = host(condition), [host(value, "a choice of where") for value in (x, y)]
    _counts.launch("where")
    return device(np.where(c, *values))


def take(a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    return a.take(indices, axis, out)


def take_along_axis(a: ndarray, indices: ndarray, axis: Any) -> ndarray:
    _counts.launch("take_along_axis", 2)
    return device(np.take_along_axis(host(a), host(indices), axis))


def diagonal(a: ndarray, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
    return a.diagonal(offset, axis1, axis2)


def may_share_memory(a: ndarray, b: ndarray, max_work: Any = None) -> bool:
    """Looks at addresses alone, on the host."""
    return np.may_share_memory(a._a, b._a)


def copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    if where is not None and not isinstance(where, ndarray):
        raise TypeError("stand-in: where of copyto is no device array")
    _counts.launch("copyto")
    np.copyto(dst._a, host(src, "the source of copyto"), casting=casting,
              where=True if where is None else host(where))


# What waits: how many there are decides a shape ----------------------------------------------------------------------


def nonzero(a: ndarray) -> tuple[ndarray, ...]:
    return a.nonzero()


def flatnonzero(a: ndarray) -> ndarray:
    return a.ravel().nonzero()[0]


def argwhere(a: ndarray) -> ndarray:
    return stack(a.nonzero(), axis=1)


def bincount(x: ndarray, weights: Any = None, minlength: Any = None) -> ndarray:
    _counts.sync("bincount")
    _counts.launch("bincount", 4)
    return device(np.bincount(host(x), None if weights is None else host(weights), minlength or 0))


# Sorting, products, reductions ---------------------------------------------------------------------------------------


def argsort(a: ndarray, axis: int = -1, kind: Any = None) -> ndarray:
    return a.argsort(axis, kind)


def searchsorted(a: ndarray, v: Any, side: str = "left", sorter: Any = None) -> ndarray:
    if sorter is not None:
        raise NotImplementedError("stand-in: searchsorted(sorter=)")
    _counts.launch("searchsorted")
    return device(np.searchsorted(host(a), host(v), side))


def dot(a: Any, b: Any, out: Any = None) -> ndarray:
    return product(a, b, out)


def matmul(x1: Any, x2: Any, out: Any = None) -> ndarray:
    return product(x1, x2, out)


def sum_(a: ndarray, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
    return a.sum(axis, dtype=dtype, out=out, keepdims=keepdims)


def mean(a: ndarray, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
    return a.mean(axis, dtype=dtype, out=out, keepdims=keepdims)


def all_(a: ndarray, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
    return a.all(axis, out=out, keepdims=keepdims)


def any_(a: ndarray, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
    return a.any(axis, out=out, keepdims=keepdims)


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    return np.result_type(*[x._a if isinstance(x, ndarray) else x for x in arrays_and_dtypes])


def get_array_module(*args: Any) -> Any:
    import cupy
    return cupy if [x for x in args if isinstance(x, ndarray)] else np


class ufunc:      # noqa: N801 (its name in CuPy)
    """An elementwise function: one device call."""

    def __init__(self, function: np.ufunc) -> None:
        self._function, self.name = function, function.__name__

    def __call__(self, *inputs: Any, out: Any = None, casting: str = "same_kind", dtype: Any = None) -> ndarray:
        if len(inputs) > self._function.nin:
            *inputs, out = inputs
        if not [x for x in inputs if isinstance(x, ndarray)]:
            for x in inputs:
                host(x)
            inputs = tuple(array(x) for x in inputs)        # CuPy uploads lone scalars
        return elementwise(self._function, *inputs, out=out, casting=casting, dtype=dtype)

    def reduceat(self, array: ndarray, indices: ndarray, axis: int = 0, dtype: Any = None, out: Any = None) -> ndarray:
        _counts.launch(f"{self.name}.reduceat")
        if out is not None:
            raise NotImplementedError("stand-in: reduceat(out=)")
        return device(self._function.reduceat(host(array), host(indices), axis, dtype))


UFUNCS = ("add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "power", "negative",
          "absolute", "sign", "square", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "sin", "cos",
          "maximum", "minimum", "floor", "ceil", "isfinite", "isnan", "isinf", "equal", "not_equal", "less",
          "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_not", "bitwise_and",
          "bitwise_or", "bitwise_xor", "invert", "conjugate")
CONSTANTS = ("nan", "inf", "pi", "e", "newaxis", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
             "uint64", "float16", "float32", "float64", "complex64", "complex128", "dtype", "promote_types", "can_cast")
