"""Judge functions without a derivation: their numbers against the right ones, and against those of mistakes
that are often made.

Each mistake is the right function with something else written in one place. If a student's numbers are
exactly its numbers, on every case, it has its name.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.exercises.intermediates import Line, has_cache, without_cache, wrong_lines
from minilstm.exercises.verdict import (Names, Unanswered, Verdict, blanks, changed_at, difference_in_words,
                                        equal_results, failed, hint_about, other_results, question_about,
                                        statement_at, student_function)


class Wrong(NamedTuple):
    """A mistake: its name, its question, and what it writes instead of what."""

    name: str
    question: str
    changes: Mapping[str, str]

    def made_in(self, right: Callable[..., Any]) -> Callable[..., Any]:
        """Return the right function with this mistake."""
        source = inspect.getsource(right)
        for old, new in self.changes.items():
            source = source.replace(old, new)
        scope = {**right.__globals__}
        exec(source, scope)
        made: Callable[..., Any] = scope[right.__name__]
        return made

    def shows_in(self, right: Callable[..., Any], variables: Sequence[str]) -> bool:
        """Return whether it is made in a line that assigns to one of these variables."""
        lines = [line.strip() for line in inspect.getsource(right).splitlines()]
        return any(old in line and line.startswith(tuple(f"{name} " for name in variables))
                   for old in self.changes for line in lines)


class Task(NamedTuple):
    """``cases``: arguments, without a cache; ``right``: the function; ``outputs``: their names, without a
    cache; ``behind``: the forward whose cache is the last argument; ``given``: functions that it calls."""

    cases: Sequence[tuple[Any, ...]]
    right: Callable[..., Any]
    outputs: tuple[str, ...]
    wrongs: tuple[Wrong, ...]
    behind: Task | None = None
    given: tuple[tuple[str, Callable[..., Any]], ...] = ()

    def arguments(self, forward: Callable[..., Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the arguments of each case, with the cache of ``forward``, by default the right one."""
        if self.behind is None:
            return list(self.cases)
        forward = forward or self.behind.right
        return [(*case, _run(forward, before)[-1]) for case, before in zip(self.cases, self.behind.cases)]


def judge(names: Names, name: str, question: str, task: Task) -> Verdict:
    """Compare a student's function with the right one and with the wrong ones."""
    try:
        function = student_function(names, name, question)
    except Unanswered as error:
        if error.function is None:
            raise
        line = blanks(error.function)[0]
        variables = sorted(changed_at(error.function, line))
        asked = [wrong.question for wrong in task.wrongs if wrong.shows_in(task.right, variables)]
        asked += [question_about(variables) if variables else question]
        hint = f"{statement_at(error.function, line)}: {asked[0]}"
        raise Unanswered(error.verdict._replace(hint=hint)) from None
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    before = {called: scope[called] for called, _ in task.given if called in scope}
    scope.update({called: right for called, right in task.given if called in scope})
    try:
        verdict = _judge(function, name, question, task, task.arguments())
        if verdict.score < 1.0 and task.behind:         # its cache may be arranged otherwise
            try:
                own = task.arguments(student_function(names, task.behind.right.__name__, question))
                again = _judge(function, name, question, task, own)
            except Exception:
                return verdict
            return again if again.score > verdict.score else verdict
    finally:
        scope.update(before)
    return verdict


def _judge(function: Any, name: str, question: str, task: Task, cases: Sequence[tuple[Any, ...]]) -> Verdict:
    right_cases = task.arguments()
    full = [_run(task.right, case) for case in right_cases]
    wanted, got = [without_cache(want, want) for want in full], []

    def lines(k: int) -> list[Line] | None:
        return wrong_lines(function, cases[k], task.right, right_cases[k])
    for k, (case, want) in enumerate(zip(cases, full)):
        try:
            result = _run(function, case)
        except Exception as error:
            return failed(name, error, question, function, lines(k))
        if has_cache(want) and (not isinstance(result, (tuple, list)) or len(result) != len(want)):
            return other_results(task.outputs)
        got.append(without_cache(result, want))
    wrong = [k for k, pair in enumerate(zip(got, wanted)) if not equal_results(*pair)]
    if not wrong:
        return Verdict(1.0)
    first = wrong[0]
    for mistake in task.wrongs:
        made = mistake.made_in(task.right)
        numbers = [without_cache(_run(made, case), want) for case, want in zip(right_cases, full)]
        if all(map(equal_results, got, numbers)):
            return Verdict(0.0, (mistake.name,), "exactly the numbers that this mistake gives",
                           hint_about(name, function, lines(first), mistake.question))
    return Verdict(0.0, ("no name",), difference_in_words(got[first], wanted[first], task.outputs),
                   hint_about(name, function, lines(first), "", question))


def _run(function: Callable[..., Any], case: tuple[Any, ...]) -> Any:
    with np.errstate(all="ignore"):
        return function(*copy.deepcopy(case))
