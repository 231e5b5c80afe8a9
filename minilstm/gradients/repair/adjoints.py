"""Which values of a backward are right: those that are the gradient of a value of the forward.

The gradient of a value, or of one use of it, is known without any backward: move it in a random direction,
and see how much the weighted outputs change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.gradients.repair.problem import EPS, Problem
from minilstm.gradients.repair.program import Place, Program, is_atom, is_floating

VISITS = 8              # of one expression of the forward


class Adjoints:
    """The slopes of the weighted outputs along random directions, at every expression of the forward."""

    def __init__(self, program: Program, problem: Problem) -> None:
        self.program, self.problem = program, problem
        self.known: dict[tuple[int, ...], list[tuple[int, np.ndarray, float]]] = {}
        self.rng = np.random.default_rng(0)

    def grade(self, value: Any) -> int:
        """Return 2 if the value is the gradient of something computed, 1 if of a single use of it, else 0."""
        value = np.asarray(value)
        if value.shape not in self.known:
            self.known[value.shape] = [(1 if is_atom(place.node) else 2, *pair)
                                       for place in self.program.places
                                       if place.forward and place.shape == value.shape
                                       for pair in self._slopes(place)]
        norm = float(np.linalg.norm(value))
        return max((grade for grade, way, slope in self.known[value.shape]
                    if abs(float((value * way).sum()) - slope) <= 1e-6 * norm), default=0)

    def _slopes(self, place: Place) -> list[tuple[np.ndarray, float]]:
        """Return a direction and the slope along it for each visit of an expression."""
        found: list[tuple[np.ndarray, float]] = []
        for visit in range(VISITS):
            way = self.rng.standard_normal(place.shape)
            ends = [self._moved(place, visit, step * way) for step in (EPS, -EPS)]
            if not all(ends):
                break           # there are no more
            weighed = (u * (a - b) for u, a, b in zip(self.problem.upstream, *ends) if u is not None)
            found.append((way, sum(float(part.sum()) for part in weighed) / (2 * EPS)))
        return found

    def _moved(self, place: Place, visit: int, by: np.ndarray) -> list[np.ndarray]:
        """Return the outputs with one value of an expression moved; nothing where it is not reached."""
        count = 0

        def move(number: int, value: Any) -> Any:
            nonlocal count
            if number != place.number or not is_floating(value) or np.shape(value) != by.shape:
                return value
            count += 1
            return value + by if count == visit + 1 else value
        outputs = self.program.run_recorded(move, run=self.problem.forward)
        return outputs if count > visit else []
