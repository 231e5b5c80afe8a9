"""What the grader says about one function: how right it is, the mistake by name, and a hint.

A hint is a place in the student's own file and a question. It never has the corrected line: who is told the
line copies it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.targets.failures import at_line
from minilstm.student.load import CELLS

# What is not a mistake in the mathematics, by key.
NOT_HANDED_IN = "not handed in"
OUTCOMES = {
    NOT_HANDED_IN: "not handed in", "no function": "not a function", "not written": "not written yet",
    "error": "stops with an error", "ends itself": "ends itself", "endless": "does not come to an end",
    "memory": "too much memory", "not run": "cannot be run", "not checked": "cannot be checked",
    "borrowed": "minilstm's own answer", "other results": "returns something else",
    "another arrangement": "another arrangement", "behind a wrong forward": "right behind a wrong forward",
    "side effect": "right, with a bad habit", "wrong gradient": "a wrong gradient",
    "wrong line": "a wrong line",
    "no name": "not one that has a name"}
QUESTIONS = ((NameError, "where does this name get its value?"), (IndexError, "how many entries are there?"),
             (ValueError, "which shapes meet here?"))
# How many lines each exercise leaves blank.
BLANKS = {"rnn_step": 1, "rnn_step_backward": 6, "rnn_forward": 1, "rnn_backward": 7, "lstm_step": 6,
          "lstm_step_backward": 13, "lstm_forward": 2, "lstm_backward": 6, "embedding_forward": 1,
          "embedding_backward": 1, "bce_forward": 2, "bce_backward": 1, "adam_step": 5, "pad": 2,
          "masked_rnn_forward": 3, "masked_rnn_backward": 3, "gru_step": 5, "gru_step_backward": 10,
          "clip_by_norm": 2, "survival": 2, "bias_needed": 1}
ANY_QUESTION = "Which operation of the forward stands here, and what are its inputs?"
Names = Mapping[str, Any]           # what a submission defines


class Line(NamedTuple):
    """A line of a function that is proved wrong."""

    function: str
    number: int


class Verdict(NamedTuple):
    """``score``: from 0 to 1; ``mistakes``: their keys; ``detail``: what shows them; ``hint``."""

    score: float
    mistakes: tuple[str, ...] = ()
    detail: str = ""
    hint: str = ""


def names_of(keys: Iterable[str]) -> str:
    """Return the names of mistakes and outcomes; what is in neither table goes by its name."""
    return "; ".join(MISTAKES[key].name if key in MISTAKES else OUTCOMES.get(key, key) for key in keys)


class Unanswered(Exception):
    """A function that cannot be judged, with the verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(names_of(verdict.mistakes))
        self.verdict = verdict


def student_function(names: Names, name: str) -> Callable[..., Any]:
    """Return the student's function ``name``; raise Unanswered where there is none."""
    function = names.get(name)
    if function is None:
        raise Unanswered(Verdict(0.0, (NOT_HANDED_IN,), f"there is no function {name}"))
    if not callable(function):
        raise Unanswered(Verdict(0.0, ("no function",), f"{name} is a {type(function).__name__}"))

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **named)
    call.__name__ = name
    return call


def blanks(function: Any) -> list[int]:
    """Return the lines of a function that are still blank."""
    return [line for line, node in statements(function) if _is_blank(node)]


def failed(name: str, error: BaseException, question: str, function: Any = None, line: Any = None) -> Verdict:
    """Return the verdict on a function that raised; ``line``: one that is proved wrong."""
    if isinstance(error, NotImplementedError):
        return Verdict(0.0, ("not written",), str(error) or name, f"{name}: {question}")
    words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{at_line(error)}"
    asked = [question for kind, question in QUESTIONS if isinstance(error, kind)]
    asked.append("which values come here, and of which kind?")
    return Verdict(0.0, ("error",), words, hint_about(name, function, line, asked[0]))


def overwrites(argument: str, hint: str) -> Verdict:
    """Return the verdict on a right function that writes into an array of its caller."""
    return Verdict(0.5, ("side effect",), f"{argument} is overwritten: the array of the caller changes", hint)


def hint_about(name: str, function: Any, line: Line | None, asked: str, question: str = "") -> str:
    """Return a line, of a function or one that it calls, and what to ask about it:
    ``asked``, else its own question; without a line, the name and ``question``."""
    if line is None:
        return f"{name}: {asked or question}"
    own = inspect.unwrap(function).__globals__.get(line.function, function)
    return (f"{statement_at(own, line.number)}: "
            f"{asked or question_about(sorted(changed_at(own, line.number))) or question}")


