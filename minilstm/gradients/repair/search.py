"""The search: edits are compiled into the live functions, run, and proved."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NamedTuple

from minilstm.gradients.repair.adjoints import Adjoints
from minilstm.gradients.repair.edits import Edit, edits
from minilstm.gradients.repair.problem import Problem, same_outputs
from minilstm.gradients.repair.program import NoRepairError, Program, Unit, close, get, located, put, units_of
from minilstm.gradients.repair.wanted import Spot, Wanted, names_of, place_of

TOGETHER = 64           # edits of one place that are compiled together
AFTERWARDS = 500        # candidates that are tried after the first repair
# A value of the backward is right where it is the gradient of some value of the forward.
WRONG_THEN_RIGHT, BOTH_RIGHT, UNKNOWN, RIGHT_THEN_WRONG = range(4)
PAIRS = 6               # edits that bring progress, to which a second one is looked for


class Endless(BaseException):
    """A candidate runs many more steps of loops than the program itself."""


class Repair(NamedTuple):
    """One change that makes every gradient right: where, the key of the mistake, and the line before and
    after."""

    file: str
    line: int
    key: str
    before: str
    after: str


@dataclass
class Result:
    """What a search found: changes that suffice, the most likely first; of one line, or of two together."""

    repairs: list[tuple[Repair, ...]] = field(default_factory=list)
    in_forward: bool = False
    tried: int = 0
    guilty: list[int] = field(default_factory=list)     # lines that influence all wrong gradients
    possible: list[int] = field(default_factory=list)   # of which other values would make all of them right
    reason: str = ""        # why there was no search


class Search:
    """A search for single edits: of the backward, of the ``forward``, or for the first of ``several``."""

    def __init__(self, problem: Problem, units: list[Unit], forward: bool = False,
                 several: bool = False) -> None:
        self.problem, self.forward, self.several = problem, forward, several
        self.ticks, self.most = 0, 1_000_000
        builtins.__tick__ = self._tick          # type: ignore[attr-defined]
        self.program = Program(problem.run, units, problem.forward if problem.target.is_loss else None)
        for unit in units:
            for node in ast.walk(unit.tree):
                if isinstance(node, (ast.For, ast.While)):
                    node.body.insert(0, located(ast.parse("__tick__()").body[0], node.lineno))
        self.program.study()
        self.ticks = 0
        self.base = problem.gradients()
        self.adjoints = Adjoints(self.program, problem)
        self.wanted = Wanted(self.program, problem)
        if not all(name in self.base and close(self.base[name], gradient)
                   for name, gradient in self.program.gradients.items()):
            raise NoRepairError("their source is not the one that runs: load the file again")
        self.most = 10 * self.ticks + 1000
        self.wrong, self.good = problem.errors(self.base)
        self.tried = 0
        self.first: Edit | None = None          # repair that is no worse than the program
        self.kind = UNKNOWN
        self.progress: list[tuple[int, int, float, Edit]] = []

    def _tick(self) -> None:
        self.ticks += 1
        if self.ticks > self.most:
            raise Endless

    def repairs(self, limit: int, line: int | None = None) -> Iterator[tuple[int, Edit]]:
        """Yield the edits (of one ``line``) that make every gradient right, with what is known of the values
        before and after; ``limit`` of each of the ``_stages`` are tried.

        Behind the first one only those are tried that may be a better explanation.
        """
        last = limit
        every = edits(self.program, self.wrong, self.forward, self.several)
        every = [edit for edit in every if line in (None, edit.statement.line)]
        stages: Iterable[list[Edit]] = [every] if self.forward or self.several else self._stages(every, line)
        for stage in stages:
            for group in _groups(stage):
                first = self.first
                at = group[0].statement.number - (first.statement.number if first else 0)
                if self.tried >= last or first and (
                        group[0].cost > first.cost if at == 0 else self.kind == WRONG_THEN_RIGHT and at > 0):
                    continue
                unit = group[0].statement.unit
                try:
                    code, group = compiled(group)
                except (SyntaxError, ValueError, TypeError, RecursionError):
                    continue
                for k, edit in enumerate(group):
                    self.tried += 1
                    builtins.__choice__ = k         # type: ignore[attr-defined]
                    if self._is_repair(unit, code, edit):
                        known = self._known(edit)
                        if self.first is None and known != RIGHT_THEN_WRONG:
                            self.first, self.kind, last = edit, known, min(limit, self.tried + AFTERWARDS)
                        yield known, edit
            last = self.tried + limit

    def _stages(self, every: list[Edit], line: int | None) -> Iterator[list[Edit]]:
        """Yield the edits without those that cannot be a repair; expressions that give the values that are
        wanted; and lines that are missing."""
        self.ticks = -10 ** 12          # of these runs there are not too many
        wanted = self.wanted
        left = [edit for edit in every
                if edit.how != "expression" or edit.key == "axis" or wanted.is_possible(edit.target.whole)]
        yield left
        self.ticks = -10 ** 12
        found = []
        for place in self.program.places:
            if place.shape is None or place.forward or not self.program.touched(place) >= self.wrong or (
                    place.whole is not place and place.inside(ast.Add, ast.Sub, ast.Mult)):
                continue
            if line in (None, place.statement.line) and wanted.is_possible(place.whole) and not (
                    self.first and self.kind == WRONG_THEN_RIGHT
                    and self.first.statement.number <= place.statement.number):
                spot = Spot(place.statement, "expression", place)
                shared = spot.statement.unit in self.program.shared
                found += [Edit(cost + shared, key, spot.statement, "expression", part, text)
                          for part, cost, key, text in wanted.expressions(spot)]
        yield sorted(found, key=lambda edit: edit.cost)
        self.ticks = -10 ** 12
        missing = []
        for statement in self.program.statements if self.first is None and line is None else ():
            rest = statement.body[statement.body.index(statement.node):]
            reached = set().union(*(self.program.reached(node.statement) for node in rest
                                    if hasattr(node, "statement")))
            for name, how in names_of(statement, bool(self.program.forward)) if reached & self.wrong else ():
                if how == "end" or reached >= self.wrong:
                    assigned = place_of(statement, name) if how == "before" else None
                    if assigned is None or wanted.is_possible(assigned):    # else it is the same place
                        spot = Spot(statement, how, None, name)
                        missing += [Edit(cost, "line_missing", statement, how, statement, f"{name} = {text}")
                                    for _, cost, _, text in wanted.expressions(spot)]
        yield missing

    def _known(self, edit: Edit) -> int:
        """Return what the gradients of the forward's own values tell of an expression before and after."""
        if self.forward or edit.how != "expression" or edit.target.whole.shape is None or (
                edit.statement.unit in self.program.shared):
            return UNKNOWN
        self.ticks, self.most, most = 0, 100_000_000, self.most
        try:
            both = zip(edit.target.whole.values, self.program.values_with(edit.target, edit.text))
            before, after = map(self.adjoints.grade, next(pair for pair in both if not close(*pair)))
        except (Exception, Endless):        # such as StopIteration: the first visits are the same
            return UNKNOWN
        finally:
            self.most = most
        if before < after:
            return WRONG_THEN_RIGHT
        return UNKNOWN if not before else BOTH_RIGHT if after else RIGHT_THEN_WRONG

    def _is_repair(self, unit: Unit, code: CodeType, edit: Edit) -> bool:
        self.ticks = 0
        try:
            unit.use(code)
            if self.forward:
                return self.problem.is_proved(forward=True)
            wrong, good = self.problem.errors(self.problem.gradients())
            if wrong <= self.wrong and good > self.good:
                self.progress.append((len(wrong), -good, edit.cost, edit))
            self.most, most = 100_000_000, self.most
            try:
                return not wrong and same_outputs(self.problem) and self.problem.is_proved()
            finally:
                self.most = most
        except (Exception, Endless):
            return False
        finally:
            unit.use(unit.original)


