"""Which line of a student's function is proved wrong: the one that the exercise's own line repairs.

In a copy of the function, and of those that it calls, each statement is replaced by what stands there in the
right one, or left out. The first for which that, and nothing else, makes the results right is wrong. Where
it reads what the right function does not have, that may be what is wrong, and nothing is proved here
(``kinds.py`` looks on, in the student's own lines).
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.cells.activations import sigmoid
from minilstm.exercises.verdict import Line, changed, equal_results

CALLED = ("rnn_step", "rnn_step_backward", "lstm_step", "lstm_step_backward")      # by other functions
SECONDS = 2.0           # of the processor, to look for a line, at most; three times that on a clock
PARTS = ("body", "orelse", "finalbody")


class Repair(NamedTuple):
    """Whether the results are right, with the blanks filled; else the line that is proved wrong, or None, and
    the key of the mistake."""

    right: bool
    line: Line | None = None
    key: str = ""


def repair(function: Any, arguments: Sequence[Any], right: Any, right_arguments: Sequence[Any],
           blanks: Collection[int] = ()) -> Repair:
    """Look for the one wrong line of a function; ``blanks``: lines that are filled before."""
    try:
        return _Search(inspect.unwrap(function), arguments, right, right_arguments).found(blanks)
    except Exception:       # its source is not at hand
        return Repair(False)


class _Search:
    def __init__(self, function: Any, arguments: Sequence[Any], right: Any, rights: Sequence[Any]) -> None:
        self.name, self.arguments, self.scope = function.__name__, list(arguments), function.__globals__
        self.want = right(*copy.deepcopy(list(rights)))
        called = [name for name in CALLED if name in self.scope and name in right.__globals__
                  and name != right.__name__]
        self.trees = {name: (_tree(self.scope[name]), _tree(right.__globals__[name])) for name in called}
        self.trees[self.name] = _tree(function), _tree(right)
        self.code = {name: _compiled(tree) for name, (tree, _) in self.trees.items()}

    def is_right(self, name: str) -> bool:
        """Return whether the copies give the right results, and leave the arguments as they are; ``name``:
        the one that was changed."""
        scope = {"np": np, "sigmoid": sigmoid, **self.scope}
        given = copy.deepcopy(self.arguments)
        try:
            for code in {**self.code, name: _compiled(self.trees[name][0])}.values():
                exec(code, scope)
            with np.errstate(all="ignore"):
                result = scope[self.name](*given)
        except (Exception, SystemExit):
            return False
        got, want = without_cache(result, self.want), without_cache(self.want, self.want)
        kept = [pair for pair in zip(given, self.arguments) if isinstance(pair[1], np.ndarray)]
        return equal_results(got, want) and all(equal_results(*pair) for pair in kept)

    def found(self, blanks: Collection[int]) -> Repair:
        """Fill the blanks, then look for the line."""
        if any(isinstance(node, ast.While) for tree, _ in self.trees.values() for node in ast.walk(tree)):
            return Repair(False)            # which a change may make endless
        every = {name: list(_places(tree)) for name, (tree, _) in self.trees.items()}
        for place in every[self.name]:
            if place.node.lineno in blanks:
                for other in self.instead(self.name, place, every[self.name])[:1]:
                    place.put(other)
        self.code[self.name] = _compiled(self.trees[self.name][0])
        if self.is_right(self.name):
            return Repair(True)
        processor, clock = time.process_time() + SECONDS, time.perf_counter() + 3 * SECONDS
        for name, places in every.items():
            for place in places:
                before = place.node
                if time.process_time() > processor or time.perf_counter() > clock:
                    return Repair(False)
                for other in [*self.instead(name, place, places), ast.Pass()]:
                    place.put(other)
                    repaired = self.is_right(name)
                    place.body[place.at] = before
                    if repaired:
                        known = self.knows(name, before)
                        return Repair(False, Line(name, before.lineno) if known else None)
        return Repair(False)

    def instead(self, name: str, place: Place, places: list[Place]) -> list[Any]:
        """Return what stands in the right function for a statement: for the same names, at the same place."""
        rights = [other.node for other in _places(self.trees[name][1])]
        mine = [other.node for other in places]
        kind = _kind(place.node)
        at = [_kind(node) for node in mine[:mine.index(place.node)]].count(kind)
        alike: list[Any] = [node for node in rights if _kind(node) == kind][at:at + 1]
        if len(rights) == len(mine):
            alike.append(rights[mine.index(place.node)])
        return [self.complete(name, node) for node in alike]

    def complete(self, name: str, node: Any) -> Any:
        """Return a right statement behind those for the variables that the student does without."""
        tree, right = self.trees[name]
        lacking = _read(node) & _made(right) - _made(tree)
        before = [copy.deepcopy(place.node) for place in _places(right) if changed(place.node) & lacking]
        return ast.If(ast.Constant(True), [*before, node], []) if before else node

    def knows(self, name: str, node: ast.stmt) -> bool:
        """Return whether a statement reads nothing but what the right function has, and libraries."""
        tree, right = self.trees[name]
        own = {key for key, value in self.scope.items() if getattr(value, "__globals__", None) is self.scope}
        head = node.iter if isinstance(node, ast.For) else node.test if isinstance(node, ast.If) else node
        return not _read(head) & (_made(tree) | own) - _read(right) - _made(right)


class Place(NamedTuple):
    """A statement: the list that it stands in, and where."""

    body: list[Any]
    at: int

    @property
    def node(self) -> Any:
        """The statement."""
        return self.body[self.at]

    def put(self, other: Any) -> None:
        """Put another statement in its place; of a loop or a branch, another head."""
        node, new = self.node, copy.deepcopy(other)
        if isinstance(other, (ast.For, ast.If)) and isinstance(node, type(other)) and not (
                isinstance(getattr(other, "test", None), ast.Constant)):
            new.body, new.orelse = node.body, node.orelse
        self.body[self.at] = ast.copy_location(new, node)


def _tree(function: Any) -> ast.Module:
    lines, first = inspect.getsourcelines(inspect.unwrap(function))
    return ast.increment_lineno(ast.parse(textwrap.dedent("".join(lines))), first - 1)


def _compiled(tree: ast.Module) -> Any:
    return compile(ast.fix_missing_locations(tree), "repair", "exec")


def _places(tree: ast.Module) -> Iterator[Place]:
    """Yield the statements of a function, without inner functions and the docstring."""
    function: Any = tree.body[0]
    return _inside(function.body)


def _inside(body: list[ast.stmt]) -> Iterator[Place]:
    for at, node in enumerate(body):
        is_docstring = isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not is_docstring:
            yield Place(body, at)
            for part in PARTS:
                yield from _inside(getattr(node, part, []))


def _kind(node: ast.stmt) -> Any:
    return type(node) if not changed(node) else changed(node)


def _read(node: ast.AST) -> set[str]:
    """Return the names that are read in a node, but for those of its own comprehensions."""
    names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
    inside = {part.id for each in ast.walk(node) if isinstance(each, ast.comprehension)
              for part in ast.walk(each.target) if isinstance(part, ast.Name)}
    return {part.id for part in names if isinstance(part.ctx, ast.Load)} - inside


def _made(tree: ast.AST) -> set[str]:
    """Return the names that a function makes: its arguments, variables and inner functions."""
    names = [part for part in ast.walk(tree) if isinstance(part, ast.Name)]
    return {part.id for part in names if isinstance(part.ctx, ast.Store)} | {
        getattr(part, "arg", getattr(part, "name", "")) for part in ast.walk(tree)
        if isinstance(part, (ast.arg, ast.FunctionDef))}


def has_cache(right: Any) -> bool:
    """Return whether what the right function returned ends with a cache, which a student may arrange."""
    return isinstance(right, tuple) and isinstance(right[-1], (tuple, list))


def without_cache(result: Any, right: Any) -> Any:
    """Return a result without its cache, where the right one has one."""
    return tuple(result[:-1]) if has_cache(right) and isinstance(result, (tuple, list)) else result
