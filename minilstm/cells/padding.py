"""Padding: where the real steps of each sequence are.

Sequences of different lengths share one array (N, T, ...). ``padding`` says on which side the filling is:

    "post"  x x x x . .        "pre"  . . x x x x        (length 4 of T = 6)

At a padded step the state is carried on unchanged, the output is 0 and no gradient flows. Everything below follows from
one boolean mask, real[t, n]. Lengths on a device are not checked, since reading them would make every step wait: a length
out of range gives as many real steps as fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, get_array_module, to_numpy
from minilstm.backend.checks import as_integers, check_choice, check_shape
from minilstm.backend.errors import ArgumentError

PADDINGS = ("post", "pre")


def check_lengths(lengths: Any, N: int, T: int, padding: str) -> Array:
    """Return ``lengths`` as an array of N integers from 1 to T, on the host, or on the device where they were.

    Raises DtypeError or ShapeError for another kind of array and ArgumentError for a value out of range or an unknown
    ``padding``.
    """
    check_choice("padding", padding, PADDINGS)
    host = as_integers("lengths", lengths)
    check_shape("lengths", host, (N,), "N")
    if backend_name(host) != "numpy":
        return host.astype(np.int64, copy=False)
    wrong = np.flatnonzero((host < 1) | (host > T))
    if wrong.size:
        raise ArgumentError(f"lengths: expected 1 to T={T}, got {int(host[wrong[0]])} for sequence {int(wrong[0])}")
    return host.astype(np.int64)        # T - length must not overflow a caller's uint8


def real_steps(lengths: Any, N: int, T: int, padding: str, like: Array) -> Array | None:
    """Return the mask real (T, N, 1), True at real steps, on the backend of ``like``; None when every step is real."""
    check_choice("padding", padding, PADDINGS)
    if lengths is None:
        return None
    lengths = check_lengths(lengths, N, T, padding)
    if backend_name(like) == "numpy":
        lengths = to_numpy(lengths)
    xp = get_array_module(lengths)
    steps = xp.arange(T)[:, None]
    real = steps < lengths if padding == "post" else steps >= T - lengths
    return None if xp is np and real.all() else asarray(real[:, :, None], backend_name(like))
