"""Paths as a user writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minilstm.backend.errors import ArgumentError, DtypeError


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
