"""Of which kind a mistake is, and in which line: the change which makes everything right tells.

The changes are those of ``minilstm.gradients.repair``; instead of gradients, any results are compared.
"""

from __future__ import annotations

import ast
import copy
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np

from minilstm.exercises.verdict import Line, as_arrays, equal_results
from minilstm.gradients.repair.edits import Edit
from minilstm.gradients.repair.program import units_of
from minilstm.gradients.repair.search import RIGHT_THEN_WRONG, Search

MOST = 3000             # changes
SIMPLE = 2.4            # the cost of an edit that may give the mistake its name
FEWEST = 200            # where fewer can be tried in time, none is
SECONDS = 2.0


class Results:
    """What a function should return, in the form of a ``repair.problem.Problem``: each result a gradient."""

    target = SimpleNamespace(is_loss=False, run=lambda tensors: [])
    outputs: list[Any] = []
    tensors: dict[str, Any] = {}

    def __init__(self, function: Callable[..., Any], cases: Sequence[tuple[Sequence[Any], Any]]) -> None:
        self.function, self.others = function, cases[1:]
        self.arguments, self.right = cases[0][0], as_arrays(cases[0][1])

    def gradients(self, scale: float = 1.0) -> dict[str, Any]:
        """Return the results by number, with what comes from above, and other arrays, scaled."""
        given = [scale * value if isinstance(value, np.ndarray) and value.dtype.kind == "f"
                 else copy.deepcopy(value) for value in self.arguments]
        got = self.function(*given)
        whole = list(got.values()) if isinstance(got, dict) else got
        return {str(k): value for k, value in enumerate(as_arrays(whole)[:len(self.right)])}

    def run(self, scale: float = 1.0) -> tuple[list[Any], dict[str, Any]]:
        return [], self.gradients(scale)

    def gap(self, results: dict[str, Any]) -> np.ndarray:
        """Return what all entries are off by; NaN for a result that has another shape."""
        got = [np.asarray(results.get(str(k), np.nan)) for k in range(len(self.right))]
        return np.concatenate([np.ravel(value - want if value.shape == want.shape else want * np.nan)
                               for value, want in zip(got, self.right)])

    def errors(self, results: dict[str, Any]) -> tuple[set[str], int]:
        """Return which results are wrong, and how many are right."""
        wrong = {str(k) for k, want in enumerate(self.right)
                 if str(k) not in results or not equal_results(results[str(k)], want)}
        return wrong, len(self.right) - len(wrong)

    def is_proved(self) -> bool:
        """Return whether the results are right in every case."""
        others = (Results(self.function, [case]) for case in self.others)
        return not any(other.errors(other.gradients())[0] for other in others)


def kind_of(function: Callable[..., Any], cases: Sequence[tuple[Sequence[Any], Any]],
            line: Line | None) -> tuple[str, Line | None]:
    """Return the key of the one mistake in a function or in those that it calls, and its line.

    ``cases``: arguments, and what should be returned; ``line``: where that is known. The key is "wrong line"
    for one without a name, and "" if no one change makes everything right. A line that was not known is None
    if changes of several would do.
    """
    problem: Any = Results(function, cases)
    found = []
    with np.errstate(all="ignore"), suppress(Exception):        # its source cannot be edited
        begun = time.perf_counter()
        problem.gradients()
        most = min(MOST, int(SECONDS / (time.perf_counter() - begun)))
        if most >= FEWEST:
            found = list(Search(problem, units_of(problem.run)).repairs(most, line and line.number))
    edits = [edit for known, edit in found if known != RIGHT_THEN_WRONG] or [edit for _, edit in found]
    lines = {Line(edit.statement.unit.tree.name, edit.statement.line) for edit in edits}
    # what is made of many parts to give the values does not tell which part is wrong
    least = min([SIMPLE, *(edit.cost for edit in edits)])
    keys = {edit.key for edit in edits if edit.cost == least}
    if keys >= {"line_too_many"} and len(lines) == 1:
        keys = {"line_too_many"}
    if len(keys) > 1:
        keys.discard("number")          # such as 0 times what is too many
    if line is None and len(lines) == 1 and not any(map(_moves, edits)):
        line, = lines
    return "wrong line" if len(keys) > 1 or line and not keys else "".join(keys), line


def _moves(edit: Edit) -> bool:
    """Return whether the mistake may stand elsewhere: a line is missing, or what is returned has another
    name."""
    returned = isinstance(edit.statement.node, ast.Return)
    return edit.how in ("before", "end") or returned and edit.key == "order"