def changed_at(function: Any, line: int) -> set[str]:
    """Return the names that a line assigns to."""
    return {name for at, node in statements(function) if at == line and not isinstance(node, ast.Expr)
            for name in changed(node)}


def statement_at(function: Any, line: int) -> str:
    """Return a line of a function with its text: "line 3, h = x"."""
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(function))
        text = lines[line - first].partition("  #")[0].strip().rstrip(":")
    except (OSError, TypeError, IndexError):
        return _line(function, line)
    return f"{_line(function, line)}, {text}"


def question_about(names: Collection[str]) -> str:
    """Return a question about the line of a variable where there is none of its own; "" for several."""
    return f"Which equation gives {''.join(names)}, and from which values?" if len(names) == 1 else ""


def _line(function: Any, line: int) -> str:
    """Return "line 3", or "cell 2, line 3" in a notebook."""
    cell = CELLS.get(inspect.unwrap(function).__code__.co_filename)
    return f"cell {cell}, line {line}" if cell else f"line {line}"


def statements(function: Any) -> list[tuple[int, ast.stmt]]:
    """Return the statements of a function with their lines; none where there is no source."""
    try:
        lines, first = inspect.getsourcelines(inspect.unwrap(function))
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (TypeError, OSError, SyntaxError, ValueError):
        return []
    others = [node for node in ast.walk(tree) if isinstance(node, (ast.ExceptHandler, ast.ClassDef))]
    idle = {id(statement) for node in others for statement in node.body}
    found = [(node.lineno + first - 1, node) for node in ast.walk(tree)
             if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef) and id(node) not in idle]
    return sorted(found, key=lambda pair: pair[0])


def changed(node: ast.stmt) -> set[str]:
    """Return the names that a statement may change: of an expression, all that are in it."""
    targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    elif isinstance(node, ast.Expr):
        return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    found = set()
    for target in (part for whole in targets for part in ast.walk(whole)):
        if isinstance(getattr(target, "ctx", None), ast.Store):
            while isinstance(target, (ast.Subscript, ast.Attribute)):
                target = target.value
            found |= {target.id} if isinstance(target, ast.Name) else set()
    return found


def _is_blank(node: ast.stmt) -> bool:
    """Return whether a statement has a ``...`` as its value, its condition, or alone: a blank."""
    value = getattr(node, "value", getattr(node, "test", None))
    parts = (value, getattr(value, "left", None), getattr(value, "right", None))
    return any(isinstance(part, ast.Constant) and part.value is ... for part in parts)


def as_arrays(value: Any) -> list[Any]:
    """Return what a function returned as a list of arrays: lists and tuples are opened, None is NaN."""
    if isinstance(value, list) and value and all(isinstance(part, (int, float, np.number)) for part in value):
        return [np.asarray(value)]
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in as_arrays(part)]
    return [np.asarray(np.nan if value is None else value)]


SINGLE, DOUBLE = (1e-4, 1e-5), (1e-7, 1e-10)        # of float32 and float64: relative, absolute


def equal_results(got: Any, want: Any, tolerance: tuple[float, float] = DOUBLE) -> bool:
    """Return whether two results are equal up to rounding, in number, shapes and values."""
    a, b = as_arrays(got), as_arrays(want)
    return len(a) == len(b) and all(
        x.shape == y.shape and x.dtype.kind in "fiub"
        and np.allclose(x, y, *(SINGLE if x.dtype == np.float32 else tolerance), equal_nan=True)
        for x, y in zip(a, b))


def difference_in_words(got: Any, want: Any, names: tuple[str, ...]) -> str:
    """Return in words which of the results is wrong; of sequences (N, T, ...), from which step on."""
    a, b = as_arrays(got), as_arrays(want)
    if len(a) != len(b):
        return f"{len(a)} values are returned, expected {len(b)}: {', '.join(names)}"
    for name, x, y in zip(names, a, b):
        if x.shape != y.shape:
            return f"{name} has shape {x.shape}, expected {y.shape}"
    wrong = [(name, x, y) for name, x, y in zip(names, a, b) if not equal_results(x, y)]
    words = f"{', '.join(name for name, _, _ in wrong)} {'is' if len(wrong) == 1 else 'are'} wrong"
    _, x, y = wrong[0]
    if x.ndim == 3:
        first = next(t for t in range(x.shape[1]) if not equal_results(x[:, t], y[:, t]))
        words += f" from t = {first} on" if first else " already at t = 0"
    return words
