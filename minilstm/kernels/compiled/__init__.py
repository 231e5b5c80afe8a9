"""The fast twins' inner loops, compiled by Numba where it is installed.

NumPy makes a gate in several passes, exp among them, which is slow on processors without AVX-512; a compiled loop reads every
number once, takes it through all the equations of its unit in registers, and writes it once. And a whole block of steps is one
call, in which Python's global interpreter lock is free, so that threads need not wait for each other.

- ``lstm.py``, ``gru.py``, ``rnn.py``: blocks of steps, forward and back; ``activations.py``, ``padding.py``: what they share;
- ``gemm.py``: the matrix product of a step;
- ``layout.py``, ``embedding.py``: what else a training step moves;
- ``jit.py``, ``build.py``, ``library.py``: how they are compiled, once, and called.

Only float32 is compiled: it is what models are trained in, and what short formulas are exact enough for. float64 is for checks
and stays with NumPy. Results do not depend on how rows are cut. ``MINILSTM_NUMBA=0`` in the environment leaves Numba alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

SWITCH = "MINILSTM_NUMBA"           # the environment variable; "0" means NumPy only
HERE = Path(__file__).parent
DTYPES = "f"                        # characters of the dtypes that are compiled
ROWS, PANELS = 4, 4                 # rows of a packed weight matrix side by side, and how many such panels go together
_lock = threading.Lock()


@cache
def _load(char: str) -> tuple[Any | None, str]:
    """Return (the compiled functions, ""), or (None, what is missing), for a dtype's character."""
    with _lock:
        try:
            file = _file(np.dtype(char).name)
            if file is None:
                return None, "there is no folder in which compiled code can be kept"
            if not file.exists():
                _build(file, np.dtype(char).name)
            from minilstm.kernels.compiled.library import load
            return load(file), ""
        except PackageNotFoundError as error:
            return None, f"{error.name} is not installed"
        except Exception as error:      # whatever is wrong with it: nobody needs it to train
            return None, f"{type(error).__name__}: {' '.join(str(error).split())}"


def _file(dtype: str) -> Path | None:
    """Return the file for what these very sources become on this processor, or None: there is no place to keep it.

    Its name is a digest of every source in this folder, of the versions that compile, and of the processor: an edit in any of
    them is noticed.
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
        except (OSError, RuntimeError):     # the second: nobody's home
            continue
    return None


def _build(file: Path, dtype: str) -> None:
    """Let a process of its own compile everything, and say so. Numba refuses versions of NumPy that it does not know."""
    print("minilstm: compiling the fast steps for this processor, once (about 15 s) ...", file=sys.stderr, flush=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-m", f"{__name__}.build", str(file), dtype], env=environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        raise ImportError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])


def why_not() -> str:
    """Return why nothing is compiled, in a few words; "" where it is."""
    return f"{SWITCH}=0" if os.environ.get(SWITCH) == "0" else _load("f")[1]


def words() -> str:
    """Return how steps in float32 are made, for a line above measured times."""
    return "steps in NumPy" if why_not() else f"steps compiled by Numba {version('numba')}"


@contextmanager
def switched_off() -> Iterator[None]:
    """Leave the work to NumPy inside a ``with``, in all threads."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        yield
    finally:
        os.environ.pop(SWITCH)
        os.environ.update({} if before is None else {SWITCH: before})


def functions(*arrays: np.ndarray) -> Any | None:
    """Return the compiled functions, by the names of their files (``functions(x).lstm.forward``), or None: NumPy is to do it.

    There are some for arrays that are all of one dtype, if that is compiled.
    """
    dtype = arrays[0].dtype
    if dtype.char not in DTYPES or any(a.dtype != dtype for a in arrays) or os.environ.get(SWITCH) == "0":
        return None
    return _load(dtype.char)[0]
