"""Which lines of a student's function are proved wrong.

A copy of the function reports each assignment while it runs, and so does the right function. A line is
suspected where a value is wrong although all that the line reads is right. It is proved wrong where the right
values in its place, and nothing less, make the results right. No other line is ever pointed at.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
import traceback
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.cells.activations import sigmoid
from minilstm.exercises.verdict import as_arrays, changed, equal_results

CALLED = ("rnn_step", "rnn_step_backward", "lstm_step", "lstm_step_backward")      # by other functions
MOST = 3                # wrong lines that are looked for
BRANCHES = (ast.If, ast.While, ast.Try, ast.IfExp)      # where the wrong line may be one that was not run


class Line(NamedTuple):
    """A line of a function."""

    function: str
    number: int


class Statement(NamedTuple):
    """``names``: what it changes, each with its number among the variable's assignments; ``targets``: of a
    loop."""

    line: Line
    last: int
    names: tuple[tuple[str, int], ...]
    reads: frozenset[str]
    targets: tuple[str, ...] = ()


class Trace(ast.NodeTransformer):
    """One run of a function, compared with that of the right one.

    ``result``: what it returned, None where it raised; ``suspect``: the first line with a wrong value
    although it reads right ones; ``wrote``: the first line after which an argument is another.

    Raises OSError, TypeError or SyntaxError where there is no source, LookupError where it has branches.
    """

    def __init__(self, function: Any, arguments: Sequence[Any], right: Trace | None = None,
                 replaced: Collection[Line] = ()) -> None:
        self.right, self.replaced = right, replaced
        self.values: dict[Any, list[Any]] = defaultdict(list)   # of the right run, by function and variable
        self.seen: Counter[Any] = Counter()
        self.count: Counter[tuple[str, str]] = Counter()        # assignments, by function and variable
        self.unknown: dict[str, dict[str, None]] = {}           # the variables of each function
        self.status: dict[str, dict[str, bool | None]] = defaultdict(dict)
        self.trusted: dict[str, bool | None] = {}               # functions that are called
        self.statements: list[Statement] = []
        self.suspect: Line | None = None
        self.wrote: Line | None = None
        self.result: Any = None
        self.arguments, self.before = (copy.deepcopy(list(arguments)) for _ in range(2))
        made = self._copy(inspect.unwrap(function))
        try:
            with np.errstate(all="ignore"):
                self.result = made(*self.arguments)
        except Exception as error:
            self._stopped(error)

    # The copy
    # ------------------------------------------------------------------------------------------------

    def _copy(self, function: Any) -> Any:
        """Return a copy of a function that reports, as do those of the exercises that it calls."""
        own = function.__globals__
        scope = {**own, "_seen": self._seen, "_enter": self._enter}
        for name in {function.__name__, *CALLED & own.keys()}:
            one = function if name == function.__name__ else inspect.unwrap(own[name])
            self.here, self.local = name, {*one.__code__.co_varnames, *one.__code__.co_cellvars}
            self.unknown[name] = dict.fromkeys(self.local)
            lines, first = inspect.getsourcelines(one)
            tree = ast.increment_lineno(ast.parse(textwrap.dedent("".join(lines))), first - 1)
            if any(isinstance(node, BRANCHES) for node in ast.walk(tree)):
                if one is function:
                    raise LookupError(name)
                self.trusted[name] = None
                continue
            definition: Any = tree.body[0]
            given = [argument.arg for argument in definition.args.args]
            self.count.update((name, argument) for argument in given)
            definition.body = [part for node in definition.body for part in _listed(self.visit(node))]
            definition.body.insert(0, ast.parse(f"_enter({name!r}, {given}, [{', '.join(given)}])").body[0])
            for node in ast.walk(tree):
                if not hasattr(node, "lineno"):
                    ast.copy_location(node, definition)
            exec(compile(ast.fix_missing_locations(tree), one.__code__.co_filename, "exec"), scope)
        for name, value in own.items():
            if getattr(value, "__globals__", None) is own and name not in CALLED and self.right is not None:
                self.trusted[name] = _is_sigmoid(value) or None
        return scope[function.__name__]

    def _note(self, node: Any, names: Collection[str], targets: Sequence[str] = ()) -> int:
        """Add a statement that changes names; return its number, as it is reported."""
        walked = list(ast.walk(getattr(node, "iter", node)))
        inside = {part.id for each in walked if isinstance(each, ast.comprehension)
                  for part in ast.walk(each.target) if isinstance(part, ast.Name)}
        reads = {part.id for part in walked if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
        reads |= set(names) if isinstance(node, ast.AugAssign) else set()
        self.count.update((self.here, name) for name in names)
        numbered = tuple((name, self.count[self.here, name]) for name in names)
        self.statements.append(Statement(Line(self.here, node.lineno), node.end_lineno, numbered,
                                         frozenset(reads - inside), tuple(targets)))
        return len(self.statements) - 1

    def _report(self, node: Any, k: int, *values: ast.expr) -> Any:
        """Return the call that reports the k-th statement, without its values where it is replaced."""
        call: Any = ast.parse(f"_seen({k}, (None,))", mode="eval").body
        if Line(self.here, node.lineno) in self.replaced:
            call.args[1] = ast.Constant(None)
        else:
            call.args[1].elts = list(values)
        return call

    def _assigned(self, node: Any) -> list[Any]:
        names = changed(node) & self.local
        is_replaced = self.right is not None and Line(self.here, node.lineno) in self.replaced
        if self.right is not None and is_replaced:      # what the right line changes, too
            own = {(name, self.count[self.here, name] + 1) for name in names}
            for other in self.right.statements:
                if other.line.function == self.here and own & {*other.names}:
                    names |= {name for name, _ in other.names} & self.local
        if not names:
            return [node]
        stored: Any
        stored, loaded = ([ast.Name(name, context) for name in sorted(names)]
                          for context in (ast.Store(), ast.Load()))
        value = self._report(node, self._note(node, sorted(names)), *loaded)
        report = ast.copy_location(ast.Assign([ast.Tuple(stored, ast.Store())], value), node)
        return [report] if is_replaced else [node, report]

    visit_Assign = visit_AugAssign = visit_AnnAssign = visit_Expr = _assigned

    def visit_For(self, node: ast.For) -> ast.For:
        targets = [part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)]
        k = self._note(node, [f"for {targets}"], targets)
        steps = ast.Call(ast.Name("list", ast.Load()), [node.iter], [])
        node.iter = ast.Subscript(self._report(node, k, steps), ast.Constant(0), ast.Load())
        node.body = [part for each in node.body for part in _listed(self.visit(each))]
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        k = self._note(node, ["return"])
        value = self._report(node, k, node.value or ast.Constant(None))
        node.value = ast.Subscript(value, ast.Constant(0), ast.Load())
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Return an inner function as it is."""
        return node

    # What it reports
    # ------------------------------------------------------------------------------------------------

    def _enter(self, function: str, names: list[str], values: list[Any]) -> None:
        """Compare what a function is called with; of a cache in another form nothing is known."""
        self.status[function] = dict.fromkeys(names, True)
        if self.right is None:
            self.values[function, "given"].append(copy.deepcopy(values))
        elif function in CALLED:
            every = self.right.values[function, "given"]
            at, self.seen[function] = self.seen[function], self.seen[function] + 1
            for k, (name, value) in enumerate(zip(names, values)):
                rights = [given[k] for given in every if k < len(given)]
                is_right: bool | None = at < len(rights) and equal_results(value, rights[at])
                if isinstance(value, (tuple, list)) and not any(equal_results(value, one) for one in rights):
                    is_right = None
                self.status[function][name] = is_right

    def _reads_right(self, statement: Statement) -> bool | None:
        """Return whether all that a statement reads is right; None if that is not known."""
        function = statement.line.function
        known = {**self.trusted, **self.unknown[function], **self.status[function]}
        found = [known.get(name, True) for name in statement.reads]
        return False if False in found else None if None in found else True

    def _seen(self, k: int, values: tuple[Any, ...] | None) -> tuple[Any, ...]:
        """Compare what the k-th statement gives; return it, or what is right where it is replaced."""
        statement = self.statements[k]
        function, reads_right = statement.line.function, self._reads_right(statement)
        if self.wrote is None and not equal_results(self.arguments, self.before):
            self.wrote = statement.line
        found = []
        for at, key in enumerate((function, *name) for name in statement.names):
            if self.right is None:
                assert values is not None
                self.values[key].append(copy.deepcopy(values[at]))
                continue
            right, self.seen[key] = self.right.values[key][self.seen[key]:][:1], self.seen[key] + 1
            value = values[at] if values is not None else copy.deepcopy(right[0]) if right else None
            is_right = _is_equal(value, right[0]) if right else None
            if is_right is False and reads_right and self.suspect is None:
                self.suspect = statement.line
            if key[1] == "return" and function in CALLED:
                by_itself = is_right or False in self.status[function].values()
                self.trusted[function] = True if by_itself else None
            self.status[function].update(dict.fromkeys(statement.targets or [key[1]], is_right))
            found.append(value)
        return tuple(found) if found else values or ()

    def _stopped(self, error: Exception) -> None:
        """Suspect the line that raised, where all that it reads is right."""
        places = [(frame.name, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)]
        raised = [statement for name, line in places for statement in self.statements
                  if statement.line.function == name and statement.line.number <= line <= statement.last]
        if raised and self.suspect is None and self._reads_right(raised[-1]):
            self.suspect = raised[-1].line

    def is_right(self, missing: int = 0) -> bool:
        """Return whether no more than ``missing`` results are wrong."""
        assert self.right is not None
        got, want = (as_arrays(without_cache(one.result, self.right.result)) for one in (self, self.right))
        return len(got) == len(want) and sum(not equal_results(*pair) for pair in zip(got, want)) <= missing


