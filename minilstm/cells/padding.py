"""Padding: where the real steps of each sequence are.

Sequences of different lengths share one array (N, T, ...). ``padding`` says on which side the filling is:

    "post"  x x x x . .        "pre"  . . x x x x        (length 4 of T = 6)

At a padded step the state is carried on unchanged, the output is 0 and no gradient flows. Everything below
follows from one boolean mask, real[t, n]. Lengths on a device are not checked, since reading them would make
every step wait: a length out of range gives as many real steps as fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, asarray, backend_name, get_array_module, to_numpy
from minilstm.backend.checks import as_integers, check_choice, check_shape
from minilstm.backend.errors import ArgumentError

PADDINGS = ("post", "pre")


def check_padding(padding: Any) -> None:
    """Raise ArgumentError unless ``padding`` is "post" or "pre"."""
    check_choice("padding", padding, PADDINGS)


def check_lengths(lengths: Any, N: int, T: int) -> Array:
    """Return ``lengths`` as an array of N integers from 1 to T, on the host or the device where they were.

    Raises DtypeError or ShapeError for another kind of array and ArgumentError for a value out of range.
    """
    host = as_integers("lengths", lengths)
    check_shape("lengths", host, (N,), "N")
    if backend_name(host) != "numpy":
        return host.astype(np.int64, copy=False)
    wrong = np.flatnonzero((host < 1) | (host > T))
    if wrong.size:
        n = int(wrong[0])
        raise ArgumentError(f"lengths: expected 1 to T={T}, got {int(host[n])} for sequence {n}")
    return host.astype(np.int64)        # T - length must not overflow a caller's uint8


def real_steps(lengths: Array | None, T: int, padding: str, like: Array) -> Array | None:
    """Return the mask real (T, N, 1), True at real steps, on the backend of ``like``; None: all are real.

    ``lengths`` are as ``check_lengths`` returns them, or None: all steps are real.
    """
    if lengths is None:
        return None
    if backend_name(like) == "numpy":
        lengths = to_numpy(lengths)
    xp = get_array_module(lengths)
    steps = xp.arange(T)[:, None]
    real = steps < lengths if padding == "post" else steps >= T - lengths
    return None if xp is np and real.all() else asarray(real[:, :, None], backend_name(like))


def without_padding(x: Array, real: Array | None) -> Array:
    """Return x (T, N, D) with 0 at padded steps, where it may hold anything, even NaN."""
    return x if real is None else get_array_module(x).where(real, x, 0)
