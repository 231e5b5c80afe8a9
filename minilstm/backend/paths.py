"""Paths as a user writes them, and where code lies that is not a user's."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np

from minilstm.backend.errors import ArgumentError, DtypeError

# Code in these folders is never what a student can mend: this package, NumPy, the standard library, what is
# installed.
NOT_THEIRS = tuple(f"{folder}{os.sep}" for folder in (
    Path(__file__).parents[1], Path(np.__file__).parent,
    *(Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib", "platlib"))))


def as_path(name: str, path: Any) -> Path:
    """Return ``path`` as a Path; a leading ``~`` stands for a home folder.

    Raises DtypeError for what is no path (open() would take a number for a file descriptor), ArgumentError
    for a ``~`` without a home folder. Whether the file can exist is not checked.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise DtypeError(f"{name}: expected a path, got {path!r}")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ArgumentError(f"{name}: {os.fspath(path)}: there is no such home folder") from None
