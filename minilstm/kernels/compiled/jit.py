"""Register the functions of this folder; ``build.py`` compiles them, in a separate process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.extending import register_jitable

OPTIONS: Any = {
    "fastmath": {"contract"},       # x * y + z may be one instruction; nothing else is rearranged
    "error_model": "numpy",         # x / 0 is an infinity, not an exception
}

# "lstm.forward": the function and the kinds of its arguments.
REGISTERED: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {}

inside = register_jitable(**OPTIONS)        # for functions that only compiled ones call


def compiled(*kinds: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function that returns nothing; ``kinds`` of its arguments: see ``library.py``."""
    def register(function: Callable[..., None]) -> Callable[..., None]:
        REGISTERED[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = function, kinds
        return function
    return register
