"""What objects hold that are no modules, so that no layer hides in one of them."""

from __future__ import annotations

import gc
from collections import deque
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

BOXES: tuple[type, ...] = (list, tuple, deque, dict, set, frozenset, map, type(iter([])))


def held(value: Any) -> list[Any]:
    """Return what an object holds, by itself or in containers."""
    if isinstance(value, (type, ModuleType)):
        return []
    parts: list[Any]
    if isinstance(value, FunctionType):     # whose globals are not theirs
        parts = [cell.cell_contents for cell in value.__closure__ or ()]
    else:
        parts = list(value.flat) if isinstance(value, np.ndarray) else gc.get_referents(value)
    found = parts
    for _ in range(3):
        parts = gc.get_referents(*(part for part in parts if isinstance(part, BOXES)))
        found = found + parts
    return found
