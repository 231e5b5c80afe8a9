"""What is right, without minilstm: the equations of the solutions, and finite differences."""

from __future__ import annotations

import ast
import copy
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SOLUTIONS = Path(__file__).parents[2] / "examples" / "exercises" / "solutions"
FILES = {int(path.name[4:6]): path for path in sorted(SOLUTIONS.glob("step*.py"))}
Names = dict[str, Any]


class Pair(NamedTuple):
    """A forward and its backward; ``wrt``: which of the forward's arguments have a gradient."""

    forward: str
    backward: str
    inputs: Callable[[], list[tuple[Any, ...]]]
    wrt: tuple[int, ...]
    outputs: int


def _normal(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    rng = np.random.default_rng(sum(map(sum, shapes)))
    return tuple(rng.normal(size=shape) for shape in shapes)


def _embedding() -> list[tuple[Any, ...]]:
    rng = np.random.default_rng(3)
    return [(rng.integers(0, 7, (3, 5)), rng.normal(size=(7, 4))),
            (np.array([[2, 2, 0], [0, 2, 6]]), rng.normal(size=(7, 2)))]


def _masked() -> list[tuple[Any, ...]]:
    x, h0, W, b = _normal((3, 5, 2), (3, 4), (6, 4), (4,))
    return [(x, np.array([2, 5, 3]), h0, W, b), (x, np.array([3, 1, 4]), h0, W, b)]


FOUR = (0, 1, 2, 3)
LABELS = np.array([0.0, 1, 1, 0, 1, 0])
PAIRS = {
    1: Pair("rnn_step", "rnn_step_backward", lambda: [_normal((4, 3), (4, 5), (8, 5), (5,))], FOUR, 1),
    2: Pair("rnn_forward", "rnn_backward", lambda: [_normal((2, 4, 3), (2, 5), (8, 5), (5,))], FOUR, 1),
    3: Pair("lstm_step", "lstm_step_backward", lambda: [_normal((2, 3), (2, 5), (2, 5), (8, 20), (20,))],
            (*FOUR, 4), 2),
    5: Pair("lstm_forward", "lstm_backward", lambda: [_normal((2, 4, 3), (2, 5), (2, 5), (8, 20), (20,))],
            (*FOUR, 4), 2),
    6: Pair("embedding_forward", "embedding_backward", _embedding, (1,), 1),
    7: Pair("bce_forward", "bce_backward", lambda: [(3 * _normal((6,))[0], LABELS)], (0,), 1),
    8: Pair("masked_rnn_forward", "masked_rnn_backward", _masked, (0, 2, 3, 4), 2),
    9: Pair("gru_step", "gru_step_backward", lambda: [_normal((4, 3), (4, 5), (8, 15), (20,))], FOUR, 1),
}
PAIRS[4] = PAIRS[3]
_a = np.random.default_rng(0).normal(size=(6, 8))
_bias = runpy.run_path(str(FILES[10]))["survival"]
PLAIN: dict[str, list[tuple[Any, ...]]] = {
    "bce_forward": [(np.array([-800., 800, 40, -40, 2]), np.array([0., 0, 1, 1, 1]))],
    "adam_step": [(*_normal((3, 2), (3, 2), (3, 2)), np.abs(_normal((2, 3))[0].T), t, 0.1, 0.9, 0.99, 1e-2)
                  for t in (1, 2, 7)] + [(np.ones(2), np.zeros(2), np.zeros(2), np.zeros(2), 1)],
    "pad": [([[3, 0, 1], [4], [5, 5, 2, 9]],), ([[1, 0], [0, 0, 7], [2]],)],
    "clip_by_norm": [([np.ones((2, 2)), -3 * np.ones(3)], 2.0), ([np.ones((2, 2)), -3 * np.ones(3)], 50.0)],
    "survival": [(_a, 0), (_a, 2), (_a[:3], -1)],
    "bias_needed": [(_a, 0.4), (_a, 0.001), (_a, 0.999999), (_a, 1.0), (_a[:2], 0.01), (_a, _bias(_a, 3)),
                    (_a - 12, 0.9999), (_a[:2], _bias(_a[:2], 20))],
}


def flat(value: Any) -> list[Any]:
    """Return the arrays of a result, in order."""
    numbers = isinstance(value, list) and all(isinstance(one, (int, float, np.integer)) for one in value)
    if isinstance(value, (list, tuple)) and not numbers:
        return [array for one in value for array in flat(one)]
    return [np.asarray(np.nan if value is None else value, dtype=float)]


def agree(got: Any, want: Any, tolerance: float = 1e-9) -> bool:
    a, b = flat(got), flat(want)
    return len(a) == len(b) and all(
        x.shape == y.shape and np.allclose(x, y, tolerance, tolerance, equal_nan=True) for x, y in zip(a, b))


def derivatives(function: Callable[..., float], arguments: tuple[Any, ...], k: int) -> Any:
    """Return the derivative of a number with respect to argument k, by central differences."""
    x, step = np.array(arguments[k], dtype=float), 1e-6
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            ends.append(function(*arguments[:k], moved, *arguments[k + 1:]))
        gradient[place] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def wrong(step: int, names: Names, function: str, tolerance: float = 1e-9) -> str:
    """Return what is wrong with a function of a step, "" for nothing."""
    solution = runpy.run_path(str(FILES[step]))
    pair = PAIRS.get(step)
    with np.errstate(all="ignore"):
        try:
            if pair is not None and function == pair.backward:
                before = runpy.run_path(str(FILES[3]))
                exact = before if step == 4 else names if tolerance < 1e-6 else solution
                names = {**names, pair.forward: exact[pair.forward]} if step == 4 else names
                return _wrong_backward(pair, names, exact[pair.forward], tolerance)
            cases = list(PLAIN.get(function, []))
            if pair is not None and function == pair.forward:
                cases += pair.inputs()
            for arguments in cases:
                mine, theirs = copy.deepcopy(arguments), copy.deepcopy(arguments)
                want, got = solution[function](*theirs), names[function](*mine)
                if pair is not None and function == pair.forward:
                    want, got = want[:pair.outputs], got[:pair.outputs]
                if not agree(got, want, tolerance):
                    return "another value"
                if any(not agree(a, b) for a, b in zip(mine, arguments)):
                    return "writes into its arguments"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _wrong_backward(pair: Pair, names: Names, exact: Callable[..., Any], tolerance: float) -> str:
    """Compare with differences of ``exact``, which is the forward itself unless that rounds to float32."""
    forward, backward = names[pair.forward], names[pair.backward]
    for arguments in pair.inputs():
        outputs = flat(forward(*arguments)[:pair.outputs])
        upstream = _normal(*(y.shape for y in outputs)) if outputs[0].ndim else (np.array(1.0),)

        def loss(*moved: Any) -> float:
            return sum((dy * y).sum() for dy, y in zip(upstream, flat(exact(*moved)[:pair.outputs])))
        want = [derivatives(loss, arguments, k) for k in pair.wrt]
        given = tuple(dy.copy() for dy in upstream) if outputs[0].ndim else ()
        cache = forward(*arguments)[pair.outputs]
        first, second = backward(*given, cache), backward(*(dy.copy() for dy in given), cache)
        if not agree(first, want, max(1e-6, tolerance)):
            return "another gradient"
        if not all(agree(a, b) for a, b in zip(given, upstream)):
            return "writes into the gradient from above"
        if not agree(first, second):
            return "a second backward gives another gradient"
    return ""


def solved(step: int, code: str = "") -> str:
    """Return a solution's text, with these functions in place of its own, and without its main part."""
    text = FILES[step].read_text(encoding="utf-8").partition("\n\nif __name__")[0]
    mine = {name for node in ast.parse(code).body for name in (
        [node.name] if isinstance(node, ast.FunctionDef) else
        [one.id for one in node.targets if isinstance(one, ast.Name)] if isinstance(node, ast.Assign)
        else [])}
    lines = text.splitlines(True)
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.FunctionDef) and node.name in mine:
            del lines[node.lineno - 1:node.end_lineno]
    return "".join(lines).rstrip() + "\n\n" + code


def replaced(text: str, inside: str, pairs: list[tuple[str, str]]) -> str:
    """Return the text with replacements made inside one function."""
    functions = [one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)]
    node = next(one for one in functions if one.name == inside)
    lines = text.splitlines(True)
    body = "".join(lines[node.lineno - 1:node.end_lineno])
    places = sorted((body.find(old), old, new) for old, new in pairs)
    if any(body.count(old) != 1 for _, old, _ in places):
        raise ValueError(f"{inside} has not once each of {[old for _, old, _ in places]}")
    for place, old, new in reversed(places):
        body = body[:place] + new + body[place + len(old):]
    return "".join([*lines[:node.lineno - 1], body, *lines[node.end_lineno:]])
