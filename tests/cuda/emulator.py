"""Run CUDA kernels on a CPU: the unmodified source, compiled by g++ with emulator.h in front of it.

``Emulated(source, "name", defines).launch(grid, block, arguments)`` runs one kernel on NumPy arrays. It is stricter than a
device, which takes any bytes for an argument: an array must have the type that the parameter points to, a number exactly the
parameter's type.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from builder import EmulationError, build, macros, preprocessed, with_shim
from elementwise import emulate_elementwise

__all__ = ["Emulated", "EmulationError", "Launch", "emulate", "emulate_elementwise", "kernels", "recorded", "shuffled"]

KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^()]*\)\s*)?(\w+)\s*\(")
STRIP = 2 ** 14         # bytes
TYPES = {"f": np.float32, "d": np.float64, "i": np.int32, "l": np.int64, "B": np.uint8}


class Launch(NamedTuple):
    """One launch of a kernel; arrays as they were before it."""

    source: str
    flags: tuple[str, ...]
    name: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[Any, ...]


_records: list[list[Launch]] = []       # of the open ``recorded``
_seeds: list[int] = [0]                 # the last one counts


@contextmanager
def recorded() -> Iterator[list[Launch]]:
    """Keep what is launched inside the ``with``."""
    launches: list[Launch] = []
    _records.append(launches)
    try:
        yield launches
    finally:
        _records.pop()


@contextmanager
def shuffled(seed: int) -> Iterator[None]:
    """Threads and blocks take turns in a random order inside the ``with``."""
    _seeds.append(seed)
    try:
        yield
    finally:
        _seeds.pop()


def kernels(source: str) -> list[str]:
    """Return the names of the kernels in a source, in order."""
    return KERNEL.findall(source)


@cache
def _library(text: str, flags: tuple[str, ...]) -> ctypes.CDLL:
    """Load a source with all its kernels."""
    names = kernels(preprocessed(text, flags))
    wrappers = "\n".join(f"EMULATE({name})" for name in names)
    return ctypes.CDLL(str(build(with_shim(text, wrappers), [*flags, "-shared", "-fPIC"], ".so")))


class Memory:
    """The arrays of one launch in memory of their own, between two strips in which a kernel must not write.

    A kernel that reads from the strips gets NaN. An array that is passed twice is stored once, as on a device.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, list[str]]] = {}

    def put(self, array: np.ndarray, code: str, what: str) -> int:
        """Return the address of a copy of an array; ``code``: P where the kernel writes into it, else C."""
        place = array.ctypes.data, array.nbytes
        for (start, size), (_, _, codes) in self._places.items():
            apart = start + size <= place[0] or place[0] + place[1] <= start
            if not apart and (start, size) != place and "P" in (code, *codes):
                raise EmulationError(f"{what}: the array overlaps another one, and one of them is written to")
        if place not in self._places:
            strip = np.full(array.nbytes + 2 * STRIP, 255, np.uint8)
            strip[STRIP:STRIP + array.nbytes] = array.reshape(-1).view(np.uint8)
            self._places[place] = array, strip, []
        self._places[place][2].append(code)
        return self._places[place][1].ctypes.data + STRIP

    def take_back(self, what: str) -> None:
        """Copy back what kernels may write to. Raises EmulationError where one wrote outside an array."""
        for array, strip, codes in self._places.values():
            if (strip[:STRIP] != 255).any() or (strip[STRIP + array.nbytes:] != 255).any():
                raise EmulationError(f"{what} wrote outside an array of shape {array.shape}")
            if "P" in codes:
                array[...] = strip[STRIP:STRIP + array.nbytes].view(array.dtype).reshape(array.shape)


