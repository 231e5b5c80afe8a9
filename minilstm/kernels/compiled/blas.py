"""NumPy's own BLAS library, for compiled loops to call: Numba cannot call ``np.matmul`` outside the interpreter's lock.

The library is loaded already, and its functions have addresses. ImportError where none is found: only OpenBLAS is looked into,
which the wheels of NumPy bring along for all but newer Macs.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from minilstm.kernels.threads import blas

# How functions are named by NumPy's wheels and by Linux distributions, and how many bits their integers have.
FORMS = {"scipy_cblas_{}64_": 64, "cblas_{}64_": 64, "scipy_cblas_{}": 32, "cblas_{}": 32}


class Library(NamedTuple):
    """A BLAS library: its handle, its file's name, and the form of its functions' names."""

    handle: Any
    file: str
    form: str

    @property
    def bits(self) -> int:
        """Of its integers."""
        return FORMS[self.form]

    def address(self, name: str) -> int:
        """Return where the function ``name`` ("sgemm") is."""
        return int(ctypes.cast(getattr(self.handle, self.form.format(name)), ctypes.c_void_p).value or 0)


@cache
def find() -> Library:
    """Return the library, NumPy's own before one that another package brought. Raises ImportError."""
    found = [library for library in blas().lib_controllers if library.internal_api == "openblas"]
    for library in sorted(found, key=lambda library: "numpy" not in library.filepath):
        handle = ctypes.CDLL(library.filepath)
        for form in FORMS:
            if hasattr(handle, form.format("sgemm")):
                return Library(handle, Path(library.filepath).name, form)
    raise ImportError("this NumPy does not multiply with OpenBLAS")


def announce_blas() -> None:
    """Tell LLVM where the functions are that compiled code calls ``minilstm_sgemm`` and ``minilstm_dgemm``."""
    import llvmlite.binding as llvm
    library = find()
    for name in ("sgemm", "dgemm"):
        llvm.add_symbol(f"minilstm_{name}", library.address(name))
