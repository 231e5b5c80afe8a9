"""Initialisation of weights, by name.

``init="default"`` is what Keras uses for its recurrent layers: Glorot-uniform input weights, orthogonal
recurrent weights, forget bias 1, other biases 0, embeddings uniform in ±0.05. ``init="uniform"`` is what
PyTorch uses: everything in a recurrent layer uniform in ±1/√H, Linear uniform in ±1/√D, embeddings standard
normal. ``init="chrono"``, for recurrent layers with a gate that keeps the state, is the default with other
biases. All draws are made on the host in float64, so a seed gives the same weights on every backend and
(rounded) in every dtype.

Sources: Glorot & Bengio 2010 (Glorot), Saxe et al. 2014 (orthogonal), Jozefowicz et al. 2015 (forget bias 1),
Tallec & Ollivier 2018 (chrono).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilstm.backend.checks import check_choice, check_positive_int
from minilstm.backend.errors import ArgumentError
from minilstm.cells.gates import gate_columns

INITS = ("default", "uniform")
RECURRENT_INITS = (*INITS, "chrono")


def uniform(rng: np.random.Generator, shape: tuple[int, ...], bound: float) -> np.ndarray:
    """Return values uniform in [-bound, bound)."""
    return rng.uniform(-bound, bound, shape)


def glorot_uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    """Return a (fan_in, fan_out) matrix uniform in ±√(6 / (fan_in + fan_out))."""
    return uniform(rng, (fan_in, fan_out), math.sqrt(6.0 / (fan_in + fan_out)))


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return a (rows, columns) matrix whose shorter side is orthonormal, uniform over such matrices.

    It is Q of a Gaussian matrix, with the signs of R's diagonal moved into Q: QR's own signs are not uniform.
    """
    tall = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))
    return q if rows >= columns else q.T


def check_recurrent_init(who: str, init: Any, t_max: Any, keep_gate: str) -> None:
    """Raise ArgumentError unless a recurrent layer, of class ``who``, can be initialised that way."""
    check_choice("init", init, RECURRENT_INITS)
    if init != "chrono":
        if t_max is not None:
            raise ArgumentError(f"t_max: goes with init=\"chrono\", not with {init!r}")
        return
    if not keep_gate:
        raise ArgumentError(f"init: {who} has no gate that keeps its state, so there is no \"chrono\"; "
                            "LSTM and GRU have one")
    if check_positive_int("t_max", t_max) < 3:          # a smaller one allows no log(u) above 0
        raise ArgumentError(f"t_max: expected a whole number of at least 3 (steps), got {t_max}")


def chrono_bias(rng: np.random.Generator, units: int, t_max: int) -> np.ndarray:
    """Return log(u), u uniform in [1, t_max - 1]: biases of gates that keep a state for about u steps.

    A gate σ(b) forgets in about 1 / (1 - σ(b)) = 1 + e^b steps. An LSTM's input gate gets the negative of it.
    """
    return np.log(rng.uniform(1, t_max - 1, units))


def recurrent_weights(rng: np.random.Generator, D: int, H: int, gates: tuple[str, ...],
                      biases: tuple[str, ...], *, init: str, t_max: int | None,
                      keep_gate: str) -> tuple[np.ndarray, np.ndarray]:
    """Return W (H+D, G·H), rows [h; x], and b (B·H,) of one cell with G gates and B biases."""
    columns, entries = len(gates) * H, len(biases) * H
    if init == "uniform":
        bound = 1.0 / math.sqrt(H)
        return uniform(rng, (H + D, columns), bound), uniform(rng, (entries,), bound)
    W = np.concatenate([orthogonal(rng, H, columns), glorot_uniform(rng, D, columns)])
    b = np.zeros(entries)
    if t_max is not None:
        keep = chrono_bias(rng, H, t_max)
        b[gate_columns(biases, keep_gate, H)] = keep
        if "i" in biases:                   # i starts at 1 - f: the more is kept, the less comes in
            b[gate_columns(biases, "i", H)] = -keep
    elif "f" in biases:                     # σ(1) = 0.73: a new LSTM remembers
        b[gate_columns(biases, "f", H)] = 1.0
    return W, b
