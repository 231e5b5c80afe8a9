"""Kernels written in CUDA: the same source text, run on the CPU by tests/cuda/emulator.py; each launch is one device call.

Arguments are as strict as the device is lenient: an array of this package, a NumPy number of an exact width, nothing else (a
Python int or float would go over with a width that the kernel may not expect).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cupy import _counts
from cupy._array import device, host, ndarray


def _raw(argument: Any) -> Any:
    if isinstance(argument, ndarray):
        return argument._a
    if isinstance(argument, np.generic):
        return argument
    raise TypeError(f"stand-in: a kernel's argument is a {type(argument).__name__}; give a device array or a NumPy number")


class RawModule:
    """A source text; ``get_function`` picks a kernel."""

    def __init__(self, code: str, *, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        self.code, self.options = code, tuple(options)

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(self.code, name, self.options)


class RawKernel:
    """A kernel: ``kernel(grid, block, arguments, shared_mem=bytes)``."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc") -> None:
        self.code, self.name, self.options = code, name, tuple(options)
        self._emulated: Any = None
        self.max_dynamic_shared_size_bytes = 49152

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *,
                 shared_mem: int = 0) -> None:
        for sizes in (grid, block):
            if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
                raise ValueError(f"stand-in: {self.name} was launched with grid {grid} and block {block}")
        if np.prod(block) > 1024:
            raise ValueError(f"stand-in: {self.name}: a block has at most 1024 threads, not {block}")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise ValueError(f"stand-in: {self.name}: {shared_mem} bytes of shared memory were not asked for")
        arguments = tuple(_raw(argument) for argument in args)
        if self._emulated is None:
            from emulator import emulate
            self._emulated = emulate(self.code, self.name, self.options)
        _counts.launch(self.name)
        self._emulated(tuple(grid), tuple(block), arguments, shared_mem)


class ElementwiseKernel:
    """``ElementwiseKernel(in_params, out_params, operation, name)``: one expression for each element."""

    def __init__(self, in_params: str, out_params: str, operation: str, name: str = "kernel", reduce_dims: bool = True,
                 preamble: str = "", no_return: bool = False, return_tuple: bool = False) -> None:
        self.name, self.no_return = name, no_return
        self._text = (in_params, out_params, operation, name, preamble)
        self._emulated: Any = None

    def __call__(self, *args: Any, size: int | None = None) -> Any:
        if self._emulated is None:
            from elementwise import emulate_elementwise
            self._emulated = emulate_elementwise(*self._text)
        _counts.launch(self.name)
        result = self._emulated(*[host(argument, f"an argument of {self.name}") for argument in args], size=size)
        if self.no_return:
            return None
        for argument in args:                   # an output that was given comes back itself
            if isinstance(argument, ndarray) and argument._a is result:
                return argument
        return tuple(map(device, result)) if isinstance(result, tuple) else device(result)
