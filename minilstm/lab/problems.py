"""The tasks of ``lab/tasks.py`` and ``reber.py`` as training problems: inputs, loss, criterion of success.

    problem            the model answers    error               solved when, on unseen sequences
    adding             at the end           mean squared        it is below 0.01
    adding-1997        at the end           mean squared        2,000 within 0.04, 0.01 on average
    temporal-order     at the end           cross-entropy       2,000 within 0.3, 0.1 on average
    temporal-order-3   at the end           cross-entropy       the same
    copy               at every step        cross-entropy       99 % of the recalled symbols are right
    reber              at every step        wrong strings       256 + 256 strings are right

The loss is the error, except with reber: the cross-entropy of the symbol that comes next. The published
criteria examine the 2,000 most recent training sequences, these as many unseen ones at one point of the
training. As in the paper, there are 256 Reber strings for training and 256 for testing; all other sequences
are drawn fresh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.checks import check_choice
from minilstm.backend.errors import ArgumentError
from minilstm.lab import reber, tasks
from minilstm.losses.cross_entropy import CrossEntropyLoss, cross_entropy_forward
from minilstm.losses.loss import Loss
from minilstm.losses.squared_error import MSELoss

LENGTH, COPIED = 10, 8      # of the copy task
TEST = 2000                 # unseen sequences
IGNORED = -1                # target at steps past a sequence's end


class Batch(NamedTuple):
    """Sequences."""

    x: np.ndarray                           # (n, T, D) float32
    target: np.ndarray                      # what the loss takes
    lengths: np.ndarray | None = None       # (n,); None: all are T
    legal: np.ndarray | None = None         # Reber's y

    def rows(self, rows: Any) -> Batch:
        """Return the sequences of an index or slice."""
        return Batch(*(None if array is None else array[rows] for array in self))  # type: ignore[arg-type]


class Problem(NamedTuple):
    """One task at one lag.

    input_size, output_size: D, and the outputs of the model.
    every_step: the model answers at every step (n, T, outputs), not only at the end (n, outputs).
    loss: a function that makes a fresh criterion.
    error_name, baseline: what kind of error ``judge`` returns, and that of a model without a memory.
    start: given a generator each for training and test, returns a function that draws n sequences to train
        on, and those to judge by.
    judge: given the model's outputs on a batch, returns (error, solved).
    """

    input_size: int
    output_size: int
    every_step: bool
    loss: Callable[[], Loss]
    error_name: str
    baseline: float
    start: Callable[[np.random.Generator, np.random.Generator], tuple[Callable[[int], Batch], Batch]]
    judge: Callable[[np.ndarray, Batch], tuple[float, bool]]


def make_problem(task: str, T: int | None) -> Problem:
    """Return the problem for a task of ``TASKS`` and a lag T (None for reber alone). Raises ArgumentError."""
    check_choice("task", task, TASKS)
    if T is None and task != "reber":
        raise ArgumentError(f"T: {task} needs a lag, got None")
    if T is not None:
        if task == "reber":
            raise ArgumentError("T: the Reber grammar has no lag of its own, so it takes None")
        tasks.check_lag(task.replace("-", "_").removesuffix("_3"), T)
    return _MAKERS[task](T)


def _fresh(draw: Callable[[int, np.random.Generator], Batch]) -> Any:
    """Return the ``start`` of a task whose sequences are drawn anew each time."""
    return lambda training_rng, test_rng: (lambda n: draw(n, training_rng), draw(TEST, test_rng))


def _adding(T: int) -> Problem:
    def judge(outputs: np.ndarray, batch: Batch) -> tuple[float, bool]:
        mse = float(np.square(outputs - batch.target, dtype=np.float64).mean())
        return mse, tasks.adding_solved(mse)
    return Problem(2, 1, False, MSELoss, "test MSE", tasks.ADDING_BASELINE,
                   _fresh(lambda n, rng: Batch(*tasks.adding(n, T, rng=rng))), judge)


def _adding_1997(T: int) -> Problem:
    def judge(outputs: np.ndarray, batch: Batch) -> tuple[float, bool]:
        errors = np.abs(outputs - batch.target)[:, 0].astype(np.float64)
        return float(np.square(errors).mean()), tasks.adding_1997_solved(errors)
    return Problem(2, 1, False, MSELoss, "test MSE", tasks.adding_1997_baseline(T),
                   _fresh(lambda n, rng: Batch(*tasks.adding_1997(n, T, rng=rng))), judge)


def _temporal_order(T: int, symbols: int = 2) -> Problem:
    def judge(outputs: np.ndarray, batch: Batch) -> tuple[float, bool]:
        return _cross_entropy(outputs, batch), tasks.temporal_order_solved(_softmax(outputs), batch.target)
    start = _fresh(lambda n, rng: Batch(*tasks.temporal_order(n, T, rng=rng, symbols=symbols)))
    return Problem(len(tasks.SYMBOLS), 2 ** symbols, False, CrossEntropyLoss, "test cross-entropy",
                   tasks.temporal_order_baseline(symbols), start, judge)


def _copy(T: int) -> Problem:
    def draw(n: int, rng: np.random.Generator) -> Batch:
        tokens, targets = tasks.copy(n, T, rng=rng, symbols=COPIED, length=LENGTH)
        return Batch(np.eye(COPIED + 2, dtype=np.float32)[tokens], targets)

    def judge(outputs: np.ndarray, batch: Batch) -> tuple[float, bool]:
        return _cross_entropy(outputs, batch), tasks.copy_solved(outputs.argmax(axis=2), batch.target, LENGTH)
    return Problem(COPIED + 2, COPIED + 1, True, CrossEntropyLoss, "test cross-entropy",
                   tasks.copy_baseline(T, COPIED, LENGTH), _fresh(draw), judge)


def _reber(_: None) -> Problem:
    D = len(reber.SYMBOLS)

    def strings(training_rng: np.random.Generator,
                test_rng: np.random.Generator) -> tuple[Callable[[int], Batch], Batch]:
        both = [reber.reber(reber.STRINGS, rng=rng) for rng in (training_rng, test_rng)]
        lengths = np.concatenate([arrays[2] for arrays in both])
        x, legal = np.zeros((2, len(lengths), lengths.max(), D), np.float32)
        for first, arrays in zip((0, reber.STRINGS), both):
            rows, T = slice(first, first + reber.STRINGS), arrays[0].shape[1]
            x[rows, :T], legal[rows, :T] = arrays[:2]
        target = np.full(x.shape[:2], IGNORED)
        target[:, :-1] = np.where(x[:, 1:].any(axis=2), x[:, 1:].argmax(axis=2), IGNORED)
        target[np.arange(len(x)), lengths - 1] = reber.SYMBOLS.index("E")
        test = Batch(x, target, lengths, legal)
        return lambda n: test.rows(training_rng.integers(0, reber.STRINGS, n)), test

    def judge(outputs: np.ndarray, batch: Batch) -> tuple[float, bool]:
        assert batch.legal is not None
        right = reber.reber_right(outputs, batch.legal)
        return float(1 - right.mean()), reber.reber_solved(right)
    return Problem(D, D, True, lambda: CrossEntropyLoss(ignore_index=IGNORED), "share of strings wrong",
                   reber.BASELINE, strings, judge)


def _cross_entropy(logits: np.ndarray, batch: Batch) -> float:
    return float(cross_entropy_forward(logits.astype(np.float64), batch.target)[0])


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


_MAKERS: dict[str, Callable[[Any], Problem]] = {
    "adding": _adding, "adding-1997": _adding_1997, "temporal-order": _temporal_order,
    "temporal-order-3": lambda T: _temporal_order(T, 3), "copy": _copy, "reber": _reber,
}
TASKS = tuple(_MAKERS)
