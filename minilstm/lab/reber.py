"""The embedded Reber grammar: predict which symbols may come next; one depends on the string's second symbol.

A Reber string is a walk through this graph, from B to E; if two edges leave a state, each is taken with
probability one half:

    state 0  B -> 1                      state 4  X -> 3   S -> 6
    state 1  T -> 2   P -> 3             state 5  P -> 4   V -> 6
    state 2  S -> 2   X -> 4             state 6  E -> end
    state 3  T -> 3   V -> 5

An embedded string is B, then T or P, then a Reber string, then the same T or P again, then E. The state of
the graph determines which symbols may come next, with one exception: to predict the second-last symbol, a
model must remember the second one across a Reber string of arbitrary length (at least 5 symbols).

Sources: Reber 1967; Fahlman 1991 (the embedded grammar); Hochreiter & Schmidhuber 1997, experiment 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.checks import as_floating, check_dtype, check_positive_int, check_shape
from minilstm.backend.errors import ArgumentError, DtypeError
from minilstm.backend.seeds import as_generator

SYMBOLS = "BTPSXVE"
GRAPH = ({"B": 1}, {"T": 2, "P": 3}, {"S": 2, "X": 4}, {"T": 3, "V": 5},
         {"X": 3, "S": 6}, {"P": 4, "V": 6}, {"E": 7})
STRINGS = 256           # for training, and the same number for testing
BASELINE = 0.5          # share of strings that a model without memory gets wrong: it can only guess T or P


def embedded_reber(rng: Any = None) -> tuple[str, list[str]]:
    """Return one string and, for each symbol except the last, the symbols that may come next."""
    rng = as_generator(rng)
    outer = "TP"[rng.integers(2)]
    text, legal, state = "B" + outer, ["TP", "B"], 0
    while state < len(GRAPH):
        following = list(GRAPH[state])
        symbol = following[rng.integers(len(following))] if len(following) > 1 else following[0]
        state = GRAPH[state][symbol]
        text += symbol
        legal.append("".join(GRAPH[state]) if state < len(GRAPH) else outer)
    return text + outer + "E", legal + ["E"]


def reber(n: int, *, rng: Any = None, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one-hot x (n, T, 7), legal successors y (n, T, 7) and lengths (n,) of n embedded Reber strings.

    Step t of x encodes symbol t of a string, and step t of y has a 1 for each symbol that may be next. The
    last symbol, E, is left out because nothing follows it. T is the number of steps of the longest string;
    steps after the end of a string are 0. Columns are in the order of ``SYMBOLS``.

    Args:
        n: number of strings.
        rng: seed or numpy Generator.
        dtype: floating dtype of x and y; lengths are int64.

    Raises ArgumentError or DtypeError.
    """
    n, rng, kind = check_positive_int("n", n), as_generator(rng), check_dtype(dtype)
    if kind.kind != "f":
        raise DtypeError(f"dtype: expected float32 or float64, got {kind}")
    strings = [embedded_reber(rng) for _ in range(n)]
    lengths = np.array([len(legal) for _, legal in strings])
    x, y = (np.zeros((n, lengths.max(), len(SYMBOLS)), kind) for _ in range(2))
    for row, (text, legal) in enumerate(strings):
        for t, (symbol, following) in enumerate(zip(text, legal)):
            x[row, t, SYMBOLS.index(symbol)] = 1
            y[row, t, [SYMBOLS.index(f) for f in following]] = 1
    return x, y, lengths


def reber_right(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (n,) bool: whether, at each step of a string, all legal successors score above all illegal ones.

    Args:
        scores: (n, T, 7), a model's activations, probabilities or logits.
        y: (n, T, 7), from ``reber``; steps without a legal successor are after the end of the string and are
            not judged.

    Raises ShapeError, DtypeError or ArgumentError for invalid arrays.
    """
    scores = as_floating("scores", scores)
    check_shape("y", y, (None, None, len(SYMBOLS)), "N, T, symbols")
    check_shape("scores", scores, y.shape, "N, T, symbols")
    if not np.isfinite(scores).all():
        raise ArgumentError("scores: contain NaN or infinite values")
    lowest = np.where(y > 0, scores, np.inf).min(axis=2)
    highest = np.where(y > 0, -np.inf, scores).max(axis=2)
    return np.asarray((lowest > highest).all(axis=1))


def reber_solved(right: np.ndarray) -> bool:
    """Return whether all strings are right, those for training and for testing (256 each in the paper)."""
    return bool(np.asarray(right).all()) and len(right) > 0
