"""Find the fewest mistakes with which a derivation gives exactly a student's gradients.

A mistake in the cell shows at T = 1, where there is no step before; one in what is carried from step to step
at T = 2; one in the indices at T = 3 or more. So the problems are explained one after the other, shortest
first, and the best explanations of one are where the search for the next begins. An explanation counts only
if it is exact at every T.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.diagnosis.derivation import Cell
from minilstm.gradients.diagnosis.findings import Finding
from minilstm.gradients.diagnosis.last_products import close, explained
from minilstm.gradients.diagnosis.simulate import (Block, OutputGradients, Spec, Trace, Weights, backward,
                                                   block_of, forward)
from minilstm.gradients.diagnosis.wrong_lines import PASSES, Edit, Place, carries, edits

BEAM = 24               # explanations that one problem hands to the next
EXTENDED = 6            # of the best explanations, those that are extended by one mistake
DEPTH = 5               # mistakes in the derivation, at most
Edits = dict[int | Place, Edit]


@dataclass(frozen=True)
class SearchProblem:
    """One size: what the student's backward returned for it, in blocks, and all that the derivation needs."""

    cell: Cell
    weights: Weights
    # None: the right one; others, by mistakes in the loss.
    upstreams: dict[Finding | None, OutputGradients]
    blocks: dict[Block, np.ndarray]

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        return forward(self.cell, self.weights)

    @property
    def T(self) -> int:
        return len(self.weights.x)

    def upstream(self, spec: Spec) -> OutputGradients:
        """Return the gradients from above, with the mistake in the loss that ``spec`` may hold."""
        finding = spec[Place.LOSS].finding if Place.LOSS in spec else None
        return self.upstreams.get(finding, self.upstreams[None])

    def wrong(self, spec: Spec, first: Sequence[Block] = (),
              most: float = math.inf) -> tuple[Trace, dict[Block, np.ndarray]]:
        """Return the derivation's trace with these mistakes, and what it gives for the blocks that the
        student has otherwise.

        Stops at ``most`` of them; those in ``first`` are looked at first.
        """
        upstream = self.upstream(spec)
        trace = backward(self.cell, self.weights, self.steps, upstream, spec)
        differing = {}
        for block in dict.fromkeys((*first, *self.blocks)):
            got = self.blocks[block]
            right = block_of(self.cell, self.weights, self.steps, trace, block, upstream)
            if not close(right, got):
                differing[block] = right
                if len(differing) >= most:
                    break
        return trace, differing


class Explanation(NamedTuple):
    """Mistakes in the derivation and, by block, in the last products; blocks that nothing explains."""

    spec: Edits
    last: dict[Block, tuple[Finding, ...]]
    open: tuple[Block, ...]

    @property
    def cost(self) -> float:
        """Mistakes in all; the same one on several gates is one. An open block costs more than any."""
        return len(self.spec) + 1.01 * len(set(self.last.values())) + 3.0 * len(self.open)


def explanation_of(problem: SearchProblem, spec: Edits) -> Explanation:
    """Return the explanation that ``spec`` and mistakes in the last products make."""
    trace, differing = problem.wrong(spec)
    cell, weights, steps, upstream = problem.cell, problem.weights, problem.steps, problem.upstream(spec)
    last = {block: explained(cell, weights, steps, trace, block, right, problem.blocks[block], upstream)
            for block, right in differing.items()}
    return Explanation(spec, {block: findings for block, findings in last.items() if findings},
                       tuple(block for block, findings in last.items() if not findings))


def moves(problem: SearchProblem, spec: Spec) -> Iterator[Edit]:
    """Yield the mistakes that may be added to ``spec``, one at each place."""
    cell = problem.cell
    for line in cell.backward:
        assert line.number is not None
        if line.number not in spec:
            yield from edits(cell, line.number)
            if problem.T > 1:
                yield from (edit.later() for edit in edits(cell, line.number))
    if Place.LOSS not in spec:
        yield from (Edit(Place.LOSS, None, finding) for finding in problem.upstreams if finding is not None)
    for edit in (*carries(cell), *PASSES):
        if edit.place not in spec and (problem.T > 1 or edit.place is not Place.LOOP):
            yield edit
            if edit.place is Place.CARRY_H and problem.T > 1:
                yield edit.later()


def search(problems: Sequence[SearchProblem], deadline: float) -> list[Explanation]:
    """Return the cheapest explanations that are exact for every problem, or the best inexact one alone.

    ``deadline``: a time of ``time.perf_counter``.
    """
    singles = [Explanation({edit.place: edit}, {}, ()) for edit in moves(problems[-1], {})
               if not any(problem.wrong({edit.place: edit}, most=1)[1] for problem in problems)]
    if singles:         # nothing is cheaper
        return sorted(singles, key=lambda explanation: _plainness(problems[-1], explanation))
    starts: list[Edits] = [{}]
    found: list[Explanation] = []
    for problem in problems:
        found = _extend(problem, starts, deadline)
        starts = [explanation.spec for explanation in found[:BEAM]]
    exact = [explanation for explanation in found if not explanation.open]
    if not exact:
        return found[:1]
    lowest = min(explanation.cost for explanation in exact) + 1e-9
    cheapest = [explanation for explanation in exact if explanation.cost <= lowest]
    return sorted((explanation for explanation in cheapest if _holds(problems, explanation)),
                  key=lambda explanation: _plainness(problems[-1], explanation))


def _plainness(problem: SearchProblem, found: Explanation) -> list[int]:
    """Order explanations that cannot be told apart: carries first, then lines near the outputs."""
    carried = {Place.CARRY_H, Place.CARRY_C,
               *(line.number for line in problem.cell.backward if line.target in ("dh_prev", "dc_prev"))}
    numbers = {place: -place if isinstance(place, int) else 0 for place in found.spec}
    return sorted(-99 if place in carried else number for place, number in numbers.items())


def _cost(explanation: Explanation) -> float:
    return explanation.cost


def _holds(problems: Sequence[SearchProblem], found: Explanation) -> bool:
    """Return whether an explanation is exact at every size; an accident at one of them is none."""
    return all(not explanation_of(problem, found.spec).open for problem in problems)


def _extend(problem: SearchProblem, starts: list[Edits], deadline: float) -> list[Explanation]:
    """Return explanations of one problem, the best first, that begin with ``starts``."""
    seen: dict[frozenset[Edit], Explanation] = {}

    def look(spec: Edits) -> Explanation:
        key = frozenset(spec.values())
        if key not in seen:
            seen[key] = explanation_of(problem, spec)
        return seen[key]

    frontier = sorted((look(spec) for spec in starts), key=_cost)
    for _ in range(DEPTH):
        best = frontier[0]
        one_more = 1.02 + min(map(len, starts))
        if not best.open and best.cost <= min(one_more, len(best.spec) + 1.02 * bool(best.last)):
            break
        counted: list[tuple[int, Edits]] = []
        for base in frontier[:EXTENDED]:
            before = tuple(problem.wrong(base.spec)[1])
            for edit in moves(problem, base.spec):
                spec = {**base.spec, edit.place: edit}
                if frozenset(spec.values()) in seen:
                    continue
                if time.perf_counter() > deadline:
                    break
                after = len(problem.wrong(spec, before, len(before))[1])
                if after < len(before):
                    counted.append((after, spec))
        if not counted:
            break
        counted.sort(key=lambda pair: pair[0])
        frontier = sorted([*(look(spec) for _, spec in counted[:60]), *frontier], key=_cost)
        if time.perf_counter() > deadline or frontier[0].cost >= best.cost and not best.open:
            break
    return sorted(seen.values(), key=_cost)
