"""Judge a cell's functions: a forward against minilstm's own, a backward by gradcheck, the mistake named by
the diagnosis.

A right backward must not be lost to a wrong forward. So a backward is tried behind the student's own forward
and, if that is wrong or missing, behind minilstm's, with a cache arranged as the exercise says.
"""

from __future__ import annotations

import functools
import inspect
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.errors import GradientError, MinilstmError
from minilstm.exercises import cell_answers as right
from minilstm.exercises.intermediates import Line, writing_line, wrong_lines
from minilstm.exercises.verdict import (BLANKS, Names, Unanswered, Verdict, blanks, changed_at,
                                        difference_in_words, equal_results, failed, hint_about, other_results,
                                        question_about, statement_at, student_function)
from minilstm.gradients.diagnosis.derivation import CELLS, translate
from minilstm.gradients.diagnosis.diagnose import Diagnosis, diagnosis_of
from minilstm.gradients.diagnosis.findings import Finding
from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.diagnosis.recognise import recognise, recognise_wrong
from minilstm.gradients.gradcheck import gradcheck
from minilstm.gradients.targets.make import make_target
from minilstm.gradients.targets.side_effects import SideEffect

N, T, D, H = 3, 4, 5, 2         # all different, so that no transposed matrix passes
# for naming a mistake, at most; usual ones take less than 0.5 on an idle processor
SECONDS = 2.5
FACTORS = "what does the exercise's equation for this have, factor by factor?"
SHAPES = "which shape must each gradient have?"
ANY_QUESTION = "Which operation of the forward stands here, and what are its inputs?"
# What to ask about a blank, where no mistake's question is about its line.
BLANK_QUESTIONS = {
    "dW": "What was W multiplied with in the forward?", "db": "To how many rows was b added?",
    "dhx": "What is the gradient of the left factor of hx W?", "dh_prev": "Which columns of [h, x] are h's?",
    "dx": "Which columns of [h, x] are x's?", "dh_t": "Where does h_t go, besides the output?",
    "dh_next": "What does step t + 1 send back, and what is there before the last step?",
    "dc_next": "Who else uses c_last?", "+=": MISTAKES["sum_over_time"].question}


class CellExercise(NamedTuple):
    """A cell's part of a step: the sizes of the inputs in order, the outputs, and the right functions, whose
    cache is the exercise's."""

    name: str
    sizes: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    forward: Callable[..., Any]
    backward: Callable[..., Any]

    def inputs(self) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(7)
        return tuple(rng.standard_normal(size) for size in self.sizes.values())

    def lines(self, function: Any, forward: Any = None, blanks: Sequence[Line] = (),
              missing: int = 0) -> list[Line] | None:
        """Return the lines of a function that are proved wrong, of a backward behind ``forward``."""
        if forward is None:
            return wrong_lines(function, self.inputs(), self.forward, self.inputs(), blanks, missing)
        above, right = self.above(), self.forward(*self.inputs())[-1]
        own = [*above, forward(*self.inputs())[-1]]
        return wrong_lines(function, own, self.backward, [*above, right], blanks, missing)

    def above(self) -> list[np.ndarray]:
        """Return gradients from above."""
        rng, outputs = np.random.default_rng(3), self.forward(*self.inputs())[:-1]
        return [rng.standard_normal(y.shape) for y in outputs]


STATE = (N, H)


def _weights(columns: int, biases: int) -> dict[str, tuple[int, ...]]:
    return {"W": (H + D, columns * H), "b": (biases * H,)}


RNN_STEP = CellExercise("RNN", {"x": (N, D), "h_prev": STATE, **_weights(1, 1)}, ("h",), right.rnn_step,
                        right.rnn_step_backward)
RNN = CellExercise("RNN", {"x": (N, T, D), "h0": STATE, **_weights(1, 1)}, ("h",), right.rnn_forward,
                   right.rnn_backward)
LSTM_STEP = CellExercise("LSTM", {"x": (N, D), "h_prev": STATE, "c_prev": STATE, **_weights(4, 4)},
                         ("h", "c"), right.lstm_step, right.lstm_step_backward)
LSTM = CellExercise("LSTM", {"x": (N, T, D), "h0": STATE, "c0": STATE, **_weights(4, 4)},
                    ("h", "c_last"), right.lstm_forward, right.lstm_backward)
GRU_STEP = CellExercise("GRU", {"x": (N, D), "h_prev": STATE, **_weights(3, 4)}, ("h",), right.gru_step,
                        right.gru_step_backward)


