"""Initialisation of weights, by name.

``init="default"`` is what Keras uses for its recurrent layers: Glorot-uniform input weights, orthogonal recurrent weights,
forget bias 1, other biases 0, embeddings uniform in ±0.05. ``init="uniform"`` is what PyTorch uses: everything in a
recurrent layer uniform in ±1/√H, Linear uniform in ±1/√D, embeddings standard normal. ``init="chrono"``, for recurrent layers
with a gate that keeps the state, is the default with other biases. All draws are made on the host in float64, so a seed
gives the same weights on every backend and (rounded) in every dtype.

Sources: Glorot & Bengio 2010 (Glorot), Saxe et al. 2014 (orthogonal), Jozefowicz et al. 2015 (forget bias 1), Tallec &
Ollivier 2018 (chrono).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilstm.backend.checks import check_positive_int
from minilstm.backend.errors import ArgumentError

INITS = ("default", "uniform")
RECURRENT_INITS = (*INITS, "chrono")


def uniform(rng: np.random.Generator, shape: tuple[int, ...], bound: float) -> np.ndarray:
    """Return values uniform in [-bound, bound)."""
    return rng.uniform(-bound, bound, shape)


def glorot_uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    """Return a (fan_in, fan_out) matrix uniform in ±√(6 / (fan_in + fan_out))."""
    return uniform(rng, (fan_in, fan_out), math.sqrt(6.0 / (fan_in + fan_out)))


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return a (rows, columns) matrix whose shorter side is orthonormal, uniformly distributed over such matrices.

    QR decomposition of a Gaussian matrix, with the signs of R's diagonal moved into Q; otherwise QR's own sign convention
    would make the distribution non-uniform.
    """
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))
    return q if rows >= columns else q.T


def check_t_max(t_max: Any) -> None:
    """Raise ArgumentError unless ``t_max`` is a whole number of at least 3; a smaller one allows no log(u) above 0."""
    if check_positive_int("t_max", t_max) < 3:
        raise ArgumentError(f"t_max: expected a whole number of at least 3 (steps), got {t_max}")


def chrono_bias(rng: np.random.Generator, units: int, t_max: int) -> np.ndarray:
    """Return log(u), u uniform in [1, t_max - 1]: biases of gates that keep a state for about u steps.

    A gate σ(b) forgets in about 1 / (1 - σ(b)) = 1 + e^b steps. An LSTM's input gate gets the negative of it.
    """
    return np.log(rng.uniform(1, t_max - 1, units))