def _groups(found: list[Edit]) -> list[list[Edit]]:
    """Return edits of one place together, where the first of them stands."""
    groups: dict[tuple[Any, ...], list[list[Edit]]] = {}
    for edit in found:
        alone = (id(edit),) if edit.how == "order" else ()
        chunks = groups.setdefault((edit.cost, edit.how, id(edit.target), *alone), [[]])
        if len(chunks[-1]) >= TOGETHER:
            chunks.append([])
        chunks[-1].append(edit)
    return [chunk for chunks in groups.values() for chunk in chunks]


def compiled(group: list[Edit]) -> tuple[CodeType, list[Edit]]:
    """Compile edits of one place, chosen by ``__choice__``; leave out those that are no Python."""
    hook, new, group = edited(group)
    old = get(hook)
    put(hook, new)
    try:
        return group[0].statement.unit.compiled(), group
    finally:
        put(hook, old)


def edited(group: list[Edit]) -> tuple[tuple[Any, str, int | None], Any, list[Edit]]:
    """Return where edits of one place hang, what has to stand there, and the edits that can be parsed."""
    how, target, statement = group[0].how, group[0].target, group[0].statement
    if how == "order":
        return (_Body(statement.body), "nodes", None), target, group
    nodes: list[Any] = []
    kept = []
    for edit in group:
        try:
            parsed: Any = ast.parse(f"({edit.text})", mode="eval").body if how == "expression" else (
                ast.parse(edit.text).body)
        except SyntaxError:
            continue
        kept.append(edit)
        nodes.append(parsed)
    if not kept:
        raise SyntaxError("none of them")
    new: Any = nodes[-1]
    for k in reversed(range(len(nodes) - 1)):
        test = ast.parse(f"__choice__ == {k}", mode="eval").body
        new = ast.IfExp(test, nodes[k], new) if how == "expression" else [ast.If(test, nodes[k], new)]
    if how == "expression":
        return target.hook, located(new, statement.number), kept
    for node in new:
        located(node, statement.number)
    body = statement.node.body if how == "end" else statement.body     # type: ignore[attr-defined]
    at = len(body) if how == "end" else body.index(statement.node)
    return (_Body(body), "nodes", None), [*body[:at], *new, *body[at + (how == "statement"):]], kept


