"""The first line of a student's function that gives a variable another value than minilstm's does.

A copy of the function reports each assignment while it runs, and so does minilstm's own. A second copy, with
one line replaced by its right value, tells whether that is the only wrong one; with the blanks replaced,
whether what is written is right.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import textwrap
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.cells.lstm import GATES
from minilstm.exercises.verdict import changed, equal_results

CALLED = ("rnn_step", "rnn_step_backward", "lstm_step", "lstm_step_backward")      # by other functions
# Variables of the exercises that are called otherwise in cells/.
ALIASES = {"h": "h_t", "c": "c_t", "to_h": "from_h", "to_x": "from_x", "dc_next": "dc"}
# These may hold the gradient of the gate's argument too.
BEHIND = {"df": "dz_f", "di": "dz_i", "do": "dz_o", "dc_tilde": "dz_c", "dr": "da_r", "dz": "da_z",
          "dn": "da_n"}
GIVEN = " given"        # behind the name of an argument, or of a part of the cache
RETURNED = "return"
FILLED = ("dx", "dW", "db", "out")
LOOP = " loop"          # behind that of a loop's variable
Values = dict[tuple[str, str], list[Any]]           # by function and variable, in the order of assignment


class Spot(NamedTuple):
    """A line of a function, the variable that it assigns, and whether only what is returned shows it."""

    function: str
    line: int
    variable: str = ""
    returned: bool = False


class Run(NamedTuple):
    """What a function returned; its first wrong line, or that where it raised; and a loop that begins at the
    wrong end."""

    result: Any
    wrong: Spot | None
    loop: Spot | None


class _Reports(ast.NodeTransformer):
    """Call ``_seen(function, line, variable, value)`` after each assignment; skip ``replaced`` lines."""

    def __init__(self, function: str, replaced: Collection[Spot]) -> None:
        self.function = function
        self.replaced = {spot.line for spot in replaced if spot.function == function}

    def _call(self, node: Any, name: str, value: str, suffix: str = "") -> Any:
        facts = f"{self.function!r}, {node.lineno}, {name + suffix!r}"
        new = ast.parse(f"{name} = _seen({facts}, {value})").body[0]
        for part in ast.walk(new):
            ast.copy_location(part, node)
        return new

    def _assigned(self, node: Any) -> list[Any]:
        skipped = node.lineno in self.replaced
        unpacks = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(
            node.value, ast.Name)
        return [*[node][skipped:], *(self._call(node, name, "None" if skipped else name, GIVEN * unpacks)
                                     for name in sorted(changed(node)))]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        if node.name in CALLED:
            names = [argument.arg for argument in node.args.args]
            node.body[:0] = [self._call(node, name, name, GIVEN) for name in names]
        return node

    visit_Assign = visit_AugAssign = visit_AnnAssign = _assigned

    def visit_For(self, node: ast.For) -> ast.For:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name):
            node.body.insert(0, self._call(node, node.target.id, node.target.id, LOOP))
        return node

    def visit_Return(self, node: ast.Return) -> ast.Return:
        value = node.value or ast.Constant(None)
        names = tuple(getattr(part, "id", "") for part in getattr(value, "elts", [value]))
        facts: Any = (self.function, node.lineno, names)
        node.value = ast.Call(ast.Name("_seen", ast.Load()), [*map(ast.Constant, facts), value], [])
        return ast.fix_missing_locations(node)


def reporting(function: Any, seen: Callable[..., Any], replaced: Collection[Spot] = ()) -> Callable[..., Any]:
    """Return a copy of a function that calls ``seen``, and so do those of the exercises that it calls.

    Raises OSError, TypeError or SyntaxError where its source is not at hand.
    """
    function = inspect.unwrap(function)
    scope = {**function.__globals__, "_seen": seen, function.__name__: function}
    for name in {function.__name__, *CALLED} & scope.keys():
        lines, first = inspect.getsourcelines(inspect.unwrap(scope[name]))
        tree = ast.increment_lineno(ast.parse(textwrap.dedent("".join(lines))), first - 1)
        file = inspect.unwrap(scope[name]).__code__.co_filename
        exec(compile(_Reports(name, replaced).visit(tree), file, "exec"), scope)
    made: Callable[..., Any] = scope[function.__name__]
    return made


def right_values(forward: Any, backward: Any, inputs: Sequence[Any],
                 upstream: Sequence[Any]) -> tuple[Values, Any, Any]:
    """Return the values of minilstm's own functions, and what the two return."""
    values: Values = defaultdict(list)

    def seen(function: str, line: int, name: Any, value: Any) -> Any:
        if isinstance(value, (np.ndarray, int, tuple)):
            values[function, RETURNED if isinstance(name, tuple) else name].append(copy.deepcopy(value))
        return value
    outputs = reporting(forward, seen)(*inputs)
    gradients = reporting(backward, seen)(*upstream, outputs[-1])
    for (function, name), found in list(values.items()):
        if name == RETURNED and function.endswith("step_backward"):
            for result in found:
                middle = ("dc_prev",) * (len(result) == 5)
                for key, value in zip(("dx", "dh_prev", *middle, "dW", "db"), result):
                    values[function, key].append(value)
        if (function, name) == ("lstm_step_backward", "dz"):
            for gate, blocks in zip(GATES, zip(*(np.split(dz, 4, axis=1) for dz in found))):
                values[function, f"dz_{gate}"] = list(blocks)
    return values, outputs, gradients


