"""Synthetic tasks with long time lags: the answer depends only on inputs about T steps earlier.

Each function draws n sequences from a seeded generator; equal seeds give equal bytes. Each task comes with
the error of a model without memory (the baseline) and the published success criterion. The embedded Reber
grammar is in ``reber.py``.

    task             input                                  answer, given at the end
    adding           T pairs (value, marker)                the sum of the two marked values
    adding_1997      the same, as first published           that sum, scaled into [0, 1]
    temporal_order   T symbols, an X or Y at 2 or 3 places   which ones, in which order (4 or 8 classes)
    copy             10 symbols, T steps of nothing         the 10 symbols, one at each of the last 10 steps

Sources: Hochreiter & Schmidhuber 1997, "Long short-term memory", experiments 4 (adding_1997) and 6a, 6b
(temporal_order); Le, Jaitly & Hinton 2015 (adding); Arjovsky, Shah & Bengio 2016 (copy, with blanks as here).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minilstm.backend.checks import as_floating, check_choice, check_dtype, check_positive_int, check_shape
from minilstm.backend.errors import ArgumentError, DtypeError, ShapeError
from minilstm.backend.seeds import as_generator

ADDING_BASELINE = 1 / 6     # MSE of always predicting 1, the mean: two variances of U[0, 1], 1/12 each
ADDING_SOLVED = 0.01        # mean squared error below which the adding problem counts as solved
RECENT = 2000               # latest sequences that Hochreiter & Schmidhuber's criterion examines
SYMBOLS = "EBabcdXY"        # of temporal_order: start, end, four distractors, the two relevant ones
START, END, X = 0, 1, 6     # their ids; Y is X + 1
MARKERS = ("anywhere", "halves")
LEAST_T = {"adding": 2, "adding_1997": 22, "temporal_order": 10, "copy": 1}

Answers = tuple[np.ndarray, np.ndarray]
AnswersAndLengths = tuple[np.ndarray, np.ndarray, np.ndarray]


# Adding
# ------------------------------------------------------------


def adding(n: int, T: int, *, rng: Any = None, markers: str = "anywhere", dtype: Any = np.float32) -> Answers:
    """Return x (n, T, 2), values in [0, 1) and two markers 1, and y (n, 1), the sum of the marked values.

    Args:
        n, T: sequences, and steps of each, at least 2.
        rng: seed or numpy Generator.
        markers: "anywhere" (any two distinct steps) or "halves" (one in the first T // 2 steps, one in the
            others); papers differ in this. On average the first marker is 2 T / 3 steps from the end, with
            halves 3 T / 4.
        dtype: floating dtype of x and y.

    Raises ArgumentError or DtypeError.
    """
    n, T, rng, kind = _check("adding", n, T, rng, dtype)
    check_choice("markers", markers, MARKERS)
    values = rng.random((n, T))
    if markers == "halves":
        places = np.stack([rng.integers(0, T // 2, n), rng.integers(T // 2, T, n)], axis=1)
    else:
        places = _two_places(rng, n, T, T)
    x = np.zeros((n, T, 2), kind)
    x[..., 0] = values
    rows = np.arange(n)[:, None]
    x[rows, places, 1] = 1
    return x, values[rows, places].sum(axis=1, keepdims=True).astype(kind)


def adding_solved(mse: float, threshold: float = ADDING_SOLVED) -> bool:
    """Return whether a mean squared error on unseen sequences is below ``threshold``, 6 % of the baseline."""
    return bool(mse < threshold)


def adding_1997(n: int, T: int, *, rng: Any = None, dtype: Any = np.float32) -> AnswersAndLengths:
    """Return x (n, T + T // 10, 2), y (n, 1) and lengths (n,), as in Hochreiter & Schmidhuber's experiment 4.

    Values are uniform in [-1, 1), lengths uniform from T to T + T // 10. One of the first ten steps has the
    marker 1, and so has another one of the first T // 2 - 1 steps. The marker is -1 at the first and the last
    step of a sequence, and 0 elsewhere. The target is 0.5 + (X1 + X2) / 4. If the first step is drawn, it
    keeps its marker -1, and its value is set to 0. Steps after the end are 0.

    Args:
        n, T: number of sequences, and their minimum length, at least 22, so that the first ten steps are
            among the first T // 2 - 1.
        rng: seed or numpy Generator.
        dtype: floating dtype of x and y; lengths are int64.

    Raises ArgumentError or DtypeError.
    """
    n, T, rng, kind = _check("adding_1997", n, T, rng, dtype)
    lengths = rng.integers(T, T + T // 10 + 1, n)
    steps, rows = np.arange(T + T // 10), np.arange(n)
    values = np.where(steps < lengths[:, None], rng.uniform(-1, 1, (n, len(steps))), 0.0)
    places = _two_places(rng, n, 10, T // 2 - 1)
    values[(places == 0).any(axis=1), 0] = 0.0
    x = np.zeros((n, len(steps), 2), kind)
    x[..., 0] = values
    x[rows[:, None], places, 1] = 1
    x[:, 0, 1] = x[rows, lengths - 1, 1] = -1
    marked = values[rows[:, None], places].sum(axis=1, keepdims=True)
    return x, (0.5 + marked / 4).astype(kind), lengths


def adding_1997_baseline(T: int) -> float:
    """Return the MSE of always predicting 0.5: 1/48 for each value, 0 for a marked first step, of value 0."""
    first = 1 / 10 + 9 / 10 / (T // 2 - 2)
    return (2 - first) / 48


def adding_1997_solved(errors: Any) -> bool:
    """Return whether the 2,000 latest absolute errors are below 0.04, and 0.01 on average (fewer: False)."""
    recent = _recent("errors", errors, 1)
    return len(recent) == RECENT and bool(recent.max() < 0.04 and recent.mean() < 0.01)


def _two_places(rng: np.random.Generator, n: int, first: int, second: int) -> np.ndarray:
    """Return distinct positions (n, 2), below ``first`` and below ``second``, which is not smaller."""
    place = rng.integers(0, first, n)
    other = rng.integers(0, second - 1, n)
    return np.stack([place, other + (other >= place)], axis=1)


# Temporal order
# ------------------------------------------------------------


def temporal_order(n: int, T: int, *, rng: Any = None, symbols: int = 2,
                   dtype: Any = np.float32) -> AnswersAndLengths:
    """Return one-hot x (n, T + T // 10, 8), class y (n,) and lengths (n,): experiment 6a, with 3 symbols 6b.

    A sequence has T to T + T // 10 steps. It starts with E, ends with B and otherwise consists of random a,
    b, c, d, except for an X or a Y (with equal probability) at each of 2 or 3 positions. For T = 100 these
    lie in steps 10 to 20 and 50 to 60, or in 10 to 20, 33 to 43 and 66 to 76, counted from 0; for another T
    these bounds are multiplied by T / 100 and rounded down. The class reads the positions as a binary number,
    X as 0 and Y as 1, the first position first: XX, XY, YX, YY are 0, 1, 2, 3. Columns of x are in the order
    of ``SYMBOLS``; steps after the end are all 0.

    Args:
        n, T: number of sequences, and their minimum length, at least 10.
        rng: seed or numpy Generator.
        symbols: number of positions, 2 or 3.
        dtype: floating dtype of x; y and lengths are int64.

    Raises ArgumentError or DtypeError.
    """
    n, T, rng, kind = _check("temporal_order", n, T, rng, dtype)
    if symbols not in (2, 3) or isinstance(symbols, bool):
        raise ArgumentError(f"symbols: expected 2 or 3, got {symbols!r}")
    lengths, rows = rng.integers(T, T + T // 10 + 1, n), np.arange(n)
    tokens = rng.integers(END + 1, X, (n, T + T // 10))
    tokens[:, 0] = START
    y = np.zeros(n, np.int64)
    for least in ((10, 50) if symbols == 2 else (10, 33, 66)):
        places = rng.integers(least * T // 100, (least + 10) * T // 100 + 1, n)
        which = rng.integers(0, 2, n)
        tokens[rows, places] = X + which
        y = 2 * y + which
    tokens[rows, lengths - 1] = END
    x = np.eye(len(SYMBOLS), dtype=kind)[tokens]
    x[np.arange(x.shape[1]) >= lengths[:, None]] = 0
    return x, y, lengths


def temporal_order_baseline(symbols: int = 2) -> float:
    """Return the cross-entropy of a uniform prediction over the classes: ln 4, or ln 8."""
    return symbols * math.log(2)


def temporal_order_solved(probabilities: Any, targets: Any) -> bool:
    """Return whether the 2,000 latest sequences are right and their mean absolute error is below 0.1.

    With fewer sequences, it is False. A sequence is right if every class probability is less than 0.3 away
    from its target, which is 1 for the right class and 0 for the others. The paper applies this rule to
    sigmoid outputs; here it is applied to softmax probabilities.

    Args:
        probabilities: (n, classes), floating point.
        targets: (n,) integers, the classes.
    """
    recent = _recent("probabilities", probabilities, 2)
    targets = np.asarray(targets)
    if targets.dtype.kind not in "iu" or targets.shape != np.shape(probabilities)[:1]:
        raise ShapeError(f"targets: expected one class for each of {len(probabilities)} sequences, "
                         f"got {targets.dtype} of shape {targets.shape}")
    errors = np.abs(recent - np.eye(recent.shape[1])[targets[-RECENT:]])
    return len(errors) == RECENT and bool(errors.max() < 0.3 and errors.mean() < 0.1)


# Copying
# ------------------------------------------------------------


def copy(n: int, T: int, *, rng: Any = None, symbols: int = 8, length: int = 10) -> Answers:
    """Return tokens and targets, (n, T + 2 * length) int64: remember ``length`` symbols for T steps.

    A sequence holds ``length`` random symbols (0 to symbols - 1), T - 1 blanks (``symbols``), the start
    signal (``symbols`` + 1) and ``length`` blanks. The target is blank up to and including the step of the
    start signal, then the symbols in their order. There are symbols + 2 kinds of tokens and symbols + 1 kinds
    of targets.

    Args:
        n, T: number of sequences, and the steps from the last symbol to the start signal, at least 1.
        rng: seed or numpy Generator.
        symbols, length: number of different symbols, at least 2, and of symbols in a sequence.

    Raises ArgumentError.
    """
    n, T, rng, _ = _check("copy", n, T, rng, np.float32)
    if check_positive_int("symbols", symbols) < 2:
        raise ArgumentError("symbols: expected at least 2, got 1: there would be nothing to remember")
    length = check_positive_int("length", length)
    tokens, targets = (np.full((n, T + 2 * length), symbols) for _ in range(2))
    tokens[:, :length] = targets[:, -length:] = rng.integers(0, symbols, (n, length))
    tokens[:, length + T - 1] = symbols + 1
    return tokens, targets


def copy_baseline(T: int, symbols: int = 8, length: int = 10) -> float:
    """Return the cross-entropy of knowing when to answer, not what: length · ln(symbols) / (T + 2 length)."""
    return length * math.log(symbols) / (T + 2 * length)


def copy_solved(predictions: Any, targets: Any, length: int = 10) -> bool:
    """Return whether at least 99 % of the recalled symbols, in the last ``length`` steps, are right.

    There is no published threshold; papers plot the loss. By chance, 1 symbol in 8 is right.

    Args:
        predictions, targets: (n, T + 2 * length) integers: the most probable class of each step, and the
            right one.
    """
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if predictions.shape != targets.shape or targets.ndim != 2:
        raise ShapeError("predictions and targets must have one shape (N, T), "
                         f"got {predictions.shape} and {targets.shape}")
    length = check_positive_int("length", length)
    return bool((predictions == targets)[:, -length:].mean() >= 0.99)


# Checks
# ------------------------------------------------------------


def check_lag(task: str, T: Any) -> int:
    """Return T; raise ArgumentError if it is too short for a task of ``LEAST_T``."""
    if check_positive_int("T", T) < LEAST_T[task]:
        raise ArgumentError(f"T: {task} needs at least {LEAST_T[task]} steps, got {T}")
    return int(T)


def _check(task: str, n: int, T: int, rng: Any, dtype: Any) -> tuple[int, int, np.random.Generator, np.dtype]:
    """Check the arguments that all tasks share, and return them."""
    n, T = check_positive_int("n", n), check_lag(task, T)
    kind = check_dtype(dtype)
    if kind.kind != "f":
        raise DtypeError(f"dtype: expected float32 or float64, got {kind}")
    return n, T, as_generator(rng), kind


def _recent(name: str, values: Any, axes: int) -> np.ndarray:
    """Return the last 2,000 rows of a floating point array."""
    values = as_floating(name, values)
    check_shape(name, values, (None,) * axes, "N, classes" if axes == 2 else "N")
    return values[-RECENT:]
