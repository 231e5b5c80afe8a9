"""Which values would make every gradient right, and which expressions give them.

A backward is linear in the gradients that it computes. So with the values of one expression, at all its
visits, moved by d, the returned gradients move by J d: one run for each row of J. Where no d makes them
right, no change of that expression alone is a repair. Where one does, a run with it shows every value as it
should be, and a term or a factor that the expression lacks is found by comparing numbers.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.repair.pool import Named, Pool, aligned, factors, scales, terms
from minilstm.gradients.repair.problem import Problem
from minilstm.gradients.repair.program import (MARK, Place, Program, Statement, Unit, bare, is_atom,
                                               is_floating, is_whole, located, own_names, parts_of)

UNKNOWNS = 300          # of one expression: each costs a run
NEAR = 1e-6             # of the gap that a solution has to close
MOST = 40               # gradients, and constants, of which products are made
ALIKE = 10              # expressions of one form and the same values, at most
PROBES = 8              # random sums of the gradients by which expressions are compared
NAME = -1               # stands for a place where a name's values are moved
Found = Iterator[tuple[Place | None, float, str, str]]


class Spot(NamedTuple):
    """Where values are wanted: an expression; or a name, before a statement or at the end of a loop's
    body."""

    statement: Statement
    how: str                        # "expression", "before", "end"
    place: Place | None = None
    name: str = ""


class Solution(NamedTuple):
    """How the returned gradients depend on the values of a spot.

    gap: what all their entries are off by, (m,). rows: its change with each entry of the values, (n, m).
    shapes: of the values at each visit. move: what closes the gap, (n,); None if nothing does.
    """

    gap: np.ndarray
    rows: np.ndarray
    shapes: list[tuple[int, ...]]
    move: np.ndarray | None


class Part(NamedTuple):
    """A term of an expression: its sign and values, and its products without one of its factors."""

    place: Place | None
    text: str
    sign: float
    values: np.ndarray
    products: list[tuple[str, np.ndarray, Place]]       # with the place of that factor


class Wanted:
    """What other values of an expression could make every gradient right."""

    def __init__(self, program: Program, problem: Problem) -> None:
        self.program, self.problem = program, problem
        self.known: dict[Spot, Solution | None] = {}

    def is_possible(self, place: Place) -> bool:
        """Return whether the mistake may be in the expression; True where that cannot be told."""
        if place.shape is None or place.forward:
            return True
        solution = self.solution(Spot(place.statement, "expression", place))
        return solution is None or solution.move is not None

    def solution(self, spot: Spot) -> Solution | None:
        """Solve for the values at a spot; None where what follows is not linear, or is too much."""
        if spot not in self.known:
            try:
                self.known[spot] = self._solve(spot)
            except Exception:           # other values are refused, or are no numbers
                self.known[spot] = None
        return self.known[spot]

    def possible(self) -> list[Statement]:
        """Return the statements, of those asked for, in which other values make every gradient right."""
        return [spot.statement for spot, found in self.known.items() if found and found.move is not None]

    def _solve(self, spot: Spot) -> Solution | None:
        codes = self._codes(spot, spot.place)
        shapes: list[tuple[int, ...]] = []
        gap = self._gap(codes, lambda visit, value: shapes.append(np.shape(value)))
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes], dtype=int)
        if not shapes or ends[-1] > UNKNOWNS or not np.isfinite(gap).all():
            return None

        def moved(by: np.ndarray) -> np.ndarray:
            parts = np.split(by, ends[:-1])
            return self._gap(codes, lambda visit, value: parts[visit].reshape(value.shape)) - gap
        rows = np.stack([moved(unit) for unit in np.eye(ends[-1])])
        way = np.random.default_rng(0).standard_normal(ends[-1])
        if not np.allclose(moved(way), way @ rows, rtol=1e-7, atol=1e-9):
            return None
        move = np.linalg.lstsq(rows.T, -gap, rcond=1e-10)[0]
        closed = np.linalg.norm(move @ rows + gap) <= NEAR * np.linalg.norm(gap)
        return Solution(gap, rows, shapes, move if closed else None)

    def _codes(self, spot: Spot, only: Place | None) -> dict[Unit, CodeType]:
        """Compile the unit with ``__value__`` around a place (or all), or with a line that passes the name
        through it."""
        unit, statement = spot.statement.unit, spot.statement
        if spot.place:
            return {unit: self.program.with_records(unit, only)}
        body = statement.node.body if spot.how == "end" else statement.body     # type: ignore[attr-defined]
        at = len(body) if spot.how == "end" else body.index(statement.node)
        line = ast.parse(f"{spot.name} = __value__({NAME}, {spot.name})").body[0]
        body.insert(at, located(line, self._line(spot)))
        try:
            return {unit: unit.compiled()}
        finally:
            body.pop(at)

    def _line(self, spot: Spot) -> int:
        return spot.statement.number if spot.place else len(self.program.statements) + 1

    def _gap(self, codes: dict[Unit, CodeType], move: Callable[[int, Any], Any]) -> np.ndarray:
        """Return what the gradients are off by, with ``move(visit, value)`` added to each value."""
        visit = 0

        def hook(number: int, value: Any) -> Any:
            nonlocal visit
            by = move(visit, value) if is_floating(value) else None
            visit += is_floating(value)
            return value if by is None else value + by
        return self.problem.gap(self.program.run_recorded(hook, run=self.problem.gradients, codes=codes))

    # Expressions
    # --------------------------------------------------------------------------------------------------------

    def expressions(self, spot: Spot) -> Found:
        """Yield (place, cost, key, text) of what gives the values that are wanted: with one more term or
        factor, another factor, or another value. The place is that of a part, or None for a name."""
        solution = self.solution(spot)
        if solution is None or solution.move is None:
            return
        visits, move, rows, gap = _compared(solution, solution.move)
        shape = solution.shapes[0]
        scopes, seen = self._watch(spot, solution.shapes, move)
        if len(scopes) != len(solution.shapes) or len(set(solution.shapes[:visits])) > 1:
            return
        scopes, seen = scopes[:visits], {number: values[:visits] for number, values in seen.items()}

        def fitting(pool: Pool, change: np.ndarray, new: np.ndarray) -> list[int]:
            """Return which of these changes, to what is not zero, close the gap, the cheapest first."""
            off = abs(change @ rows + gap).max(axis=-1)
            found = np.flatnonzero((off <= 10 * NEAR * abs(gap).max()) & new.any(axis=-1))
            return [int(k) for k in found[np.argsort(pool.costs[found], kind="stable")][:ALIKE]]
        own, constants = self._values(spot, scopes)
        numbers = scales(self._numbers(spot, scopes), (visits, *shape))
        sums = terms(own, constants, numbers, (visits, *shape))
        products = factors(constants, numbers, (visits, *shape))
        inside = [*self._additive(spot.place, seen, (visits, *shape), 1.0)] if spot.place else [
            Part(None, spot.name, 1.0, np.ravel(seen[NAME]), [])]
        for place, text, sign, value, without in inside:
            for way, mark in ((1.0, "+"), (-1.0, "-")):
                for k in fitting(sums, sign * way * sums.values, (value + way * sums.values) * sums.values):
                    yield place, 1.5 + sums.costs[k], "term_missing", f"{text} {mark} {sums.told(k)[1]}"
            for k in fitting(sums, sign * (sums.values - value), sums.values):
                yield place, 1.5 + sums.costs[k], "another_value", sums.told(k)[1]
            every: list[tuple[str, np.ndarray, Place | None]] = [(text, value, None), *without]
            for rest, product, factor in every:
                for k in fitting(products, sign * (product * products.values - value), products.values):
                    key = "another_factor" if factor else products.told(k)[0]
                    yield place, 1.5 + products.costs[k], key, f"{rest} {products.told(k)[1]}"
                for k in fitting(sums, sign * product * sums.values, sums.values) if factor else ():
                    assert factor is not None
                    new = f"{ast.unparse(factor.node)} + {sums.told(k)[1]}"
                    yield factor, 1.5 + sums.costs[k], "term_missing", new

    def _watch(self, spot: Spot, shapes: list[tuple[int, ...]],
               move: np.ndarray) -> tuple[list[dict[str, Any]], dict[int, list[Any]]]:
        """Return all values in scope at each visit, and those of every expression, in a run with the values
        moved."""
        parts = np.split(move, np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1])
        moves = [part.reshape(shape) for part, shape in zip(parts, shapes)]
        scopes: list[dict[str, Any]] = []
        seen: dict[int, list[Any]] = {}
        line, own = self._line(spot), spot.place.number if spot.place else NAME

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if frame.f_code.co_filename != MARK or frame.f_code.co_name.startswith("<"):
                return None
            if event == "line" and frame.f_lineno == line:
                scopes.append(self.program.scope(spot.statement, frame))
            return trace

        def hook(number: int, value: Any) -> Any:
            if not is_floating(value):
                return value
            visits = seen.setdefault(number, [])
            visits.append(np.array(value))
            return value + moves[len(visits) - 1] if number == own else value
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            self.program.run_recorded(hook, run=self.problem.gradients, codes=self._codes(spot, None))
        finally:
            sys.settrace(before)
        return scopes, seen

    def _additive(self, place: Place, seen: dict[int, list[Any]], shape: tuple[int, ...],
                  sign: float) -> Iterator[Part]:
        """Yield an expression and the terms of the sum that it is."""
        values = _stack(seen.get(place.number, []))
        if values is None or values.shape != shape:
            return
        places = [factor.place for factor in parts_of(place.node) if hasattr(factor, "place")]
        stacks = [_stack(seen.get(factor.number, [])) for factor in places]
        wide = [None if stack is None else aligned(stack, shape) for stack in stacks]
        products = []
        for k in range(len(places) if len(places) > 1 and all(each is not None for each in wide) else 0):
            rest = [n for n in range(len(places)) if n != k]
            product = np.ones(shape)
            for n in rest:
                product = product * wide[n]     # type: ignore[operator]
            products.append((" * ".join(bare(places[n].node) for n in rest), product.ravel(), places[k]))
        yield Part(place, bare(place.node), sign, values.ravel(), products)
        node = place.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            for part, way in ((node.left, 1.0), (node.right, 1.0 if isinstance(node.op, ast.Add) else -1.0)):
                if hasattr(part, "place"):
                    yield from self._additive(part.place, seen, shape, sign * way)

    def _values(self, spot: Spot, scopes: list[dict[str, Any]]) -> tuple[Named, Named]:
        """Return the gradients and the constants in scope; what the program reads comes first."""
        gradients: Named = []
        constants: Named = []
        # with a loss inside, whatever the one function computes is taken for the forward's
        constant = self.program.forward or spot.place and spot.place.degree == 0
        atoms = sorted(itertools.chain(*spot.statement.atoms.values()),
                       key=lambda atom: (not self.program.reads(atom.text), len(atom.text)))
        for atom in atoms:
            stack = _stack([scope.get(atom.text) for scope in scopes])
            if stack is None:
                continue
            if stack.ndim > 1 and (atom.degree != 0 or constant):
                gradients.append((atom.text, stack))
            if atom.degree != 1 or constant:
                constants.append((atom.text, stack))
        return gradients[:MOST], constants[:MOST]

    def _numbers(self, spot: Spot, scopes: list[dict[str, Any]]) -> list[tuple[str, float]]:
        whole = {atom.text: float(atom.values[0]) for atom in spot.statement.atoms.get(("int",), [])
                 if all(is_whole(scope.get(atom.text)) and scope[atom.text] == atom.values[0]
                        for scope in scopes)}
        numbers = {"2": 2.0, **self.program.scalars, **whole}
        if spot.place:
            arrays = [place for place in spot.statement.places if place.shape and is_atom(place.node)]
            numbers |= {f"{place.text}.shape[{k}]": float(n) for place in arrays[:3]
                        for k, n in enumerate(place.shape or ())}
        pairs = [(f"({a} * {b})", x * y)
                 for (a, x), (b, y) in itertools.combinations(list(numbers.items())[:6], 2)]
        return [*numbers.items(), *pairs]


def _compared(solution: Solution, move: np.ndarray) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return how many visits are compared, the values' moves in the run that shows the others, and rows and
    gap as seen by PROBES random sums of the gradients."""
    gap, rows, shapes = solution.gap, solution.rows, solution.shapes
    probe = np.random.default_rng(1).standard_normal((gap.size, PROBES))
    if len(shapes) == 1 or len(set(shapes)) == 1 and np.linalg.matrix_rank(rows) == len(rows):
        return len(shapes), move, rows @ probe, gap @ probe
    # The values are not the only ones. Those of the first visit that needs others are told by what later ones
    # cannot do; all before it are right as they are.
    size = int(np.prod(shapes[0]))
    for visits in range(1, len(shapes) + 1):
        later = rows[visits * size:]
        free = np.eye(gap.size)
        if len(later):
            free = np.linalg.svd(later)[2][np.linalg.matrix_rank(later):]
        if np.linalg.norm(free @ gap) > NEAR * np.linalg.norm(gap):
            break
    probe = free.T @ free @ probe
    return visits, np.zeros_like(move), rows[:visits * size] @ probe, gap @ probe


