"""The gradients that a repair has to give: all of them at one point, and in random directions at others.

The forward alone tells them, once; a change of the backward is then judged by one run of it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.arrays import Array
from minilstm.gradients.check.numerical import finite_difference
from minilstm.gradients.repair.program import NoRepairError, close
from minilstm.gradients.targets.target import Target

ENTRIES = 3000          # of all tensors: a run of more numbers takes too long to be made thousands of times
TOLERANCE = 1e-6        # of a tensor's norm, as in gradcheck
EPS = 1e-5


class Trial(NamedTuple):
    """A point, its upstream gradients, and for each tensor two directions with the slopes along them."""

    tensors: dict[str, Any]
    upstream: list[Array | None]
    slopes: dict[str, list[tuple[np.ndarray, float]]]


class Problem:
    """A target's gradients: what its backward gives, and what is right."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.rng = np.random.default_rng(0)
        if not all(isinstance(value, np.ndarray) for value in target.tensors.values()):
            raise NoRepairError("the arrays are not NumPy's")
        if sum(value.size for value in target.tensors.values()) > ENTRIES:
            raise NoRepairError(f"the arrays have more than {ENTRIES:,} numbers: give smaller ones")
        whole = {name: leaf for name, leaf in target.leaves.items() if isinstance(leaf, (np.ndarray, list))}
        self.tensors: dict[str, Any] = {**whole, **target.tensors}
        self.outputs = self.forward()
        self.upstream = self._draw(self.outputs)
        found = self.gradients()
        self.effects = target.check_second_backward(found, self._copies(), copy.deepcopy(self.upstream))
        self.names = list(found)
        self.fitting = self._fitting(found, self.tensors)
        right = {}
        for name in self.names:
            low, high, _ = finite_difference(target.run, target.tensors, name, self.upstream)
            right[name] = (low + high) / 2
        self.shapes = {name: value.shape for name, value in right.items()}
        self.right = np.concatenate([value.ravel() for value in right.values()])
        sizes = [max(1, value.size) for value in right.values()]
        self.starts = np.cumsum([0, *sizes[:-1]])
        norms = np.sqrt(np.add.reduceat(self.right ** 2, self.starts))
        limits = TOLERANCE * np.maximum(norms, 1e-3 * np.sqrt(sizes))
        self.limits, self.entry = limits ** 2, np.repeat(limits / np.sqrt(sizes), sizes)
        self._known: list[Trial] | None = None

    def _copies(self, tensors: dict[str, Any] | None = None) -> dict[str, Any]:
        return copy.deepcopy(self.tensors if tensors is None else tensors)

    def _draw(self, outputs: list[Any]) -> list[Array | None]:
        if self.target.is_loss:
            return [np.array(1.0)]
        covered = len(outputs) if self.target.covered is None else self.target.covered
        return [self.rng.standard_normal(np.shape(y)) if k < covered else None for k, y in enumerate(outputs)]

    def gradients(self, scale: float = 1.0) -> dict[str, np.ndarray]:
        """Return the gradients of the target as it now is, made from fresh copies."""
        upstream = [None if u is None else scale * u for u in self.upstream]
        return self.target.gradients(self._copies(), upstream)

    def forward(self) -> list[np.ndarray]:
        """Return the outputs."""
        return [np.array(y) for y in self.target.run(self._copies())]

    def run(self, scale: float = 1.0) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        """Return outputs and gradients."""
        outputs = self.forward()
        return outputs, {name: np.array(value) for name, value in self.gradients(scale).items()}

    def gap(self, gradients: dict[str, np.ndarray]) -> np.ndarray:
        """Return what all entries are off by; NaN for a gradient that has another shape."""
        parts = [gradients[name] if name in gradients and np.shape(gradients[name]) == shape
                 else np.full(shape, np.nan) for name, shape in self.shapes.items()]
        return np.concatenate([np.ravel(part) for part in parts]) - self.right

    def errors(self, gradients: dict[str, np.ndarray]) -> tuple[set[str], int]:
        """Return the names of the wrong gradients, and how many entries of all are right."""
        gap = self.gap(gradients)
        wrong = ~(np.add.reduceat(gap * gap, self.starts) <= self.limits)
        return {name for name, bad in zip(self.names, wrong) if bad}, int((abs(gap) <= self.entry).sum())

    def is_proved(self, forward: bool = False) -> bool:
        """Return whether every gradient of the target as it now is is right at every trial; with
        ``forward``, of the forward as it now is."""
        if forward:
            return all(self._depends(trial) and self._agrees(trial) for trial in self._trials())
        if self._known is None:
            self._known = list(self._trials())
        return all(map(self._agrees, self._known))

    def _trials(self) -> Iterator[Trial]:
        """Yield the given point, other numbers, and other sizes."""
        for tensors in itertools.chain([self.target.tensors], self._points()):
            yield self._trial(tensors)

    def _depends(self, trial: Trial) -> bool:
        """Return whether the outputs depend on everything; else a backward of zeros would belong to them."""
        return all(any(abs(slope) > 1e-9 for _, slope in trial.slopes.get(name, ())) for name in self.names)

    def _trial(self, tensors: dict[str, Any]) -> Trial:
        whole = {**self.tensors, **tensors}
        upstream = self._draw(self.target.run(self._copies(whole)))
        slopes: dict[str, list[tuple[np.ndarray, float]]] = {}
        for name in self.names:
            for _ in range(2):
                way = self.rng.standard_normal(whole[name].shape)
                slope, again = (self._slope(whole, name, way, upstream, eps) for eps in (EPS, EPS / 4))
                if abs(slope - again) <= 1e-5 * max(abs(slope), 1e-3):      # no kink lies between
                    slopes.setdefault(name, []).append((way, slope))
        return Trial(whole, upstream, slopes)

    def _slope(self, tensors: dict[str, Any], name: str, way: np.ndarray, upstream: list[Array | None],
               eps: float) -> float:
        above, below = (self.target.run(self._copies({**tensors, name: tensors[name] + step * way}))
                        for step in (eps, -eps))
        weighed = (u * (a - b) for u, a, b in zip(upstream, above, below) if u is not None)
        return sum(float(part.sum()) for part in weighed) / (2 * eps)

    def _agrees(self, trial: Trial) -> bool:
        used = self._copies(trial.tensors)
        found = self.target.gradients(used, copy.deepcopy(trial.upstream))
        if any(not np.array_equal(used[name], trial.tensors[name]) for name in self.target.tensors):
            return False        # it writes into what it was given
        if self.target.check_second_backward(found, used, copy.deepcopy(trial.upstream)) != self.effects:
            return False        # a second backward gives something else
        for name, pairs in trial.slopes.items():
            if name not in found or np.shape(found[name]) != np.shape(trial.tensors[name]):
                return False
            norm = float(np.linalg.norm(found[name]))
            for way, slope in pairs:
                gap = abs(float((found[name] * way).sum()) - slope)
                if not gap <= 1e-5 * max(abs(slope), 0.1 * norm, 1e-3):
                    return False
        return True

    def _points(self) -> Iterator[dict[str, Any]]:
        """Yield other numbers, and other sizes: each size as 1, and as more than all others."""
        arrays = {name: np.asarray(value) for name, value in self.tensors.items()
                  if isinstance(value, np.ndarray)}
        free = [value.shape for name, value in arrays.items() if name not in self.target.parameters]
        sizes = sorted({n for shape in free for n in shape if n > 1})
        yield self._numbers(arrays, {})
        for old in sizes:
            for new in (1, max(sizes) + 2):
                multiples = {k * old: k * new for k in (2, 3, 4) if k * old in sizes}
                sums = {old + other: new + other for other in sizes if old + other in sizes}
                for follow in ({}, multiples, sums, {**multiples, **sums}):
                    try:
                        point = self._numbers(arrays, {old: new, **follow})
                        outputs = self.target.run(self._copies({**self.tensors, **point}))
                        found = self.target.gradients(self._copies({**self.tensors, **point}),
                                                      self._draw(outputs))
                    except Exception:       # these axes belong together
                        continue
                    # else it is no size, but the count of gates
                    fits = self.fitting <= self._fitting(found, {**self.tensors, **point})
                    if fits and all(np.isfinite(y).all() for y in outputs):
                        yield point
                        break

    def _fitting(self, gradients: dict[str, Any], tensors: dict[str, Any]) -> set[str]:
        """Return the names of the gradients that have the shape of their tensor."""
        return {name for name in gradients if np.shape(gradients[name]) == np.shape(tensors.get(name, 0))}

    def _numbers(self, arrays: dict[str, np.ndarray], sizes: dict[int, int]) -> dict[str, Any]:
        """Return arrays of other sizes, of numbers such as stand in them."""
        point = {}
        for name, value in arrays.items():
            changes = name not in self.target.parameters
            shape = tuple(sizes[n] if changes and n in sizes else n for n in value.shape)
            if value.dtype.kind == "f" and changes:
                point[name] = self.rng.choice(value.ravel(), shape) * self.rng.uniform(0.8, 1.2, shape)
            elif value.dtype.kind in "iu":
                point[name] = self.rng.choice(value.ravel(), shape)
        return point


def same_outputs(problem: Problem) -> bool:
    """Return whether the forward still gives what it gave."""
    outputs = problem.target.run(copy.deepcopy(problem.tensors))
    return len(outputs) == len(problem.outputs) and all(map(close, outputs, problem.outputs))
