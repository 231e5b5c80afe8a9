"""The derivations of the cells, read from their docstrings and executed.

The docstrings of cells/lstm.py, gru.py and rnn.py hold the equations of one step and, numbered, the lines of
its backward pass. Here these lines are translated to Python by a short table of replacements and run. A
diagnosis therefore speaks of the lines that a reader sees, and a test compares what they compute with
numerical derivatives, so that text, code and diagnosis cannot drift apart.

Arrays are time-major and separate for each gate: x (T, N, D), states (N, H), W_x (G, D, H), W_h (G, H, H), b
(G, H).
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from enum import Enum
from functools import cache
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from minilstm.cells import gru, lstm, rnn

# What the docstrings write, and what Python reads. In this order.
NOTATION: tuple[tuple[str, str], ...] = (
    (r"_\{max\(t-1, 0\)\}", "_earlier"), (r"_\{min\(t\+1, T-1\)\}", "_later"), (r"\^½", "**0.5"),
    (r"_\{t-1\}", "_prev"), (r"_\{t\+1\}", "_next"), ("c̃", "c_tilde"), ("σ'", "d_sigma"), ("σ", "sigma"),
    (r"w_nx x_t \+ b_nx", "present_n"), (r"w_nh h_prev \+ b_nh", "past_n"),
    (r"w_(\w) \[h_prev, x_t\] \+ b_\w", r"a_\1"),
    (r"_t(?![a-z_])", ""), (r"tanh²\(([^()]*)\)", r"tanh(\1)**2"), ("²", "**2"),
    (r"Σ (\w+)$", r"\1.sum(axis=0)"), ("Σ ", ""),
    (r"\[([^]]*)\]", r"beside(\1)"), (r"(\w+(?:\([^)]*\))?)ᵀ (\w+)", r"\1.T @ \2"),
    (r"(\w+(?:\([^)]*\))?) (\w+)ᵀ", r"\1 @ \2.T"),
)


class Line(NamedTuple):
    """A line as the docstring writes it: number (None: an equation of the forward), target, value."""

    number: int | None
    target: str
    right: str

    def __str__(self) -> str:
        return f"{self.target} = {self.right}"


class Variant(Enum):
    """How a cell differs from the documented one, in words."""

    RELU = "relu"
    FORGET_BIAS = "1 added to the forget gate's bias"
    NO_TANH = "h = o * c without tanh"
    RESET_FIRST = "reset gate before the product"       # Cho et al. 2014: W_nh (r * h), not r * (W_nh h)
    Z_REVERSED = "z the other way round"


class Cell(NamedTuple):
    """A cell as its docstring describes it.

    ``gates``: names, in the order of W. ``states``: "h", "c". ``forward``: the equations, in order.
    ``backward``: the numbered lines but the last two, which are ``sums`` over time and ``products`` with W,
    in the order of execution. ``behind``: the gradient of each gate's pre-activation, by gate. ``before``:
    the gradient of each gate itself. ``past``: as ``behind``, but what multiplies W_h where that is another.
    ``equations``: what ``forward`` should be.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    forward: tuple[Line, ...]
    backward: tuple[Line, ...]
    sums: tuple[Line, ...]
    products: tuple[Line, ...]
    behind: tuple[str, ...]
    before: tuple[str, ...]
    past: tuple[str, ...]
    equations: tuple[Line, ...]
    variants: tuple[Variant, ...] = ()

    @property
    def reset_first(self) -> bool:
        """Whether the candidate's W_h is multiplied with r * h."""
        return Variant.RESET_FIRST in self.variants

    def line(self, number: int) -> Line:
        """Return a numbered line of the backward pass."""
        return next(line for line in self.backward if line.number == number)

    def line_of(self, target: str) -> Line:
        """Return the line of the backward pass that computes ``target``."""
        return next(line for line in self.backward if line.target == target)


@cache
def translate(text: str) -> str:
    """Return Python for what a docstring writes."""
    for pattern, new in NOTATION:
        text = re.sub(pattern, new, text)
    return text


@cache
def compiled(text: str) -> CodeType:
    """Return the code of an expression in a docstring's notation."""
    return compile(translate(text), text, "eval")


def sigma(a: Any) -> Any:
    """The logistic function, as it keeps complex numbers."""
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def d_sigma(a: Any) -> Any:
    """Its derivative."""
    return sigma(a) * (1.0 - sigma(a))


def beside(*arrays: Any) -> Any:
    """[a, b]: arrays side by side."""
    return np.concatenate(arrays, axis=1)


FUNCTIONS = {"tanh": np.tanh, "sigma": sigma, "d_sigma": d_sigma, "beside": beside,
             "relu": lambda a: a * (a.real > 0)}


