"""Seeds: every random number comes from a NumPy Generator on the host, made here from what the caller gave.

Drawing on the host and uploading makes a seed give the same numbers on every backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.checks import is_whole
from minilstm.backend.errors import ArgumentError


def as_generator(rng: Any) -> np.random.Generator:
    """Return a generator: ``rng`` itself, or seeded with the int ``rng``, or with fresh entropy (None)."""
    if rng is None or isinstance(rng, np.random.Generator):
        return np.random.default_rng(rng)
    if is_whole(rng) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise ArgumentError("rng: expected None, a whole number of at least 0 or a numpy.random.Generator, "
                        f"got {rng!r}")