class _Body:
    """A list of statements, exchanged in place."""

    def __init__(self, body: list[ast.stmt]) -> None:
        self.__dict__["body"] = body

    def __getattr__(self, name: str) -> list[ast.stmt]:
        return list(self.__dict__["body"])

    def __setattr__(self, name: str, nodes: list[ast.stmt]) -> None:
        self.__dict__["body"][:] = nodes


def told(edit: Edit) -> Repair:
    """Return an edit as a repair of the student's line."""
    statement, how = edit.statement, edit.how
    if how == "end":
        body: list[Any] = statement.node.body       # type: ignore[attr-defined]
        statement = next(inner.statement for inner in reversed(body) if hasattr(inner, "statement"))
    before = _head(statement.node)
    line = edit.target.line if how == "expression" else statement.line
    if how == "expression":
        old = get(edit.target.hook)
        put(edit.target.hook, ast.parse(f"({edit.text})", mode="eval").body)
        after = _head(statement.node)
        put(edit.target.hook, old)
    elif how == "order":
        at, to = statement.body.index(statement.node), edit.target.index(statement.node)
        after = f"{before}      # {abs(to - at)} lines further {'down' if to > at else 'up'}"
    elif how == "statement":
        after = "" if edit.text == "pass" else edit.text.partition("\n")[0]
    else:
        after = f"{edit.text}\n{before}" if how == "before" else f"{before}\n{edit.text}"
    return Repair(statement.unit.file, line, edit.key, before, after)


def _head(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0]


def _one_a_line(found: Iterator[tuple[int, Edit]]) -> list[tuple[Repair, ...]]:
    """Return the best change of each line.

    Where values become right, the first line in the order of the data has the mistake; where they were right,
    and are so as something else, the last one. What was right and is so no longer counts only if nothing else
    helps.
    """
    lines: dict[tuple[str, int], tuple[tuple[int, int, float, int], Repair]] = {}
    for known, edit in found:
        repair, number = told(edit), edit.statement.number
        length = (len(repair.after) - len(repair.before)) // 2 if repair.after else 0
        at = {WRONG_THEN_RIGHT: number, BOTH_RIGHT: -number}.get(known, 0)
        rank = (known, at, edit.cost, length)
        old = lines.get((repair.file, repair.line))
        if old is None or (rank, len(repair.after)) < (old[0], len(old[1].after)):
            lines[repair.file, repair.line] = rank, repair
    ranked = sorted(lines.values(), key=lambda pair: pair[0])
    better = [pair for pair in ranked if pair[0][0] != RIGHT_THEN_WRONG]
    return [(repair,) for _, repair in better or ranked]


def search(problem: Problem, limit: int, thorough: bool) -> Result:
    """Look for one change; with ``thorough`` also for two, and for one of the forward."""
    units = units_of(problem.run)
    first = Search(problem, units)
    result = Result()
    if not first.wrong:
        return result
    result.repairs = _one_a_line(first.repairs(limit))
    result.tried = first.tried
    program = first.program
    guilty = [place for place in program.places
              if place.touches is not None and not place.forward and place.touches >= first.wrong]
    apart = [place for place in guilty if place.statement.unit not in program.shared]
    result.guilty = sorted({place.line for place in apart or guilty})
    possible = first.wanted.possible()
    later = [statement for statement in possible if statement.unit not in program.shared]
    result.possible = sorted({statement.line for statement in later or possible})
    if result.repairs or not thorough:
        return result
    ahead = Search(problem, units, forward=True)
    result.repairs = _one_a_line(ahead.repairs(limit // 8))      # each of many forward runs
    result.tried += ahead.tried
    if result.repairs:
        result.in_forward = True
        return result
    first = Search(problem, units, several=True)
    list(first.repairs(limit // 2))
    result.tried += first.tried
    seen: set[tuple[int, int]] = set()
    for count, good, _, edit in sorted(first.progress, key=lambda each: each[:3]):
        if (count, good) in seen or len(seen) >= PAIRS:
            continue
        seen.add((count, good))
        unit = edit.statement.unit
        before = told(edit)
        hook, new, _ = edited([edit])
        old = get(hook)
        put(hook, new)
        original, unit.original = unit.original, unit.compiled()
        unit.use(unit.original)
        try:
            second = Search(problem, units)
            result.repairs = [(before, *repair) for repair in _one_a_line(second.repairs(limit // 4))]
        finally:
            put(hook, old)
            unit.original = original
            unit.use(original)
        result.tried += second.tried
        if result.repairs:
            break
    return result