def judge_forward(names: Names, name: str, question: str, cell: CellExercise) -> Verdict:
    """Compare a student's forward with minilstm's."""
    try:
        function = student_function(names, name, question)
    except Unanswered as error:
        raise _unfinished(error, cell) from None
    want = cell.forward(*cell.inputs())[:-1]
    try:
        got = function(*cell.inputs())
    except Exception as error:
        return failed(name, error, question, function, cell.lines(function))
    if not isinstance(got, (tuple, list)) or len(got) != len(want) + 1:
        return other_results(cell.outputs)
    got = tuple(got[:-1])
    if equal_results(got, want):
        return Verdict(1.0)
    lines = cell.lines(function)
    outputs = [np.asarray(y) for y in got]
    if all(y.dtype.kind == "f" and y.shape == right.shape for y, right in zip(outputs, want)):
        named = _named_forward(function, got, outputs, cell, lines)
        if named is not None:
            return named
    words = difference_in_words(got, want, cell.outputs)
    return Verdict(0.0, ("wrong_forward",), words, hint_about(name, function, lines, "", question))


def _named_forward(function: Any, got: Any, outputs: list[np.ndarray], cell: CellExercise,
                   lines: Sequence[Line] | None) -> Verdict | None:
    """Return the verdict on a wrong forward where one can say what is wrong, else None."""
    own = cell.forward.__name__
    for name in cell.sizes:
        doubled = [2 * value if key == name else value for key, value in zip(cell.sizes, cell.inputs())]
        if equal_results(function(*doubled)[:-1], got):
            return Verdict(0.0, ("wrong_forward",), f"{name} makes no difference",
                           hint_about(own, function, lines, f"where does the equation have {name}?"))
    inputs = dict(zip(cell.sizes, cell.inputs()))
    reading = recognise(inputs, {}, outputs)
    if reading is not None and reading.cell.name == cell.name and not reading.cell.variants and (
            not reading.h_first or reading.order != tuple(range(len(reading.order)))):
        return Verdict(0.0, ("another arrangement",), f"it is the forward of {reading.words()}",
                       f"{own}: in which order do the exercise's gates stand, and the rows of W?")
    reading = reading or recognise_wrong(inputs, {}, outputs, time.perf_counter() + SECONDS / 2)
    if reading is None or reading.cell.name != cell.name:
        return None
    for now, line in zip(reading.cell.forward, CELLS[cell.name].forward):
        if now != line:
            return Verdict(0.0, ("wrong_forward",), f"exactly what {now} gives",
                           hint_about(own, function, lines, FACTORS))
    return None


def judge_backward(names: Names, name: str, question: str, cell: CellExercise) -> Verdict:
    """Check a student's backward."""
    forward = cell.forward.__name__
    try:
        backward = student_function(names, name, question)
    except Unanswered as error:
        raise _unfinished(error, cell, cell.forward) from None

    @functools.wraps(backward)
    def by_name(*arguments: Any) -> Any:
        gradients = backward(*arguments)
        in_order = isinstance(gradients, (tuple, list)) and len(gradients) == len(cell.sizes)
        return {f"d{name}": one for name, one in zip(cell.sizes, gradients)} if in_order else gradients
    if _is_gradient(cell.forward, by_name, cell):
        return Verdict(1.0)
    try:
        own = student_function(names, forward, question)
    except Unanswered:
        own = cell.forward
    if _is_right(own, cell):
        return _checked(own, by_name, cell, question)
    if _is_gradient(own, by_name, cell):
        return Verdict(0.5, ("behind a wrong forward",), "it is the gradient of your own forward",
                       f"{forward}: which of its lines is not the equation?")
    return _checked(cell.forward, by_name, cell, question)


def _is_gradient(forward: Any, backward: Any, cell: CellExercise) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return gradcheck((forward, backward), cell.inputs(), diagnose=False, raise_exception=False).right
        except MinilstmError:
            return False


def _unfinished(error: Unanswered, cell: CellExercise, forward: Any = None) -> Unanswered:
    """Return the verdict on a function with blanks: what its lines are worth, and a question about the first
    blank."""
    function, verdict = error.function, error.verdict
    if function is None:
        return error
    left = blanks(function)
    variables = sorted(changed_at(function, left[0])) or ["+="]
    asked = question_about(variables) if forward is None else _question(cell, variables)
    verdict = verdict._replace(hint=f"{statement_at(function, left[0])}: {asked}")
    missing = sum(not changed_at(function, line) for line in left)
    lines = cell.lines(function, forward, [Line(function.__name__, line) for line in left], missing)
    if lines:
        verdict = verdict._replace(detail=f"{verdict.detail}, one of them is wrong",
                                   hint=hint_about("", function, lines, ANY_QUESTION))
    elif lines is not None and len(left) < BLANKS.get(function.__name__, 0):
        verdict = verdict._replace(detail=f"{verdict.detail}, those are right")
    return Unanswered(verdict)


