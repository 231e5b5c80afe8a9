"""Compile and launch CUDA kernels, after checking their arguments; no other module launches kernels.

A kernel receives bare addresses: a wrong dtype, a transposed view or a short array would give wrong numbers
or overwrite other memory, and a Python number may not have the size that the kernel expects. Each array is
therefore passed together with the shape and dtype that the kernel expects, and each number is converted to
exactly the kernel's type.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array, require
from minilstm.backend.errors import BackendError, DtypeError, ShapeError

REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}     # the dtypes of the kernels
NULL = np.uint64(0)             # a null pointer: the argument that is not given
INT_MAX = 2 ** 31 - 1
THREADS = 256                   # of a block, where a kernel has one thread for each number


def takes(*arrays: Array) -> bool:
    """Return whether kernels exist for these arrays: contiguous, all of one dtype, float32 or float64."""
    return all(x.dtype in REALS and x.dtype == arrays[0].dtype and x.flags.c_contiguous for x in arrays)


class Pointer(NamedTuple):
    """An array argument of a kernel, with the shape and dtype that the kernel expects."""

    array: Array | None         # None: a null pointer
    shape: tuple[int, ...]
    dtype: Any = None           # None: the dtype that the kernel was compiled for


class Kernel(NamedTuple):
    """A compiled kernel."""

    name: str
    dtype: np.dtype
    function: Any


def source(file: str) -> str:
    """Return the CUDA source of ``file`` ("lstm", ...), preceded by the shared code of common.cu."""
    folder = Path(__file__).parent
    return "\n".join((folder / f"{name}.cu").read_text(encoding="utf-8") for name in ("common", file))


def options(dtype: np.dtype, defines: dict[str, Any]) -> tuple[str, ...]:
    """Return the compiler's options: the floating point type and further macros."""
    macros = {"REAL": REALS[np.dtype(dtype)], **dict(sorted(defines.items()))}
    return tuple(f"-D{name}={value}" for name, value in macros.items())


@cache
def _module(cupy: Any, file: str, flags: tuple[str, ...]) -> Any:
    return cupy.RawModule(code=source(file), options=flags)     # compiled at first use, once for each device


@cache
def _function(cupy: Any, file: str, flags: tuple[str, ...], name: str) -> Any:
    return _module(cupy, file, flags).get_function(name)


def kernel(file: str, name: str, dtype: Any, **defines: Any) -> Kernel:
    """Return the kernel ``name`` of a source file, compiled for a floating point dtype and with these macros.

    Raises DtypeError for a dtype that there are no kernels for, BackendError where CuPy or a GPU is missing.
    """
    dtype = np.dtype(dtype)
    if dtype not in REALS:
        raise DtypeError(f"{name}: there are CUDA kernels for float32 and float64, not for {dtype}")
    return Kernel(name, dtype, _function(require("cupy"), file, options(dtype, defines), name))


@cache
def _multiprocessors(cupy: Any, device: int) -> int:
    return int(cupy.cuda.Device(device).attributes["MultiProcessorCount"])


def multiprocessors() -> int:
    """Return the minimum number of thread blocks that the current device can run in parallel."""
    cupy = require("cupy")
    return _multiprocessors(cupy, current_device())


def current_device() -> int:
    """Return the number of the device that launches go to."""
    return int(require("cupy").cuda.Device().id)


def device_of(array: Array) -> int:
    """Return the number of the device that an array is on."""
    return int(array.device.id)


def _checked(kernel: Kernel, position: int, argument: Any) -> Any:
    """Return one argument in the form that the launch needs."""
    what = f"{kernel.name}: argument {position}"
    if isinstance(argument, (int, np.integer)) and not isinstance(argument, (bool, np.uint64, np.int64)):
        if not -INT_MAX <= argument <= INT_MAX:
            raise ShapeError(f"{what}: {argument} does not fit into 32 bits")
        return np.int32(argument)
    if isinstance(argument, (np.int64, np.float32, np.float64)):        # already have their final type
        return argument
    if not isinstance(argument, Pointer):
        raise DtypeError(f"{what}: expected an int, a NumPy number or a Pointer, "
                         f"got {type(argument).__name__}")
    array, shape, dtype = argument
    if array is None:
        return NULL
    dtype = kernel.dtype if dtype is None else np.dtype(dtype)
    if array.dtype != dtype:
        raise DtypeError(f"{what}: expected {dtype}, got {array.dtype}")
    if tuple(array.shape) != shape:
        raise ShapeError(f"{what}: expected shape {shape}, got {tuple(array.shape)}")
    if not array.flags.c_contiguous:
        raise BackendError(f"{what}: the array of shape {shape} is not contiguous")
    if device_of(array) != current_device():
        raise BackendError(f"{what}: the array is on device {device_of(array)}, "
                           f"the current device is {current_device()}")
    return array


def prepare(kernel: Kernel, blocks: int | tuple[int, int], threads: int,
            *arguments: Any) -> Callable[..., None]:
    """Check the arguments once and return a function that launches the kernel.

    That function takes further ints, such as the step. ``blocks``: size of the grid, (x, y) or x; if it is 0,
    nothing is launched. ``arguments``: Pointers, ints (converted to 32 bits) and NumPy numbers (passed
    unchanged).

    Raises DtypeError, ShapeError or BackendError, naming the kernel and the argument.
    """
    grid = blocks if isinstance(blocks, tuple) else (blocks, 1)
    fixed = tuple(_checked(kernel, position, argument) for position, argument in enumerate(arguments))

    def launch(*more: int) -> None:
        if all(grid):
            kernel.function((*grid, 1), (threads, 1, 1), (*fixed, *(np.int32(number) for number in more)))
    return launch


def launch(kernel: Kernel, blocks: int | tuple[int, int], threads: int, *arguments: Any) -> None:
    """Launch a kernel once. See ``prepare``."""
    prepare(kernel, blocks, threads, *arguments)()


def blocks_for(size: int) -> int:
    """Return the number of blocks that gives each of ``size`` numbers a thread."""
    return -(-size // THREADS)