def evaluate(text: str, values: dict[str, Any]) -> Any:
    """Return the value of an expression in a docstring's notation."""
    return eval(compiled(text), FUNCTIONS, values)      # our own docstrings and tables, never a user's


def _statements(number: int | None, body: str) -> Iterable[Line]:
    body = re.sub(r" +(\+?=) ", r" \1 ", body.strip())
    body = re.split(r"(?<!,) {2,}", body)[0]                # the rest is a remark
    for part in body.split(",  "):
        targets, equals, right = part.partition("= ")
        if equals:
            yield Line(number, targets.removesuffix("+").strip(), right.strip())


def _docstring(module: ModuleType) -> str:
    """Return a module's docstring, from its source where Python was told to drop it (``python -OO``)."""
    if module.__doc__:
        return module.__doc__
    tree: Any = compile(inspect.getsource(module), "", "exec", ast.PyCF_ONLY_AST, optimize=0)
    return ast.get_docstring(tree, clean=False) or ""


def _read(module: Any, name: str, states: tuple[str, ...], behind: tuple[str, ...], before: tuple[str, ...],
          past: tuple[str, ...]) -> Cell:
    equations, _, derivation = _docstring(module).partition("\nBackward. ")
    forward = tuple(line for row in equations.splitlines() if re.match(r"    \S+ += ", row)
                    for line in _statements(None, row))
    numbered = [line for row in derivation.splitlines() if (found := re.match(r" +(\d+)\. (.*)", row))
                for line in _statements(int(found[1]), found[2])]
    sums, products = (tuple(line for line in numbered if line.number == k) for k in (2, 1))
    lines = tuple(line for line in numbered if line.number and line.number > 2)
    return Cell(name, module.GATES, states, forward, lines, sums, products, behind, before, past, forward)


def _variant(cell: Cell, variants: tuple[Variant, ...], lines: dict[str, str]) -> Cell:
    """Return a cell with other right-hand sides, given by their targets."""
    def change(old: tuple[Line, ...]) -> tuple[Line, ...]:
        return tuple(line._replace(right=lines.get(line.target, line.right)) for line in old)
    forward, backward = change(cell.forward), change(cell.backward)
    return cell._replace(variants=variants, forward=forward, equations=forward, backward=backward)


_dz = tuple(f"dz_{gate}" for gate in lstm.GATES)
CELLS = {
    "LSTM": _read(lstm, "LSTM", ("h", "c"), _dz, ("df", "di", "do", "dc̃"), _dz),
    "GRU": _read(gru, "GRU", ("h",), ("da_r", "da_z", "da_n"), ("dr", "dz", "dn"), ("da_r", "da_z", "dq")),
    "RNN": _read(rnn, "RNN", ("h",), ("dz",), ("dh",), ("dz",)),
}
# The same cells as others write them.
_REVERSED = {"h_t": "(1 - z_t) * h_{t-1} + z_t * n_t", "dn": "dh * z_t", "dz": "dh * (n_t - h_{t-1})"}
_RESET_FIRST = {"q_t": "(r_t * h_{t-1}) @ W_nh", "n_t": "tanh(w_nx x_t + b_nx + q_t)", "dq": "da_n W_nhᵀ",
                "dr": "dq * h_{t-1}"}


def _reset_first(variants: tuple[Variant, ...], lines: dict[str, str]) -> Cell:
    """Return such a GRU: dq is the gradient of r_t * h_{t-1}, and line 8 needs it, so it comes later."""
    cell = _variant(CELLS["GRU"], variants, {**_RESET_FIRST, **lines})
    later = sorted(cell.backward, key=lambda line: line.target == "dh_prev")
    return cell._replace(backward=tuple(later), past=cell.behind)


VARIANTS = (
    _variant(CELLS["RNN"], (Variant.RELU,), {
        "h_t": "relu(w_h [h_{t-1}, x_t] + b_h)", "dz": "dh * (h_t > 0)"}),
    _variant(CELLS["LSTM"], (Variant.FORGET_BIAS,), {"f_t": "σ(w_f [h_{t-1}, x_t] + b_f + 1)"}),
    _variant(CELLS["LSTM"], (Variant.NO_TANH,), {
        "h_t": "o_t * c_t", "do": "dh * c_t", "dc": "dc + dh * o_t"}),
    _variant(CELLS["GRU"], (Variant.Z_REVERSED,), {**_REVERSED, "dh_prev": "dh * (1 - z_t)"}),
    _reset_first((Variant.RESET_FIRST,), {"dh_prev": "dh * z_t + dq * r_t"}),
    _reset_first((Variant.RESET_FIRST, Variant.Z_REVERSED), {
        **_REVERSED, "dh_prev": "dh * (1 - z_t) + dq * r_t"}),
)
