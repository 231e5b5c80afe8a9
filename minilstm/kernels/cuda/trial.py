"""A trial of each family of kernels before it is used: their numbers are not taken on trust.

No card has run them yet. On first use in a process, a tiny problem is computed by the kernels and on the
host, and the results are compared. If they differ, or a kernel cannot be compiled or launched, one warning
says so, and the readable functions compute instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilstm.backend.arrays import Array, require, to_numpy
from minilstm.backend.errors import one_line
from minilstm.cells import gru, lstm, rnn
from minilstm.cells.gates import SequencePair
from minilstm.kernels import cuda
from minilstm.kernels.cuda.adam import adam_on_device
from minilstm.kernels.cuda.embedding import add_on_device

BOUNDS = {"f": 1e-4, "d": 1e-9}         # of the largest difference, relative to max(1, the largest number)
READABLE = {
    "lstm": SequencePair(lstm.lstm_forward, lstm.lstm_backward),
    "gru": SequencePair(gru.gru_forward, gru.gru_backward),
    "rnn": SequencePair(rnn.rnn_forward, rnn.rnn_backward),
}
FAMILIES = (*READABLE, "embedding", "adam")
Trial = Callable[[np.dtype, Callable[[Any], Array]], Iterator[tuple[Array, np.ndarray]]]
_reasons: dict[tuple[str, str, int], str] = {}      # why not, by family, dtype and array module; "": trusted


def trusted(family: str, dtype: Any) -> bool:
    """Return whether a family of kernels gives the right numbers in a dtype; the first call tries it."""
    return not why_not(family, dtype)


def why_not(family: str, dtype: Any) -> str:
    """Return why a family of kernels is not used in a dtype, or "" if it is; the first call warns of it."""
    dtype, cupy = np.dtype(dtype), require("cupy")
    key = family, dtype.char, id(cupy)
    if key not in _reasons:
        _reasons[key] = _try(family, dtype, cupy)
        if _reasons[key]:
            warnings.warn(f"minilstm: the CUDA kernels of {family} are not used in {dtype}: {_reasons[key]}. "
                          "The readable functions compute instead, which is slower. "
                          "See python -m minilstm doctor", stacklevel=4)
    return _reasons[key]


def _try(family: str, dtype: np.dtype, cupy: Any) -> str:
    worst = 0.0
    try:
        for got, want in TRIALS[family](dtype, cupy.asarray):
            got = to_numpy(got).astype(np.float64)
            if got.shape != want.shape or not np.isfinite(got).all():
                return "they give other shapes, or NaN"
            worst = max(worst, float(np.abs(got - want).max()) / max(1.0, float(np.abs(want).max())))
    except Exception as error:          # CuPy's compiler, driver and runtime have errors of their own
        return f"{type(error).__name__}: {one_line(error)}"
    return "" if worst <= BOUNDS[dtype.char] else f"they differ from the readable functions by {worst:.0e}"


def _try_cell(cell: str) -> Trial:
    def trial(dtype: np.dtype, put: Callable[[Any], Array]) -> Iterator[tuple[Array, np.ndarray]]:
        """Both kinds of kernels (H = 32, H = 5), lengths, states, and gradients of all outputs."""
        rng, states = np.random.default_rng(0), 2 if cell == "lstm" else 1
        gates, biases = {"lstm": (4, 4), "gru": (3, 4), "rnn": (1, 1)}[cell]
        relu = {"nonlinearity": "relu"} if cell == "rnn" else {}
        N, T, D = 3, 4, 2
        for H, padding, options in ((32, "post", {}), (5, "pre", relu)):
            initial = [(N, H)] * states
            shapes = ((N, T, D), *initial, (H + D, gates * H), (biases * H,))
            arrays = [rng.uniform(-0.5, 0.5, shape).astype(dtype) for shape in shapes]
            dh, *dlast = (rng.uniform(-1, 1, shape).astype(dtype) for shape in ((N, T, H), *initial))
            results = []
            for pair, move in ((cuda.PAIRS[cell], put), (READABLE[cell], lambda a: a.astype(np.float64))):
                h, *_, cache = pair.forward(*map(move, arrays), lengths=np.array([4, 1, 2]), padding=padding,
                                            **options)
                dh_last, *others = map(move, dlast)
                results.append([h, *pair.backward(move(dh), *others, cache, dh_last=dh_last)])
            yield from zip(*results)
    return trial


def _try_embedding(dtype: np.dtype, put: Callable[[Any], Array]) -> Iterator[tuple[Array, np.ndarray]]:
    rng = np.random.default_rng(0)
    tokens, dy = rng.integers(0, 5, (3, 30)), rng.uniform(-1, 1, (3, 30, 3)).astype(dtype)
    dW, want = put(np.ones((6, 3), dtype)), np.ones((6, 3))
    add_on_device(put(dy), put(tokens), dW, 2)
    np.add.at(want, tokens, np.where((tokens == 2)[..., None], 0, dy))
    yield dW, want


def _try_adam(dtype: np.dtype, put: Callable[[Any], Array]) -> Iterator[tuple[Array, np.ndarray]]:
    rng = np.random.default_rng(0)
    p, g, m, v = (rng.uniform(0.1, 1, (7, 5)) for _ in range(4))
    there = [put(array.astype(dtype)) for array in (p, g, m, v)]
    adam_on_device(*there, betas=(0.75, 0.5), rate=0.25, eps=0.125, decay=0.5)
    g = g + 0.5 * p
    m, v = 0.75 * m + 0.25 * g, 0.5 * v + 0.5 * g * g
    yield from zip((there[0], *there[2:]), (p - 0.25 * m / (np.sqrt(v) + 0.125), m, v))


TRIALS: dict[str, Trial] = {
    **{cell: _try_cell(cell) for cell in READABLE}, "embedding": _try_embedding, "adam": _try_adam}