def _question(cell: CellExercise, variables: Collection[str]) -> str:
    """Return a question about the line that assigns to these variables."""
    numbers = {line.number for line in CELLS[cell.name].backward if translate(line.target) in variables}
    asked = [mistake.question for mistake in MISTAKES.values()
             if mistake.cell == cell.name and numbers & set(mistake.lines)]
    asked += [question for name, question in BLANK_QUESTIONS.items() if name in variables]
    return asked[0] if asked and len(variables) == 1 else ANY_QUESTION


def _is_right(forward: Any, cell: CellExercise) -> bool:
    try:
        return equal_results(forward(*cell.inputs())[:-1], cell.forward(*cell.inputs())[:-1])
    except Exception:
        return False


def _checked(forward: Any, backward: Any, cell: CellExercise, question: str) -> Verdict:
    """Return the verdict on a backward that is not right. One wrong line costs half, whatever it changes."""
    name, pair, lines = backward.__name__, (forward, backward), cell.lines(backward, forward)
    half = 0.5 * (len(lines or ()) == 1)

    def verdict(key: str, words: str, asked: str = "", score: float = half) -> Verdict:
        return Verdict(score, (key,), words, hint_about(name, backward, lines, asked, question))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = gradcheck(pair, cell.inputs(), diagnose=False, raise_exception=False)
        except GradientError as error:
            if error.__cause__ is not None:
                return failed(name, error.__cause__, question, backward, lines)._replace(score=half)
            return verdict("wrong gradient", str(error).splitlines()[0], SHAPES)
        except MinilstmError as error:
            return verdict("not checked", str(error), score=0.0)
        if report.right:
            return Verdict(1.0)
        if not report.wrong:
            return _of_side_effects(report.side_effects, backward, forward, cell)
        try:
            found = diagnosis_of(make_target(pair, cell.inputs(), {}), SECONDS)
        except Exception:       # at other sizes it may raise anything
            found = Diagnosis(None)
    if found.side_effects and not found.slips:
        mistake = MISTAKES.get(found.side_effects[0].mistake)
        return verdict(mistake.key if mistake else "wrong gradient", "; and ".join(found.habits),
                       mistake.question if mistake else "")
    if found.smallest_t is None:
        return verdict("wrong gradient", f"the gradient of {', '.join(report.wrong)} is wrong")
    if not found.named:
        arrays = ", ".join(dict.fromkeys(part.array for part in found.wrong))
        T = found.smallest_t
        when = f"from {T} time steps on" if T > 1 else "already with one time step"
        return verdict("no name", f"wrong {when}: {arrays}")
    keys = tuple(dict.fromkeys(map(_key, found.slips)))
    if half and len(keys) > 1:          # one mistake, and what comes of it has several names
        keys = ("wrong line",)
    first = MISTAKES.get(keys[0])
    asked = ANY_QUESTION if len(keys) > 1 else first.question if first else ""
    words = f"exactly this: {'; and '.join(map(_without_answer, found.slips))}"
    return verdict("", words, asked, half or 0.5 * (len(found.slips) == 1))._replace(mistakes=keys)


def _of_side_effects(effects: Sequence[SideEffect], backward: Any, forward: Any,
                     cell: CellExercise) -> Verdict:
    """Return the verdict on a backward whose values are right."""
    name = backward.__name__
    if effects[0].mistake == "upstream_written":
        written = list(inspect.signature(backward).parameters)[effects[0].values[0]]
        line = writing_line(backward, [*cell.above(), forward(*cell.inputs())[-1]])
        return Verdict(0.5, ("side effect",), f"{written} is overwritten: the array of the caller changes",
                       hint_about(name, backward, [line] if line else None, f"is {written} a copy?"))
    mistake, words = MISTAKES.get(effects[0].mistake), "; and ".join(map(str, effects))
    if mistake is None or mistake.key == "cache_changed":
        return Verdict(0.5, ("side effect",), words, f"{name}: what is written to?")
    return Verdict(0.5, (mistake.key,), words, f"{name}: {mistake.question}")


def _key(finding: Finding) -> str:
    return finding.mistake or ("wrong gradient" if finding.line is None else "wrong line")


def _without_answer(finding: Finding) -> str:
    """Return what stands in the student's code, without what should stand there."""
    words = finding.words(tell_right=False)
    return f"{', '.join(finding.arrays)}: {words}" if finding.arrays else words
