"""Operators and reductions of the array, each one device call."""

from __future__ import annotations

from typing import Any

import numpy as np
from cupy import _counts
from cupy._array import device, elementwise, ndarray, product


def _reduction(name: str, options: tuple[str, ...]) -> Any:
    def reduce(self: ndarray, axis: Any = None, **given: Any) -> ndarray:
        unknown = set(given) - set(options)
        if unknown:
            raise TypeError(f"stand-in: {name}() got an unexpected keyword {sorted(unknown)}")
        out = given.pop("out", None)
        _counts.launch(name)
        with np.errstate(all="ignore"):
            result = getattr(self._a, name)(axis=axis, **given)
        if out is None:
            return device(result)
        out._a[...] = result
        return out
    reduce.__name__ = name
    return reduce


for _name in ("sum", "prod", "mean"):
    setattr(ndarray, _name, _reduction(_name, ("dtype", "out", "keepdims")))
for _name in ("max", "min", "all", "any"):
    setattr(ndarray, _name, _reduction(_name, ("out", "keepdims")))
for _name in ("argmax", "argmin"):
    setattr(ndarray, _name, _reduction(_name, ("out", "dtype", "keepdims")))
setattr(ndarray, "cumsum", _reduction("cumsum", ("dtype", "out")))


def _operator(function: np.ufunc, reflected: bool = False, in_place: bool = False) -> Any:
    def operate(self: ndarray, other: Any) -> Any:
        if other is None or isinstance(other, (str, list, tuple)):
            return NotImplemented
        if in_place:
            return elementwise(function, self, other, out=self)
        return elementwise(function, other, self) if reflected else elementwise(function, self, other)
    return operate


for _name, _function in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("truediv", np.true_divide),
                         ("floordiv", np.floor_divide), ("mod", np.remainder), ("pow", np.power), ("and", np.bitwise_and),
                         ("or", np.bitwise_or), ("xor", np.bitwise_xor), ("lshift", np.left_shift),
                         ("rshift", np.right_shift)):
    setattr(ndarray, f"__{_name}__", _operator(_function))
    setattr(ndarray, f"__r{_name}__", _operator(_function, reflected=True))
    setattr(ndarray, f"__i{_name}__", _operator(_function, in_place=True))
for _name, _function in (("lt", np.less), ("le", np.less_equal), ("gt", np.greater), ("ge", np.greater_equal),
                         ("eq", np.equal), ("ne", np.not_equal)):
    setattr(ndarray, f"__{_name}__", _operator(_function))
for _name, _function in (("neg", np.negative), ("invert", np.invert), ("abs", np.absolute)):
    setattr(ndarray, f"__{_name}__", lambda self, function=_function: elementwise(function, self))
setattr(ndarray, "__matmul__", lambda self, other: product(self, other))
setattr(ndarray, "conj", lambda self: self if self.dtype.kind != "c" else elementwise(np.conjugate, self))