def _listed(nodes: Any) -> list[Any]:
    return nodes if isinstance(nodes, list) else [nodes]


def _is_sigmoid(function: Any) -> bool:
    z = np.linspace(-3, 3, 7)
    try:
        return function.__name__ == "sigmoid" and equal_results(function(z), sigmoid(z))
    except Exception:
        return False


def has_cache(right: Any) -> bool:
    """Return whether what the right function returned ends with a cache, which a student may arrange."""
    return isinstance(right, tuple) and isinstance(right[-1], (tuple, list))


def without_cache(result: Any, right: Any) -> Any:
    """Return a result without its cache, where the right one has one."""
    return tuple(result[:-1]) if has_cache(right) and isinstance(result, (tuple, list)) else result


def _is_equal(value: Any, right: Any) -> bool:
    return equal_results(without_cache(value, right), without_cache(right, right))


def wrong_lines(function: Any, arguments: Sequence[Any], right: Any, right_arguments: Sequence[Any],
                blanks: Collection[Line] = (), missing: int = 0) -> list[Line] | None:
    """Return the lines that are proved wrong, none where all is right; None where nothing is proved.

    ``blanks``: lines whose values are taken for right; ``missing``: results that may be wrong.
    """
    found: list[Line] = []
    try:
        reference = Trace(right, right_arguments)

        def with_right(lines: Collection[Line]) -> Trace:
            return Trace(function, arguments, reference, {*blanks, *lines})
        while not (trace := with_right(found)).is_right(missing):
            if trace.suspect is None or len(found) == MOST:
                return None
            found.append(trace.suspect)
        for line in list(found):
            others = [other for other in found if other != line]
            if with_right(others).is_right(missing):
                found = others
    except Exception:       # its source is not at hand, or has branches
        return None
    return found


def writing_line(function: Any, arguments: Sequence[Any]) -> Line | None:
    """Return the first line after which an argument is another."""
    try:
        return Trace(function, arguments).wrote
    except Exception:       # its source is not at hand, or has branches
        return None
