"""Load the compiled functions: machine code from a file, called through ctypes.

Numba itself is not imported here, because that would cost almost a second and a hundred megabytes:
``build.py`` has used it once, and llvmlite only loads the result into memory. While a function runs, Python's
global interpreter lock is free.

Numba's own cache has two traps. The results of a function that was just compiled differ in the last bits from
those of the copy that the next process takes from the cache, so a resumed run would differ; here every
process runs the same file. And changes in another file, whose functions are called, are not noticed; here the
file's name contains a digest of all sources.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llvmlite.binding as llvm
import numpy as np

# Kinds of arguments: "array2": a contiguous array of the working dtype, passed with two axes (further axes
# are merged into the last one); "strided3": an array with any strides; "mask2": bool; "index1": int64; "int"
# and "bool": numbers. None is passed as an array without rows.
_NUMBERS: dict[str, Any] = {"int": ctypes.c_int64, "bool": ctypes.c_bool}
_DTYPES = {"mask": np.dtype(bool), "index": np.dtype(np.int64)}
_NOTHING = [ctypes.c_void_p] * 2            # places for a result and an exception

_engines: list[Any] = []                    # keep a reference: the code lives as long as its engine


def axes(kind: str) -> int:
    """Return how many axes an argument of this kind has: 0 for a number."""
    return int(kind[-1]) if kind[-1].isdigit() else 0


def _fields(array: np.ndarray | None, kind: str, dtype: np.dtype) -> tuple[int, ...]:
    """Return an array as compiled code takes it, after checks, since that code has none. Raises TypeError.

    The fields: owner and parent (none), size, size of an element, address, shape, strides.
    """
    wanted, K, strided = _DTYPES.get(kind[:-1], dtype), axes(kind), kind.startswith("strided")
    if array is None:
        return 0, 0, 0, wanted.itemsize, 0, *[0] * (2 * K)
    fits = array.ndim == K if strided else array.ndim >= K and array.flags.c_contiguous
    if array.dtype != wanted or not fits:
        raise TypeError(f"compiled code: expected {kind} of {wanted}, "
                        f"got {array.ndim} axes of {array.dtype}, strides {array.strides}")
    shape, strides = array.shape, array.strides
    if not strided:
        shape, strides = (*shape[:K - 1], math.prod(shape[K - 1:])), (*strides[:K - 1], array.itemsize)
    return 0, 0, array.size, array.itemsize, array.__array_interface__["data"][0], *shape, *strides


def _callable(address: int, kinds: list[str], dtype: np.dtype) -> Callable[..., None]:
    """Return a function that takes arrays and numbers of these kinds."""
    types: list[Any] = list(_NOTHING)
    for kind in kinds:
        types += [_NUMBERS[kind]] if kind in _NUMBERS else [ctypes.c_int64] * (5 + 2 * axes(kind))
    function, nowhere = ctypes.CFUNCTYPE(ctypes.c_int, *types)(address), ctypes.c_void_p()

    def call(*arguments: Any) -> None:
        flat: list[Any] = [ctypes.addressof(nowhere), ctypes.addressof(nowhere)]
        for argument, kind in zip(arguments, kinds, strict=True):
            if kind in _NUMBERS:
                flat.append(argument)
            else:
                flat += _fields(argument, kind, dtype)
        if function(*flat):
            raise RuntimeError("a compiled function failed")
    return call


def load(file: Path) -> Any:
    """Return the functions that ``build.build`` has written into ``file``, as in ``load(file).lstm.forward``.

    Raises ImportError if the file is damaged: LLVM would not raise, but end the process.
    """
    head, _, code = file.read_bytes().partition(b"\n")
    content = json.loads(head)
    if hashlib.sha256(code).hexdigest() != content["sha256"]:
        raise ImportError(f"{file} is damaged; remove it")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_triple(content["triple"]).create_target_machine()
    empty = llvm.parse_assembly(f'target triple = "{content["triple"]}"')
    engine = llvm.create_mcjit_compiler(empty, machine)
    _engines.append(engine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    functions = SimpleNamespace()
    dtype = np.dtype(content["dtype"])
    for name, (symbol, kinds) in content["functions"].items():
        module, _, function = name.partition(".")
        namespace = vars(functions).setdefault(module, SimpleNamespace())
        setattr(namespace, function, _callable(engine.get_function_address(symbol), kinds, dtype))
    return functions
