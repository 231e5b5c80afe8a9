"""The text of a cupy.ElementwiseKernel, compiled by g++ and run on NumPy arrays.

It understands typed parameters (``float32 x``), type placeholders (``T x``; one letter stands for one dtype), ``raw`` arrays
(indexed, not broadcast; ``x.size()``), several outputs, the index ``i`` and ``_ind.size()``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from builder import EmulationError, build

NAMES = {"bool": "bool", "int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "int64": "int64_t", "uint8": "uint8_t",
         "uint16": "uint16_t", "uint32": "uint32_t", "uint64": "uint64_t", "float32": "float", "float64": "double"}
PRELUDE = r"""
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#define __device__
#define __forceinline__ inline
#define __restrict__
using std::isfinite;
using std::isinf;
using std::isnan;
template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }
struct View {
    char* data;
    int64_t size, ndim, shape[8], strides[8];
    char* at(ptrdiff_t index) const {
        char* place = data;
        for (int64_t axis = ndim - 1; axis >= 0; index /= shape[axis], --axis) place += index % shape[axis] * strides[axis];
        return place;
    }
};
template <class T> struct Raw {
    const View& view;
    T& operator[](ptrdiff_t index) const { return *reinterpret_cast<T*>(view.at(index)); }
    ptrdiff_t size() const { return view.size; }
};
struct Indexer { ptrdiff_t n; ptrdiff_t size() const { return n; } };
"""


class _View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_int64), ("ndim", ctypes.c_int64),
                ("shape", ctypes.c_int64 * 8), ("strides", ctypes.c_int64 * 8)]


def _view(array: np.ndarray) -> _View:
    pad = [1] * (8 - array.ndim)
    return _View(array.ctypes.data, array.size, array.ndim, (ctypes.c_int64 * 8)(*array.shape, *pad),
                 (ctypes.c_int64 * 8)(*array.strides, *pad))


class Parameter(NamedTuple):
    """One parameter of the kernel's text."""

    raw: bool
    type: str               # a dtype's name, or a placeholder
    name: str


def _parameters(text: str) -> list[Parameter]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        words = part.split()
        raw = words[0] == "raw"
        if len(words) != 2 + raw:
            raise EmulationError(f"elementwise kernel: cannot read the parameter {part!r}")
        if words[-1] in ("i", "n") or words[-1].startswith("_"):
            raise EmulationError(f"elementwise kernel: a parameter must not be called {words[-1]}")
        found.append(Parameter(raw, words[-2], words[-1]))
    return found


@cache
def _compiled(inputs: tuple[Parameter, ...], outputs: tuple[Parameter, ...], types: tuple[tuple[str, str], ...],
              operation: str, preamble: str) -> Any:
    known = dict(types)
    lines, declared = [], []
    for k, p in enumerate([*inputs, *outputs]):
        kind = NAMES[known.get(p.type, p.type)]
        if p.raw:
            declared.append(f"Raw<{kind}> {p.name}{{_views[{k}]}};")
        else:
            const = "const " if k < len(inputs) else ""
            lines.append(f"{const}{kind}& {p.name} = *reinterpret_cast<{kind}*>(_views[{k}].at(i));")
    aliases = [f"typedef {NAMES[dtype]} {name};" for name, dtype in types]
    text = "\n".join([PRELUDE, *aliases, preamble, 'extern "C" void run(const View* _views, ptrdiff_t _size) {',
                      "Indexer _ind{_size};", *declared, "for (ptrdiff_t i = 0; i < _ind.size(); ++i) {", *lines,
                      operation + ";", "}", "}"])
    return ctypes.CDLL(str(build(text, ["-shared", "-fPIC", "-Wno-unused"], ".so"))).run


def emulate_elementwise(in_params: str, out_params: str, operation: str, name: str = "kernel",
                        preamble: str = "") -> Callable[..., Any]:
    """Return ``kernel(*inputs, *outputs, size=None)``, as cupy.ElementwiseKernel makes it, for NumPy arrays and numbers.

    Outputs that are not given are made; one output comes back as it is, several as a tuple. Raises EmulationError where the
    text does not compile or the arguments do not fit it.
    """
    inputs, outputs = tuple(_parameters(in_params)), tuple(_parameters(out_params))

    def run(*arguments: Any, size: int | None = None) -> Any:
        if len(arguments) not in (len(inputs), len(inputs) + len(outputs)):
            raise EmulationError(f"{name}: expected {len(inputs)} inputs and 0 or {len(outputs)} outputs")
        both = list(zip([*inputs, *outputs], arguments))
        known: dict[str, str] = {}
        for arrays_first in (True, False):
            for p, value in both:
                if p.type in NAMES or isinstance(value, np.ndarray) != arrays_first:
                    continue
                dtype = str(np.asarray(value).dtype)
                if arrays_first and known.get(p.type, dtype) != dtype:
                    raise EmulationError(f"{name}: {p.type} is {known[p.type]} and {dtype}")
                known.setdefault(p.type, dtype)
        values = []
        for p, value in both:
            dtype = known.get(p.type, p.type)
            if isinstance(value, np.ndarray) and value.dtype != dtype:
                raise EmulationError(f"{name}: {p.name} is {value.dtype}, not {dtype}")
            values.append(value if isinstance(value, np.ndarray) else np.asarray(value, dtype))
        shape = (size,) if size is not None else np.broadcast_shapes(
            *(value.shape for (p, _), value in zip(both, values) if not p.raw))
        for p in outputs[len(values) - len(inputs):]:
            if p.type not in NAMES and p.type not in known:
                raise EmulationError(f"{name}: nothing says what {p.type} is")
            values.append(np.empty(shape, known.get(p.type, p.type)))
        spread = [value if p.raw else np.broadcast_to(value, shape) for p, value in zip([*inputs, *outputs], values)]
        if any(value.shape != shape for p, value in zip(outputs, values[len(inputs):]) if not p.raw):
            raise EmulationError(f"{name}: an output is not of shape {shape}")
        kernel = _compiled(inputs, outputs, tuple(sorted(known.items())), operation, preamble)
        kernel((_View * len(spread))(*map(_view, spread)), ctypes.c_ssize_t(int(np.prod(shape))))
        made = values[len(inputs):]
        return made[0] if len(made) == 1 else tuple(made)
    return run