def _argument(code: str, value: Any, what: str, memory: Memory) -> Any:
    """Check one argument against its parameter's code (see emulator.h) and return it as a C value."""
    if code[0] in "PC":
        if isinstance(value, np.ndarray):
            expected = TYPES[code[1]]
            fits = value.dtype == expected or (code[1] == "B" and value.dtype == np.bool_)
            if not fits:
                raise EmulationError(f"{what}: expected an array of {np.dtype(expected)}, got {value.dtype}")
            if not value.flags.c_contiguous:
                raise EmulationError(f"{what}: the array is not contiguous")
            return ctypes.c_void_p(memory.put(value, code[0], what))
        if value is None or (isinstance(value, np.generic) and value.itemsize == 8 and value == 0):
            return ctypes.c_void_p(None)
        raise EmulationError(f"{what}: expected an array or a null pointer, got {value!r}")
    dtype = np.dtype(TYPES[code])
    if isinstance(value, (bool, int, float)):           # as CuPy sends them
        value = np.float64(value) if isinstance(value, float) else np.int64(value)
    if not isinstance(value, np.generic) or value.dtype != dtype:
        raise EmulationError(f"{what}: expected {dtype}, got {getattr(value, 'dtype', type(value).__name__)}")
    return {"f": ctypes.c_float, "d": ctypes.c_double, "i": ctypes.c_int32, "l": ctypes.c_int64,
            "B": ctypes.c_uint8}[code](value.item())


class Emulated:
    """One kernel of a CUDA source, given as text or as a file.

    ``defines``: macros, as a dict or as compiler options. Raises EmulationError where g++ is missing or does not compile it.
    """

    def __init__(self, source: str | Path, name: str, defines: Mapping[str, Any] | Iterable[str] = ()) -> None:
        self.text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
        self.name, self.flags = name, tuple(macros(defines))
        library = _library(self.text, self.flags)
        if not hasattr(library, f"{name}_launch"):
            raise EmulationError(f"there is no kernel {name} in the source")
        self._launch, signature = getattr(library, f"{name}_launch"), getattr(library, f"{name}_signature")
        self._launch.restype = signature.restype = ctypes.c_char_p
        self.parameters = signature().decode().split()

    def check(self, arguments: Iterable[Any], memory: Memory) -> list[Any]:
        """Return the arguments as C values. Raises EmulationError where one does not fit its parameter."""
        given = list(arguments)
        if len(given) != len(self.parameters):
            raise EmulationError(f"{self.name} takes {len(self.parameters)} arguments, got {len(given)}")
        return [_argument(code, value, f"{self.name}: argument {k}", memory)
                for k, (code, value) in enumerate(zip(self.parameters, given))]

    def launch(self, grid: Any, block: Any, arguments: Iterable[Any], shared: int = 0, *,
               seed: int | None = None) -> None:
        """Run the kernel. ``seed``: of the random order of threads and blocks; 0: their natural order; None: see ``shuffled``.

        Raises EmulationError where arguments do not fit, some threads return while others wait at a
        barrier, or the kernel writes outside an array.
        """
        if shared:
            raise EmulationError(f"{self.name}: shared memory of a size given at launch is not emulated")
        given, memory = list(arguments), Memory()
        checked = self.check(given, memory)
        for launches in _records:
            launches.append(Launch(self.text, self.flags, self.name, tuple(grid), tuple(block),
                                   tuple(x.copy() if isinstance(x, np.ndarray) else x for x in given)))
        seed = _seeds[-1] if seed is None else seed
        values = (ctypes.c_void_p * len(checked))(*(ctypes.addressof(argument) for argument in checked))
        sizes = [(ctypes.c_uint * 3)(*(list(size) + [1, 1])[:3]) for size in (grid, block)]
        wrong = self._launch(*sizes, values, ctypes.c_uint64(seed * 0x9E3779B97F4A7C15 % 2 ** 64))
        if wrong is not None:
            raise EmulationError(f"{self.name}: {wrong.decode()}")
        memory.take_back(self.name)


@cache
def _emulated(code: str, name: str, options: tuple[str, ...]) -> Emulated:
    return Emulated(code, name, options)


def emulate(code: str, name: str, options: Iterable[str] = ()) -> Any:
    """Return what runs a kernel as CuPy's RawKernel does: ``kernel(grid, block, arguments, shared)``."""
    return _emulated(code, name, tuple(options)).launch
