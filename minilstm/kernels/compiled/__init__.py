"""The inner loops of the fast versions, compiled by Numba if it is installed.

NumPy computes a gate in several passes over memory, including exp, which is slow on processors without
AVX-512. A compiled loop reads every number once, evaluates all equations of its unit in registers, and writes
the result once. In addition, a whole block of steps is one call that releases Python's global interpreter
lock, so threads do not wait for each other.

- ``lstm.py``, ``gru.py``, ``rnn.py``: blocks of steps, forward and back; ``activations.py``, ``padding.py``:
  what they share;
- ``gemm.py``: the matrix product of a step; ``layout.py``: copies; ``vectors.py``: what these two share;
- ``embedding.py``: its gradient;
- ``jit.py``, ``build.py``, ``library.py``: how they are compiled, once, and called.

Only float32 is compiled: models are trained in float32, and short approximations are accurate enough for it.
float64 is used for checks and is computed by NumPy. Results do not depend on how rows are cut. The
environment variable ``MINILSTM_NUMBA=0`` turns Numba off.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from minilstm.backend.errors import one_line
from minilstm.backend.notebook import in_notebook

SWITCH = "MINILSTM_NUMBA"           # the environment variable; "0" means NumPy only
HERE = Path(__file__).parent
DTYPES = "f"                        # characters of the dtypes that are compiled
ROWS = 4                            # rows of W that are packed side by side: a panel
PANELS = 4                          # panels that are used together
_lock = threading.Lock()


@cache
def _load(char: str) -> tuple[Any | None, str]:
    """Return (the compiled functions, ""), or (None, what is missing), for a dtype's character."""
    with _lock:
        try:
            file = _file(np.dtype(char).name)
            if file is None:
                return None, "there is no folder where compiled code can be stored"
            if not file.exists():
                _build(file, np.dtype(char).name)
            from minilstm.kernels.compiled.library import load
            return load(file), ""
        except PackageNotFoundError as error:
            return None, f"{error.name} is not installed"
        except Exception as error:      # any error: training works without Numba
            return None, f"{type(error).__name__}: {one_line(error)}"


def _file(dtype: str) -> Path | None:
    """Return the file for these sources, compiled for this processor, or None if no folder can keep it.

    The file's name is a digest of all sources in this folder, the versions of Numba and llvmlite, the dtype
    and the processor, so a change in any of them is noticed.
    """
    versions = [version("numba"), version("llvmlite")]
    import llvmlite.binding as llvm

    sources = [file.read_bytes() for file in sorted(HERE.glob("*.py"))]
    words = [dtype, *versions, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    name = hashlib.sha256(b"".join(sources) + "|".join(words).encode()).hexdigest()[:24] + ".o"
    for find in (lambda: HERE / "__pycache__", lambda: Path.home() / ".cache" / "minilstm"):
        try:
            folder = find()
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK) or (folder / name).exists():
                return folder / name
        except (OSError, RuntimeError):     # RuntimeError: no home folder
            continue
    return None


def _build(file: Path, dtype: str) -> None:
    """Compile everything in a separate process, after printing a message.

    Raises ImportError if this fails, for example because Numba does not support the NumPy version.
    """
    import subprocess  # here, because not every Python has it (Pyodide)

    print("minilstm: compiling the fast steps for this processor, once (about 15 s) ...",
          file=sys.stdout if in_notebook() else sys.stderr, flush=True)
    command = [sys.executable, "-m", f"{__name__}.build", str(file), dtype]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ImportError(lines[-1] if lines else f"exit status {done.returncode}")


def why_not() -> str:
    """Return the reason why nothing is compiled, or "" if it is."""
    return f"{SWITCH}=0" if os.environ.get(SWITCH) == "0" else _load("f")[1]


def words() -> str:
    """Return how steps in float32 are computed, for a line above measured times."""
    return "steps in NumPy" if why_not() else f"steps compiled by Numba {version('numba')}"


@contextmanager
def switched_off() -> Iterator[None]:
    """Use NumPy instead of compiled code inside a ``with`` block, in all threads."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        yield
    finally:
        os.environ.pop(SWITCH)
        os.environ.update({} if before is None else {SWITCH: before})


def functions(*arrays: np.ndarray) -> Any | None:
    """Return the compiled functions, by the names of their files (``functions(x).lstm.forward``).

    They exist for arrays that all have the same dtype, if that dtype is compiled; otherwise, None.
    """
    dtype = arrays[0].dtype
    if dtype.char not in DTYPES or any(a.dtype != dtype for a in arrays) or os.environ.get(SWITCH) == "0":
        return None
    return _load(dtype.char)[0]
