"""One reading of a forward: which cell it is, and how its arguments and outputs are arranged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.diagnosis.derivation import Cell
from minilstm.gradients.diagnosis.findings import Finding
from minilstm.gradients.diagnosis.simulate import Block, OutputGradients, Weights, forward

Arrays = Mapping[str, np.ndarray]
Blocks = Iterator[tuple[Block, np.ndarray]]
MATRICES = ("W", "W1", "W_x", "W_h", "W_y")
OF_BOTH = ("W", "W1")           # those with rows of h and of x
# By what a loss is divided.
DIVISORS: dict[str, Callable[[int, int], int]] = {
    "": lambda T, N: 1, "N T": lambda T, N: T * N, "T": lambda T, N: T, "N": lambda T, N: N}


class Source(NamedTuple):
    """Where x comes from: an argument, or rows E[ids] of token ids (``E`` is "": one-hot vectors)."""

    name: str
    axes: tuple[int, ...]       # where T, N and D are in it; of token ids, T and N
    N: int
    D: int
    tokens: bool = False
    E: str = ""
    absent: str = ""            # the axis that x lacks, "T" or "N"


class Gates(Enum):
    """Which gates an array holds."""

    ALL = auto()                # side by side
    ONE = auto()
    STACKED = auto()            # all, one behind the other
    ALL_BUT_LAST = auto()       # side by side; the last gate has an array of its own


class Role(NamedTuple):
    """What one argument is, whether its axes must be exchanged first, and its place among its like.

    ``kind``: "x", "E", "h0", "c0", "W_y", "b_y", "W", "W1" (a bias in the first row), "W_x", "W_h", "b",
    "b_h", "b4" (the GRU's four biases), "b_n" (its fourth), and "state" (h0 or c0) as long as it is not known
    which.
    """

    kind: str
    gates: Gates = Gates.ALL
    turned: bool = False
    place: int = 0


class Output(NamedTuple):
    """What one output is: "h", "c" or "scores" of all steps, or of the last one, or the "loss".

    ``axes``: where T, N and H are in it. ``divisor``: of the summed loss, in words.
    """

    state: str
    last: bool
    axes: tuple[int, ...]
    divisor: str = ""


@dataclass(frozen=True)
class Reading:
    """One reading of a forward's arguments."""

    cell: Cell
    source: Source
    roles: dict[str, Role]
    order: tuple[int, ...]              # the gate at each place
    h_first: bool                       # rows [h, x], not [x, h]
    sizes: tuple[int, int, int]         # N, D, H
    plausible: bool = True              # the order of the gates is that of the names, or a usual one
    targets: str = ""
    outputs: tuple[Output, ...] = ()

    def parts(self, name: str, array: np.ndarray) -> Blocks:
        """Yield the blocks of one argument, or of its gradient."""
        role, (N, _, H), G = self.roles[name], self.sizes, len(self.cell.gates)
        kind = role.kind
        if kind == "x":
            axes = self.source.axes
            yield ("x", None), np.transpose(array.reshape(_three(array.shape, axes)), axes)
        elif kind == "E":
            yield ("E", None), array
        elif kind == "b_y":
            yield ("b_y", None), array.reshape(-1)
        elif kind == "W_y":
            yield ("W_y", None), array.T if role.turned else array
        elif kind in ("h0", "c0"):
            yield (kind, None), (array.reshape(H, N).T if role.turned else array.reshape(N, H))
        elif kind == "b_n":
            yield ("b_h", G - 1), array.reshape(-1)
        elif role.gates is Gates.STACKED:
            for part, gate in zip(array, self.order):
                alone = role._replace(gates=Gates.ONE, place=0)
                yield from replace(self, roles={name: alone}, order=(gate,)).parts(name, part)
        else:
            gates = {Gates.ONE: self.order[role.place:role.place + 1], Gates.ALL_BUT_LAST: self.order[:G - 1],
                     Gates.ALL: self.order}[role.gates]
            yield from (self._biases if kind in ("b", "b_h", "b4") else self._columns)(role, gates, array)

    def _biases(self, role: Role, gates: Sequence[int], array: np.ndarray) -> Blocks:
        flat, H = array.reshape(-1), self.sizes[2]
        for p, gate in enumerate(gates):
            yield ("b_h" if role.kind == "b_h" else "b", gate), flat[p * H:(p + 1) * H]
        if role.kind == "b4":
            yield ("b_h", len(gates) - 1), flat[len(gates) * H:]

    def _columns(self, role: Role, gates: Sequence[int], array: np.ndarray) -> Blocks:
        _, D, H = self.sizes
        width = len(gates) * H
        matrix = array.reshape(width, -1).T if role.turned else array.reshape(-1, width)
        for p, gate in enumerate(gates):
            columns = matrix[:, p * H:(p + 1) * H]
            if role.kind in ("W_x", "W_h"):
                yield (role.kind, gate), columns
                continue
            if role.kind == "W1":
                yield ("b", gate), columns[0]
                columns = columns[1:]
            yield ("W_h", gate), columns[:H] if self.h_first else columns[D:]
            yield ("W_x", gate), columns[H:] if self.h_first else columns[:D]

    def weights(self, arrays: Arrays) -> Weights:
        """Return the arguments as the derivation has them."""
        (N, D, H), G = self.sizes, len(self.cell.gates)
        shapes = {"W_x": (G, D, H), "W_h": (G, H, H), "b": (G, H), "b_h": (G, H)}
        gates = {name: np.zeros(shape) for name, shape in shapes.items()}
        single: dict[str, Any] = {"h0": np.zeros((N, H)), "c0": np.zeros((N, H))}
        for name in self.roles:
            for (what, gate), part in self.parts(name, arrays[name]):
                if gate is None:
                    single[what] = part
                else:
                    gates[what][gate] = part
        if self.source.tokens:
            single["tokens"] = self.steps_of(arrays[self.source.name])
            single["x"] = (np.eye(D) if "E" not in single else single["E"])[single["tokens"]]
        return Weights(**single, **gates)

    def steps_of(self, ids: np.ndarray) -> np.ndarray:
        """Return token or class ids as (T, N)."""
        T, N = self.source.axes[:2]
        return ids[:, None] if ids.ndim == 1 else ids if T < N else ids.T

    def cut(self, arrays: Arrays, T: int) -> dict[str, np.ndarray]:
        """Return the arguments with the first T steps of x alone."""
        cut = dict(arrays)
        for name in filter(None, (self.source.name, self.targets)):
            x, (axis, of_n) = arrays[name], self.source.axes[:2]
            if x.ndim == 3 or x.ndim == 2 and x.dtype.kind in "iu":
                cut[name] = np.take(x, range(T), axis=axis if x.ndim == 3 else int(axis > of_n))
            elif axis == 0 or x.ndim == 1:
                cut[name] = x[:T].copy()
        return cut

    def upstreams(self, gradients: Sequence[np.ndarray | None], arrays: Arrays,
                  T: int) -> dict[Finding | None, OutputGradients]:
        """Return the gradients of the outputs as those of each step's states.

        Of a loss inside also wrong ones, by what is wrong.
        """
        N, _, H = self.sizes
        weights = self.weights(arrays)
        state, last = (T, N, H), (N, H)
        shapes: dict[str, tuple[int, ...]] = {"h": state, "c": state, "last_h": last, "last_c": last}
        if weights.W_y is not None:
            shapes["scores"] = (T, N, weights.W_y.shape[1])
        total = {name: np.zeros(shape) for name, shape in shapes.items()}
        every = {output.state for output in self.outputs if not output.last}
        if any(output.state == "loss" for output in self.outputs):
            return self._of_loss(weights, arrays, T)
        for output, gradient in zip(self.outputs, gradients):
            if gradient is None:
                continue
            place = total[output.state]
            if output.last:
                own = output.state != "scores" and (output.state in every or output.state == "c")
                place = total[f"last_{output.state}"] if own else place[-1]
            place += np.transpose(gradient.reshape(unsqueezed(output.axes, place.shape)), output.axes)
        if weights.W_y is not None:
            total["h"] = total["h"] + total["scores"] @ weights.W_y.T
        return {None: OutputGradients(**total)}

    def _of_loss(self, weights: Weights, arrays: Arrays, T: int) -> dict[Finding | None, OutputGradients]:
        """Return the gradient of softmax with cross-entropy, and what it is where it is got wrong."""
        assert weights.W_y is not None
        N = self.sizes[0]
        p, y = probabilities(weights, forward(self.cell, weights)), self.steps_of(arrays[self.targets])
        divisor = next(output.divisor for output in self.outputs if output.state == "loss")
        scale = 1.0 / DIVISORS[divisor](T, N)
        target, right = np.eye(p.shape[2])[y], (p - np.eye(p.shape[2])[y]) * scale
        made: dict[Finding | None, np.ndarray] = {
            None: right, Finding("loss negated"): -right, Finding("p"): p * scale,
            Finding("squared"): (p - target) * p * (1 - p) * scale}
        if divisor:
            made[Finding("sum")] = p - target
        else:
            for name, count in DIVISORS.items():
                if count(T, N) > 1:
                    made[Finding("mean", (name,))] = (p - target) / count(T, N)
        made[Finding("last loss")] = right * (np.arange(T) == T - 1)[:, None, None]
        made[Finding("p + y")] = (p + target) * scale
        zero = np.zeros((T, N, self.sizes[2]))
        return {finding: OutputGradients(scores @ weights.W_y.T, zero, zero[0], zero[0], scores)
                for finding, scores in made.items() if finding is None or not np.array_equal(scores, right)}

    def words(self) -> str:
        """Return the conventions in words."""
        gates = self.cell.gates
        words = [{"LSTM": "an LSTM", "GRU": "a GRU", "RNN": "an RNN"}[self.cell.name]]
        words += [variant.value for variant in self.cell.variants]
        if len(gates) > 1:
            words.append(f"gates in the order {', '.join(gates[k] for k in self.order)}")
        if any(role.kind in OF_BOTH for role in self.roles.values()):
            words.append("rows [h, x]" if self.h_first else "rows [x, h]")
        if any(role.turned and role.kind in MATRICES for role in self.roles.values()):
            words.append("W times columns")
        if self.source.tokens:
            words.append("tokens, embedded" if self.source.E else "tokens, one-hot")
        else:
            axes = "".join("TND"[list(self.source.axes).index(k)] for k in range(3))
            words.append("axes " + axes.replace(self.source.absent, ""))
        if any(output.state == "loss" for output in self.outputs):
            words.append("softmax and cross-entropy inside")
        return "; ".join(words)


def _three(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of three axes: a missing N or T has size 1."""
    if len(shape) == 3:
        return shape
    full = list(shape)
    full.insert(axes[1] if axes == (0, 1, 2) else axes[0], 1)
    return tuple(full)


def unsqueezed(axes: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an array whose axes stand in another order, given their sizes."""
    shape = [0] * len(axes)
    for axis, size in zip(axes, sizes):
        shape[axis] = size
    return tuple(shape)


def probabilities(weights: Weights, steps: Sequence[dict[str, Any]]) -> np.ndarray:
    scores = scores_of(weights, steps)
    p = np.exp(scores - scores.max(axis=2, keepdims=True))
    normal: np.ndarray = p / p.sum(axis=2, keepdims=True)
    return normal


def scores_of(weights: Weights, steps: Sequence[dict[str, Any]]) -> np.ndarray:
    h = np.stack([values["h"] for values in steps])
    scores: np.ndarray = h @ weights.W_y + (0.0 if weights.b_y is None else weights.b_y)
    return scores
