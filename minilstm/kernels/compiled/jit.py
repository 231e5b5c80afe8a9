"""How the functions of this folder are compiled, and where the result is kept for the next process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.extending import register_jitable

from minilstm.kernels.compiled.blas import find

HERE = Path(__file__).parent
OPTIONS: Any = {
    "nogil": True,
    "fastmath": {"contract"},       # x * y + z may be one instruction; nothing else is rearranged
    "error_model": "numpy",         # x / 0 is an infinity, not an exception
}

inside = register_jitable(**OPTIONS)        # for functions that only compiled ones call


def _folder() -> str:
    """Return a folder for what these very sources become with this BLAS: Numba looks at a function's own file alone."""
    sources = b"".join(file.read_bytes() for file in sorted(HERE.glob("*.py"))) + find().file.encode()
    beside = HERE / "__pycache__" if os.access(HERE, os.W_OK) else Path.home() / ".cache" / "minilstm"
    return str(beside / hashlib.sha256(sources).hexdigest()[:16])


_FOLDER = _folder()
_config: Any = numba.config


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called, and keep the result where there is a place for it."""
    before, _config.CACHE_DIR = _config.CACHE_DIR, _config.CACHE_DIR or _FOLDER
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except (RuntimeError, OSError):         # nothing can be written anywhere
        return numba.njit(**OPTIONS)(function)
    finally:
        _config.CACHE_DIR = before