def _stack(values: list[Any]) -> np.ndarray | None:
    """Return the values of all visits as one array; None where they are not numbers of one shape."""
    alike = all(is_floating(value) and np.shape(value) == np.shape(values[0]) for value in values)
    return np.array(values) if values and alike else None


def names_of(statement: Statement, loss: bool) -> Iterator[tuple[str, str]]:
    """Yield the names that a line before a statement, or at the end of a loop's body, could change; ``loss``:
    none is known for a constant."""
    if any(place.forward for place in statement.places):
        return
    own = own_names(statement.unit)
    floats = {atom.text for kind, atoms in statement.atoms.items() if kind[0] == "float" and len(kind) > 1
              for atom in atoms if loss or atom.degree != 0} & own
    read = {node.id for node in ast.walk(statement.node) if isinstance(node, ast.Name)}
    loop = isinstance(statement.node, (ast.For, ast.While))
    for name in sorted(floats if loop else floats & read):
        yield name, "end" if loop else "before"


def place_of(statement: Statement, name: str) -> Place | None:
    """Return what a name was last given in the same body, where nothing has read it since."""
    for node in reversed(statement.body[:statement.body.index(statement.node)]):
        if any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node)):
            given = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
            return getattr(node.value, "place", None) if given else None    # type: ignore[attr-defined]
    return None