def run(function: Any, arguments: Sequence[Any], values: Values, replaced: Collection[Spot] = ()) -> Run:
    """Run a copy of a student's function; raises as ``reporting`` does."""
    count: Counter[tuple[str, str]] = Counter()
    lines = {spot[:2] for spot in replaced}
    wrong: list[Spot] = []
    loops: list[Spot] = []
    last: dict[tuple[str, str], int] = {}       # where a variable was assigned

    def seen(function: str, line: int, name: Any, value: Any) -> Any:
        returned = name if isinstance(name, tuple) else ()
        name = RETURNED if returned else name
        k, count[function, name] = count[function, name], count[function, name] + 1
        if returned:
            rights = values.get((function, RETURNED), [])[k:k + 1]
            results = value if isinstance(value, tuple) else (value,)
            for variable, got, right in zip(returned, results, *rights or [()]):
                if isinstance(right, np.ndarray) and not equal_results(got, right):
                    # filled step by step, or of another name than ours: wrong where it is assigned
                    filled = variable in FILLED or not _rights(values, function, variable)
                    at = last.get((function, variable), line) if filled else line
                    wrong.append(Spot(function, at, variable, True))
            return value
        right = _rights(values, function, name)
        at_k = right[min(k, len(right) - 1)] if right else None
        if name.endswith(LOOP):
            if at_k is not None and value != at_k and k == 0:
                loops.append(Spot(function, line))
        elif name.endswith(GIVEN):      # what comes from another step was handed over wrongly by the caller
            if function in CALLED and right and not equal_results(value, at_k) and any(
                    equal_results(value, one) for one in right):
                caller = sys._getframe(2)
                wrong.append(Spot(caller.f_code.co_name, caller.f_lineno, name))
        elif (function, line) in lines:
            if at_k is None:
                raise LookupError(name)
            return copy.deepcopy(at_k)
        else:
            last[function, name] = line
            known = [*right, *_rights(values, function, BEHIND.get(name, ""))]
            known = [one if np.ndim(one) else np.full(np.shape(value), one) for one in known]
            if known and np.ndim(value) in (1, 2) and not any(equal_results(value, one) for one in known):
                wrong.append(Spot(function, line, name))
        return value
    made = reporting(function, seen, replaced)
    try:
        with np.errstate(all="ignore"):
            result = made(*copy.deepcopy(arguments))
    except Exception as error:
        result = None
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if frame.name in (made.__name__, *CALLED)]
        wrong += [Spot(frame.name, frame.lineno or 0) for frame in frames[-1:]]
    return Run(result, wrong[0] if wrong else None, loops[0] if loops else None)


def _rights(values: Values, function: str, name: str) -> list[Any]:
    """Return the right values of a variable: in the function of this name, or in any of its kind; none of the
    states of a sequence, which the exercises keep otherwise."""
    names = (name, ALIASES.get(name, name))
    if function.endswith("_forward"):
        return []
    found = [values[function, one] for one in names if (function, one) in values]
    found = found or [every for (other, one), every in values.items()
                      if one in names and other.endswith("backward") == function.endswith("backward")]
    return [value for every in found for value in every if isinstance(value, (np.ndarray, int))]
