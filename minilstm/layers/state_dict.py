"""State dicts: check names, shapes, kinds of numbers and finiteness of a dict of arrays before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import is_array
from minilstm.backend.errors import CheckpointError


def check_entries(state: Mapping[str, Any], expected: Mapping[str, tuple[tuple[int, ...], np.dtype]], what: str) -> None:
    """Raise CheckpointError unless ``state`` has exactly the expected names, shapes and dtype kinds, all finite."""
    missing, extra = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    if missing or extra:
        words = [f"{label} {', '.join(names)}" for label, names in (("missing", missing), ("unexpected", extra)) if names]
        raise CheckpointError(f"{what} names do not match the model: {'; '.join(words)}")
    for name, (shape, dtype) in expected.items():
        value = state[name] if not is_array(state[name]) else to_numpy(state[name])
        if not is_array(value) or value.dtype.kind != dtype.kind:
            got = getattr(value, "dtype", type(value).__name__)
            raise CheckpointError(f"{what} {name}: expected dtype {dtype}, got {got}")
        if tuple(value.shape) != shape:
            raise CheckpointError(f"{what} {name}: expected shape {shape}, got {tuple(value.shape)}")
        with np.errstate(over="ignore"):    # 1e300 is finite, but not in float32
            finite = dtype.kind not in "fc" or np.isfinite(value.astype(dtype)).all()
        if not finite:
            raise CheckpointError(f"{what} {name}: holds NaN or infinite values")
