"""Find the fewest slips with which a derivation gives exactly a student's gradients.

A slip in the cell shows at T = 1, where there is no step before; a slip in what is carried from step to step at T = 2; one in
the indices at T = 3 or more. So the problems are explained one after the other, shortest first, and the best explanations of
one are where the search for the next begins. An explanation counts only if it is exact at every T.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.diagnosis import last_lines
from minilstm.gradients.diagnosis.derivation import Cell
from minilstm.gradients.diagnosis.engine import Block, Spec, Trace, Upstream, Weights, backward, block_of, forward
from minilstm.gradients.diagnosis.slips import LOSSES, PASSES, Edit, carries, edits

KEPT = 24               # explanations that one problem hands to the next
TRIED = 6               # of the best explanations, those that are extended by one slip
DEPTH = 5               # slips in the derivation, at most


@dataclass(frozen=True)
class Problem:
    """One size: what the student's backward returned for it, in blocks, and all that the derivation needs."""

    cell: Cell
    weights: Weights
    upstreams: dict[str, Upstream]          # "": the right one; others, by slips of the loss
    blocks: dict[Block, np.ndarray]

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        return forward(self.cell, self.weights)

    @property
    def T(self) -> int:
        return len(self.weights.x)

    def upstream(self, spec: Spec) -> Upstream:
        """Return the gradients from above, with the slip of the loss that ``spec`` may hold."""
        return self.upstreams.get(spec["loss"].wrong if "loss" in spec else "", self.upstreams[""])

    def wrong(self, spec: Spec, first: Sequence[Block] = (), most: float = math.inf) -> tuple[Trace, dict[Block, np.ndarray]]:
        """Return the derivation's trace with these slips, and what it gives for the blocks that the student has otherwise.

        Stops at ``most`` of them; those in ``first`` are looked at first.
        """
        upstream = self.upstream(spec)
        trace = backward(self.cell, self.weights, self.steps, upstream, spec)
        differing = {}
        for block in dict.fromkeys((*first, *self.blocks)):
            got = self.blocks[block]
            right = block_of(self.cell, self.weights, self.steps, trace, block, upstream)
            if not last_lines.close(right, got):
                differing[block] = right
                if len(differing) >= most:
                    break
        return trace, differing


class Explanation(NamedTuple):
    """Slips of the derivation, slips of last lines by block, and blocks that nothing explains."""

    spec: dict[int | str, Edit]
    last: dict[Block, str]
    open: tuple[Block, ...]

    @property
    def cost(self) -> float:
        """Slips in all; the same one on several gates is one. An open block costs more than any slip."""
        return len(self.spec) + 1.01 * len(set(self.last.values())) + 3.0 * len(self.open)


def explain(problem: Problem, spec: dict[int | str, Edit]) -> Explanation:
    """Return the explanation that ``spec`` and slips of last lines make."""
    trace, differing = problem.wrong(spec)
    last, open_ = {}, []
    for block, right in differing.items():
        words = last_lines.slip(problem.cell, problem.weights, problem.steps, trace, block, right, problem.blocks[block],
                                problem.upstream(spec))
        if words is None:
            open_.append(block)
        else:
            last[block] = words
    return Explanation(spec, last, tuple(open_))


def moves(problem: Problem, spec: Spec) -> Iterator[Edit]:
    """Yield the slips that may be added to ``spec``, one of each place."""
    name = problem.cell.key
    for line in problem.cell.backward:
        assert line.number is not None
        if line.number not in spec:
            yield from edits(name, line.number)
            if problem.T > 1:
                yield from (edit._replace(later=True) for edit in edits(name, line.number))
    if "loss" not in spec:
        yield from (Edit("loss", wrong, LOSSES[wrong]) for wrong in problem.upstreams if wrong)
    for edit in (*carries(name), *PASSES):
        if edit.place not in spec and (problem.T > 1 or edit.place in ("carry h", "carry c", "above", "final", "gates")):
            yield edit
            if edit.place == "carry h" and problem.T > 1:
                yield edit._replace(later=True)


def search(problems: Sequence[Problem], deadline: float) -> list[Explanation]:
    """Return the cheapest explanations that are exact for every problem, or the best inexact one alone.

    ``deadline``: a time of ``time.perf_counter``.
    """
    singles = [Explanation({edit.place: edit}, {}, ()) for edit in moves(problems[-1], {})
               if not any(problem.wrong({edit.place: edit}, most=1)[1] for problem in problems)]
    if singles:         # nothing is cheaper
        return sorted(singles, key=lambda one: _plainness(problems[-1], one))
    starts: list[dict[int | str, Edit]] = [{}]
    found: list[Explanation] = []
    for problem in problems:
        found = _extend(problem, starts, deadline)
        starts = [one.spec for one in found[:KEPT]]
    exact = [one for one in found if not one.open]
    if not exact:
        return found[:1]
    lowest = min(one.cost for one in exact)
    return sorted((one for one in exact if one.cost <= lowest + 1e-9 and _holds(problems, one)),
                  key=lambda one: _plainness(problems[-1], one))


def _plainness(problem: Problem, found: Explanation) -> list[int]:
    """Order explanations that cannot be told apart: what is carried first, then the lines nearest to the outputs."""
    carried = {line.number for line in problem.cell.backward if line.target.endswith("_prev")} | {"carry h", "carry c"}
    return sorted(-99 if place in carried else -place if isinstance(place, int) else 0 for place in found.spec)


def _holds(problems: Sequence[Problem], found: Explanation) -> bool:
    """Return whether an explanation is exact at every size; an accident at one of them is none."""
    return all(not explain(problem, found.spec).open for problem in problems)


def _extend(problem: Problem, starts: list[dict[int | str, Edit]], deadline: float) -> list[Explanation]:
    """Return explanations of one problem, the best first, that begin with ``starts``."""
    seen: dict[frozenset[Edit], Explanation] = {}

    def look(spec: dict[int | str, Edit]) -> Explanation:
        key = frozenset(spec.values())
        if key not in seen:
            seen[key] = explain(problem, spec)
        return seen[key]

    frontier = sorted((look(spec) for spec in starts), key=lambda one: one.cost)
    for _ in range(DEPTH):
        best = frontier[0]
        one_more = 1.02 + min(map(len, starts))
        if not best.open and best.cost <= min(one_more, len(best.spec) + 1.02 * bool(best.last)):
            break
        counted: list[tuple[int, dict[int | str, Edit]]] = []
        for base in frontier[:TRIED]:
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
        frontier = sorted([*(look(spec) for _, spec in counted[:60]), *frontier], key=lambda one: one.cost)
        if time.perf_counter() > deadline or frontier[0].cost >= best.cost and not best.open:
            break
    return sorted(seen.values(), key=lambda one: one.cost)
