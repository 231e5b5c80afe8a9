"""One call of a device twin, forward and backward, beside the readable functions in float64.

The readable functions (minilstm/cells) are themselves held against finite differences, loops and PyTorch;
here they are the oracle for the kernels.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilstm.cells import gru, lstm, rnn
from minilstm.kernels.cuda import launch, plan

READABLE: dict[str, Any] = {"lstm": lstm, "gru": gru, "tanh": rnn, "relu": rnn}
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
BIASES = {"lstm": 4, "gru": 4, "tanh": 1, "relu": 1}
CELLS = tuple(READABLE)


@dataclass(frozen=True)
class Call:
    """One computation, from which all arrays follow. ``rows``: rows per block of the persistent kernels; 0: fused kernels."""

    cell: str
    H: int = 32
    rows: int = 1
    N: int = 3
    T: int = 5
    D: int = 3
    padding: str = "none"           # "none": no lengths
    states: bool = True
    upstream: str = "all"           # "all", "outputs" or "states"
    dtype: Any = np.float32

    @property
    def name(self) -> str:
        return READABLE[self.cell].__name__.rpartition(".")[2]

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of a forward call."""
        return {**({"nonlinearity": self.cell} if self.name == "rnn" else {}),
                **({} if self.padding == "none" else {"lengths": self.lengths(), "padding": self.padding})}

    def draw(self, stream: int, *shape: int) -> np.ndarray:
        rng = np.random.default_rng([len(self.cell), self.H, self.N, self.T, stream])
        return rng.standard_normal(shape).astype(self.dtype)

    def lengths(self) -> np.ndarray:
        lengths = np.random.default_rng(self.N).integers(1, self.T + 1, self.N)
        lengths[-1] = 1
        return lengths

    def inputs(self) -> list[np.ndarray | None]:
        """x, the initial states, W, b."""
        cells = GATES[self.cell] * self.H
        states = [self.draw(k, self.N, self.H) if self.states else None for k in range(1 + (self.cell == "lstm"))]
        W = self.draw(4, self.H + self.D, cells) / np.asarray(self.H + self.D, self.dtype) ** 0.5
        return [self.draw(3, self.N, self.T, self.D), *states, W.astype(self.dtype), self.draw(5, BIASES[self.cell] * self.H)]

    def gradients(self) -> tuple[np.ndarray | None, list[np.ndarray | None]]:
        """dh, and those of the final states."""
        states = [self.draw(k, self.N, self.H) if self.upstream != "outputs" else None
                  for k in range(6, 7 + (self.cell == "lstm"))]
        return (None if self.upstream == "states" else self.draw(8, self.N, self.T, self.H)), states


def wide(x: Any) -> Any:
    return None if x is None else x.astype(np.float64)


def forward(call: Call, file: Any, inputs: list[Any], **more: Any) -> tuple[Any, Any]:
    """Return (h, cache) of a file's forward function, whatever the cell."""
    result = getattr(file, f"{call.name}_forward")(*inputs, **call.options, **more)
    return result[0], result[-1]


def backward(call: Call, file: Any, dh: Any, dstates: list[Any], cache: Any, **more: Any) -> tuple[Any, ...]:
    """Return (dx, dh0, [dc0,] dW, db) of a file's backward function, whatever the cell."""
    function = getattr(file, f"{call.name}_backward")
    if call.cell == "lstm":
        return function(dh, dstates[1], cache, dh_last=dstates[0], **more)
    return function(dh, cache, dh_last=dstates[0], **more)


def expected(call: Call) -> list[np.ndarray]:
    """Return h, the last states, and all gradients, by the readable functions in float64."""
    file = READABLE[call.cell]
    h, cache = forward(call, file, [wide(x) for x in call.inputs()])
    dh, dstates = call.gradients()
    last = [cache.h[-1], *([cache.c[-1]] if call.cell == "lstm" else [])]
    return [h, *last, *backward(call, file, wide(dh), [wide(d) for d in dstates], cache)]


def twin(call: Call) -> Any:
    return importlib.import_module(f"minilstm.kernels.cuda.{call.name}")


def measured(call: Call, xp: Any, **more: Any) -> list[np.ndarray]:
    """Return the same by the twin, on the arrays of ``xp``; ``more``: further arguments of its backward."""
    def put(x: Any) -> Any:
        return None if x is None else xp.asarray(x)
    with rows_of_a_block(call.rows):
        h, cache = forward(call, twin(call), [put(x) for x in call.inputs()])
        dh, dstates = call.gradients()
        made = backward(call, twin(call), put(dh), [put(d) for d in dstates], cache, **more)
    return [x.get() for x in (h, *cache.last, *made)]


def off(got: list[np.ndarray], wanted: list[np.ndarray]) -> float:
    """Return the largest max|got - wanted| / max(1, max|wanted|); infinite where something is not finite or misshapen."""
    if [x.shape for x in got] != [x.shape for x in wanted]:
        return np.inf
    figures = [float(np.max(np.abs(a - b)) / max(1.0, np.max(np.abs(b)))) for a, b in zip(got, wanted)]
    return np.inf if np.isnan(figures).any() else max(figures)


@contextmanager
def rows_of_a_block(rows: int) -> Iterator[None]:
    """Let blocks of the persistent kernels take so many rows; 0: use the fused kernels."""
    before = plan.rows_for, plan.fits
    plan.rows_for = lambda N, multiprocessors, dtype: rows
    if not rows:
        plan.fits = lambda cell, H, dtype: False
    try:
        yield
    finally:
        plan.rows_for, plan.fits = before


@contextmanager
def planted(file: str, old: str, new: str) -> Iterator[None]:
    """Compile a source with a bug in it: ``old``, which must be there, replaced by ``new``."""
    before = launch.source

    def source(name: str) -> str:
        text = before(name)
        if file not in (name, "common"):
            return text
        assert old in text, f"{old!r} is not in {file}.cu any more: plant the bug elsewhere"
        return text.replace(old, new)
    launch.source = source
    launch._module.cache_clear()
    launch._function.cache_clear()
    try:
        yield
    finally:
        launch.source = before
        launch._module.cache_clear()
        launch._function.cache_clear()
