"""Judge functions by their numbers, against the right ones and against those of mistakes that are often made.

Each mistake is the right function with something else written in one place. If a student's numbers are
exactly its numbers, on every case, it has its name.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from minilstm.exercises.kinds import kind_of
from minilstm.exercises.repair import Repair, has_cache, repair, without_cache
from minilstm.exercises.verdict import (ANY_QUESTION, BLANKS, SINGLE, Line, Names, Verdict, blanks,
                                        changed_at, difference_in_words, equal_results, failed, hint_about,
                                        overwrites, question_about, statement_at, statements,
                                        student_function)
from minilstm.gradients.diagnosis.mistakes import MISTAKES


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
    """A function of an exercise.

    ``cases``: arguments, without a cache; ``right``: the right function; ``outputs``: names of its results,
    without a cache; ``behind``: the forward whose cache is the last argument; ``given``: functions that it
    calls; ``named(function, results, line)``: the verdict on results that are no mistake's of ``wrongs``, or
    None; ``unnamed``: the mistake's key otherwise.
    """

    cases: Sequence[tuple[Any, ...]]
    right: Callable[..., Any]
    outputs: tuple[str, ...]
    wrongs: tuple[Wrong, ...] = ()
    behind: Task | None = None
    given: tuple[tuple[str, Callable[..., Any]], ...] = ()
    named: Callable[[Any, Any, Line | None], Verdict | None] = lambda *_: None
    unnamed: str = "no name"

    def arguments(self, forward: Callable[..., Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the arguments of each case, with the cache of ``forward``, by default the right one."""
        if self.behind is None:
            return list(self.cases)
        forward = forward or self.behind.right
        return [(*case, run(forward, before)[-1]) for case, before in zip(self.cases, self.behind.cases)]

    def repair(self, function: Any, forward: Any = None, k: int = 0, blanks: Sequence[int] = ()) -> Repair:
        """Look for what is proved wrong in a function at a case, behind ``forward``."""
        given, rights = self.arguments(forward), self.arguments()
        found = repair(function, given[k], self.right, rights[k], blanks)
        if found.right or blanks:
            return found
        full = [run(self.right, case) for case in rights]
        cases = list(zip(given, [without_cache(want, want) for want in full]))
        key, line = kind_of(inspect.unwrap(function), [cases[k], *cases], found.line)
        return Repair(False, line, key)


def judge(names: Names, name: str, question: str, task: Task) -> Verdict:
    """Compare a student's function with the right one and with the wrong ones."""
    function = student_function(names, name)
    if left := blanks(function):
        variables = sorted(changed_at(function, left[0]))
        asked = [wrong.question for wrong in task.wrongs if wrong.shows_in(task.right, variables)]
        return unfinished(function, left, task, [*asked, question_about(variables) or question][0])
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    before = {called: scope[called] for called, _ in task.given if called in scope}
    scope.update({called: right for called, right in task.given if called in scope})
    try:
        verdict = _judge(function, name, question, task, None)
        if verdict.score < 1.0 and task.behind:         # its cache may be arranged otherwise
            with suppress(Exception):
                own = student_function(names, task.behind.right.__name__)
                again = _judge(function, name, question, task, own)
                return again if again.score > verdict.score else verdict
    finally:
        scope.update(before)
    return verdict


def unfinished(function: Any, left: Sequence[int], task: Task, question: str) -> Verdict:
    """Return the verdict on a function with blanks: what its lines are worth, and what to ask about the first
    blank."""
    name, every = function.__name__, BLANKS.get(function.__name__, 0)
    words = f"{len(left)} blank{'s' * (len(left) > 1)} left"
    hint = f"{statement_at(function, left[0])}: {question}"
    if len(left) < every <= len(statements(function)):       # else most lines of the exercise's are gone
        words = f"{every - len(left)} of {every} lines written"
        found = task.repair(function, blanks=left)
        words += ", those are right" * found.right
        if found.line:
            words += ", one of them is wrong"
            hint = hint_about(name, function, found.line, ANY_QUESTION)
    return Verdict(0.0, ("not written",), words, hint)


def _judge(function: Any, name: str, question: str, task: Task, forward: Any) -> Verdict:
    full = [run(task.right, case) for case in task.arguments()]
    wanted, got = [without_cache(want, want) for want in full], []
    written: list[int] = []
    for k, (case, want) in enumerate(zip(task.arguments(forward), full)):
        try:
            given = copy.deepcopy(case)
            result = call(function, given)
        except Exception as error:
            return failed(name, error, question, function, task.repair(function, forward, k).line)
        if has_cache(want) and (not isinstance(result, (tuple, list)) or len(result) != len(want)):
            return Verdict(0.0, ("other results",), f"expected {', '.join(task.outputs)} and the cache",
                           "the return line: what does the docstring promise?")
        got.append(without_cache(result, want))
        if task.behind:
            written += [at for at, pair in enumerate(zip(given[:-1], case)) if not equal_results(*pair)]
    wrong = [k for k, pair in enumerate(zip(got, wanted)) if not equal_results(*pair)]
    if not wrong and written:
        argument = list(inspect.signature(function).parameters)[written[0]]
        return overwrites(argument, f"{name}: is {argument} a copy?")
    close = (equal_results(*pair, SINGLE) for pair in zip(got, wanted))
    if not wrong or task.unnamed == "wrong_forward" and all(close):     # a forward may compute in float32
        return Verdict(1.0)
    _, line, key = task.repair(function, forward, wrong[0])
    for mistake in task.wrongs:
        made = mistake.made_in(task.right)
        numbers = [without_cache(run(made, case), want) for case, want in zip(task.arguments(), full)]
        if all(map(equal_results, got, numbers)):
            return Verdict(0.0, (mistake.name,), "exactly the numbers that this mistake gives",
                           hint_about(name, function, line, mistake.question))
    kind = MISTAKES.get(key) if task.unnamed == "no name" else None
    words = difference_in_words(got[wrong[0]], wanted[wrong[0]], task.outputs)
    if wrong[0]:            # not for the first arguments
        called = zip(inspect.signature(function).parameters, map(str, task.arguments()[wrong[0]]))
        shown = ", ".join(f"{key} = {value}" for key, value in called if len(value) < 40)
        words += f" for {shown}" * bool(shown)
    return task.named(function, got[0], line) or Verdict(
        0.0, (kind.key if kind else task.unnamed,), words,
        hint_about(name, function, line, kind.question if kind else "", question))


def run(function: Callable[..., Any], case: tuple[Any, ...]) -> Any:
    """Call a function with copies of the arguments."""
    return call(function, copy.deepcopy(case))


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function without NumPy's warnings."""
    with np.errstate(all="ignore"):
        return function(*arguments)
