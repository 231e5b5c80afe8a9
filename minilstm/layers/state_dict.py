"""State dicts: check names, shapes, kinds of numbers and finiteness of a dict of arrays before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import as_array
from minilstm.backend.errors import CheckpointError, DtypeError


def check_entries(state: Mapping[str, Any], expected: Mapping[str, tuple[tuple[int, ...], np.dtype]],
                  what: str) -> dict[str, np.ndarray]:
    """Return the entries of ``state`` as host arrays of the expected dtypes.

    Raises CheckpointError unless ``state`` has exactly the expected names, shapes and dtype kinds, all finite.
    """
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{what}s: expected a dict of arrays by name, got {type(state).__name__}")
    missing, extra = (sorted(map(str, a)) for a in (set(expected) - set(state), set(state) - set(expected)))
    if missing or extra:
        words = [f"{label} {', '.join(names)}" for label, names in (("missing", missing), ("unexpected", extra)) if names]
        raise CheckpointError(f"{what} names do not match the model: {'; '.join(words)}")
    found = {}
    for name, (shape, dtype) in expected.items():
        try:
            value = to_numpy(as_array(f"{what} {name}", state[name]))
        except DtypeError as error:
            raise CheckpointError(str(error)) from None
        if value.dtype.kind != dtype.kind:
            raise CheckpointError(f"{what} {name}: expected dtype {dtype}, got {value.dtype}")
        if tuple(value.shape) != shape:
            raise CheckpointError(f"{what} {name}: expected shape {shape}, got {tuple(value.shape)}")
        with np.errstate(over="ignore"):    # 1e300 is finite, but not in float32
            found[name] = value.astype(dtype)
        if dtype.kind in "fc" and not np.isfinite(found[name]).all():
            raise CheckpointError(f"{what} {name}: holds NaN or infinite values")
    return found
