"""Judge functions without a derivation: their numbers against minilstm's, and against those of mistakes that
are often made.

Each mistake is the right function with one thing wrong. If a student's numbers are exactly its numbers, on
every case, it has its name.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.exercises.verdict import (Names, Unanswered, Verdict, assignment_line, blanks, changed_at,
                                        difference_in_words, equal_results, failed, question_about,
                                        statement_at, student_function)


class Wrong(NamedTuple):
    """A mistake: its name, its question, the variable it shows in, and a function that makes it."""

    name: str
    question: str
    variable: str
    function: Callable[..., Any]


class Task(NamedTuple):
    """``cases``: arguments; ``right``: the function; ``outputs``: their names, without a cache."""

    cases: Sequence[tuple[Any, ...]]
    right: Callable[..., Any]
    outputs: tuple[str, ...]
    wrongs: tuple[Wrong, ...]
    returns_cache: bool = False
    # the forward whose cache is the last argument, where the student arranged it otherwise
    behind: str = ""
    # functions of the step that this one calls: right ones
    given: tuple[tuple[str, Callable[..., Any]], ...] = ()


def judge(names: Names, name: str, question: str, task: Task) -> Verdict:
    """Compare a student's function with the right one and with the wrong ones."""
    try:
        function = student_function(names, name, question)
    except Unanswered as error:
        if error.function is None:
            raise
        line = blanks(error.function)[0]
        variables = sorted(changed_at(error.function, line))
        asked = [wrong.question for wrong in task.wrongs if wrong.variable in variables]
        asked += [question_about(variables) if variables else question]
        hint = f"{statement_at(error.function, line)}: {asked[0]}"
        raise Unanswered(error.verdict._replace(hint=hint)) from None
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    before = {called: scope[called] for called, _ in task.given if called in scope}
    scope.update({called: right for called, right in task.given if called in scope})
    try:
        verdict = _judge(function, name, question, task, task.cases)
    finally:
        scope.update(before)
    if verdict.score < 1.0 and task.behind:
        try:
            own = student_function(names, task.behind, question)
            cases = [(*case[:-1], own(*copy.deepcopy(case[-1].arguments))[-1]) for case in task.cases]
            again = _judge(function, name, question, task, cases)
        except Exception:
            return verdict
        return again if again.score > verdict.score else verdict
    return verdict


class Cache(tuple[Any, ...]):
    """A cache as the exercise says, with the arguments of the forward it comes from."""

    arguments: tuple[Any, ...]

    @classmethod
    def of(cls, values: tuple[Any, ...], arguments: tuple[Any, ...]) -> Cache:
        cache = cls(values)
        cache.arguments = arguments
        return cache


def _judge(function: Any, name: str, question: str, task: Task, cases: Sequence[tuple[Any, ...]]) -> Verdict:
    got, wanted = [], [_numbers(task.right, case) for case in task.cases]
    for case in cases:
        try:
            with np.errstate(all="ignore"):
                result = function(*copy.deepcopy(case))
        except Exception as error:
            return failed(name, error, question)
        if task.returns_cache:
            if not isinstance(result, (tuple, list)) or len(result) != len(task.outputs) + 1:
                return Verdict(0.0, ("other results",), f"expected {', '.join(task.outputs)} and the cache",
                               "the return line: what does the docstring promise?")
            result = tuple(result[:-1])
        got.append(result)
    if all(map(equal_results, got, wanted)):
        return Verdict(1.0)
    for wrong in task.wrongs:
        numbers = [_numbers(wrong.function, case) for case in task.cases]
        if all(map(equal_results, got, numbers)):
            return Verdict(0.0, (wrong.name,), "exactly the numbers that this mistake gives",
                           f"{assignment_line(function, wrong.variable)}: {wrong.question}")
    first = next(k for k, pair in enumerate(zip(got, wanted)) if not equal_results(*pair))
    return Verdict(0.0, ("no name",), difference_in_words(got[first], wanted[first], task.outputs),
                   f"{assignment_line(function, *task.outputs)}: {question}")


def _numbers(function: Callable[..., Any], case: tuple[Any, ...]) -> Any:
    with np.errstate(all="ignore"):
        return function(*copy.deepcopy(case))
