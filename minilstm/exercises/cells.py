"""Judge a cell's functions: a forward by its numbers, a backward by gradcheck, the mistake named by the
diagnosis.

A right backward must not be lost to a wrong forward. So a backward is tried behind the student's own forward
and, if that is wrong or missing, behind minilstm's, with a cache arranged as the exercise says.
"""

from __future__ import annotations

import functools
import inspect
import time
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from minilstm.backend.errors import GradientError, MinilstmError
from minilstm.exercises import cell_answers as right
from minilstm.exercises.numbers import Task, run, unfinished
from minilstm.exercises.verdict import (ANY_QUESTION, Line, Names, Verdict, blanks, changed_at,
                                        difference_in_words, equal_results, failed, hint_about, overwrites,
                                        student_function)
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
# What to ask about a blank, where no mistake's question is about its line.
BLANK_QUESTIONS = {
    "dW": "What was W multiplied with in the forward?", "db": "To how many rows was b added?",
    "dhx": "What is the gradient of the left factor of hx W?", "dh_prev": "Which columns of [h, x] are h's?",
    "dx": "Which columns of [h, x] are x's?", "dh_t": "Where does h_t go, besides the output?",
    "dh_next": "What does step t + 1 send back, and what is there before the last step?",
    "dc_next": "Who else uses c_last?", "+=": MISTAKES["sum_over_time"].question}


class CellExercise(NamedTuple):
    """A cell's part of a step: the inputs by name, and its two functions."""

    name: str
    inputs: dict[str, np.ndarray]
    forward: Task
    backward: Task


def _cell(name: str, state: Sequence[str], outputs: tuple[str, ...], gates: int, biases: int, forward: Any,
          backward: Any) -> CellExercise:
    x = {"x": (N, T, D) if state[0] == "h0" else (N, D)}
    sizes = {**x, **dict.fromkeys(state, (N, H)), "W": (H + D, gates * H), "b": (biases * H,)}
    inputs = dict(zip(sizes, map(np.random.default_rng(7).standard_normal, sizes.values())))
    before = Task([tuple(inputs.values())], forward, outputs, (), None, (),
                  partial(_named_forward, name, inputs, forward.__name__), "wrong_forward")
    normal = np.random.default_rng(3).standard_normal
    above = tuple(normal(y.shape) for y in forward(*inputs.values())[:-1])
    return CellExercise(name, inputs, before,
                        Task([above], backward, tuple(f"d{key}" for key in inputs), (), before))


def _named_forward(cell: str, inputs: dict[str, np.ndarray], name: str, function: Any, got: tuple[Any, ...],
                   line: Line | None) -> Verdict | None:
    """Return the verdict on a wrong forward where one can say what is wrong, else None."""
    outputs = [np.asarray(y) for y in got]
    for key, value in inputs.items():
        if equal_results(function(*{**inputs, key: 2 * value}.values())[:-1], got):
            return Verdict(0.0, ("wrong_forward",), f"{key} makes no difference",
                           hint_about(name, function, line, f"where does the equation have {key}?"))
    if not all(y.dtype.kind == "f" for y in outputs):
        return None
    reading = recognise(inputs, {}, outputs)
    if reading is not None and reading.cell.name == cell and not reading.cell.variants and (
            not reading.h_first or reading.order != tuple(range(len(reading.order)))):
        return Verdict(0.0, ("another arrangement",), f"it is the forward of {reading.words()}",
                       f"{name}: in which order do the exercise's gates stand, and the rows of W?")
    reading = reading or recognise_wrong(inputs, {}, outputs, time.perf_counter() + SECONDS / 2)
    if reading is None or reading.cell.name != cell:
        return None
    for now, equation in zip(reading.cell.forward, CELLS[cell].forward):
        if now != equation:
            return Verdict(0.0, ("wrong_forward",), f"exactly what {now} gives",
                           hint_about(name, function, line, FACTORS))
    return None


RNN_STEP = _cell("RNN", ("h_prev",), ("h",), 1, 1, right.rnn_step, right.rnn_step_backward)
RNN = _cell("RNN", ("h0",), ("h",), 1, 1, right.rnn_forward, right.rnn_backward)
LSTM_STEP = _cell("LSTM", ("h_prev", "c_prev"), ("h", "c"), 4, 4, right.lstm_step, right.lstm_step_backward)
LSTM = _cell("LSTM", ("h0", "c0"), ("h", "c_last"), 4, 4, right.lstm_forward, right.lstm_backward)
GRU_STEP = _cell("GRU", ("h_prev",), ("h",), 3, 4, right.gru_step, right.gru_step_backward)


def judge_backward(names: Names, name: str, question: str, cell: CellExercise) -> Verdict:
    """Check a student's backward."""
    backward = student_function(names, name)
    if left := blanks(backward):
        variables = sorted(changed_at(backward, left[0])) or ["+="]
        return unfinished(backward, left, cell.backward, _question(cell, variables))

    @functools.wraps(backward)
    def by_name(*arguments: Any) -> Any:
        gradients, keys = backward(*arguments), cell.backward.outputs
        in_order = isinstance(gradients, (tuple, list)) and len(gradients) == len(keys)
        return dict(zip(keys, gradients)) if in_order else gradients
    forward, own = cell.forward.right, cast(Any, names.get(cell.forward.right.__name__))
    if _is_gradient(forward, by_name, cell):
        return Verdict(1.0)
    try:
        got, want = (function(*cell.inputs.values())[:-1] for function in (own, forward))
        own_is_right = equal_results(got, want)
    except Exception:
        own_is_right = False
    if own_is_right:
        return _checked(own, by_name, cell, question)
    if own is not None and _is_gradient(own, by_name, cell):
        return Verdict(0.5, ("behind a wrong forward",), "it is the gradient of your own forward",
                       f"{forward.__name__}: which of its lines is not the equation?")
    return _checked(forward, by_name, cell, question)


def _is_gradient(forward: Any, backward: Any, cell: CellExercise) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return gradcheck((forward, backward), tuple(cell.inputs.values()), diagnose=False,
                             raise_exception=False).right
        except MinilstmError:
            return False


def _question(cell: CellExercise, variables: Sequence[str]) -> str:
    """Return a question about the line that assigns to these variables."""
    numbers = {line.number for line in CELLS[cell.name].backward if translate(line.target) in variables}
    asked = [mistake.question for mistake in MISTAKES.values()
             if mistake.cell == cell.name and numbers & set(mistake.lines)]
    asked += [question for name, question in BLANK_QUESTIONS.items() if name in variables]
    return asked[0] if asked and len(variables) == 1 else ANY_QUESTION


def _checked(forward: Any, backward: Any, cell: CellExercise, question: str) -> Verdict:
    """Return the verdict on a backward that is not right. One wrong line costs half, whatever it changes."""
    name, pair, inputs = backward.__name__, (forward, backward), tuple(cell.inputs.values())
    _, line, found_key = cell.backward.repair(backward, forward)
    half, kind = 0.5 * bool(found_key), MISTAKES.get(found_key)

    def verdict(key: str, words: str, asked: str = "", score: float = half) -> Verdict:
        if kind and key not in MISTAKES:
            key, asked = kind.key, kind.question
        return Verdict(score, (key,), words, hint_about(name, backward, line, asked, question))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = gradcheck(pair, inputs, diagnose=False, raise_exception=False)
        except GradientError as error:
            if error.__cause__ is not None:
                begun = not isinstance(error.__cause__, NotImplementedError)
                return failed(name, error.__cause__, question, backward, line)._replace(score=half * begun)
            got = run(backward, cell.backward.arguments(forward)[0])
            want, words = cell.backward.right(*cell.backward.arguments()[0]), str(error).splitlines()[0]
            if isinstance(got, dict) and list(map(np.shape, got.values())) != list(map(np.shape, want)):
                words = difference_in_words(list(got.values()), want, cell.backward.outputs)
            return verdict("wrong gradient", words, SHAPES)
        except MinilstmError as error:
            return verdict("not checked", str(error), score=0.0)
        if report.right:
            return Verdict(1.0)
        if not report.wrong:
            return _of_side_effects(report.side_effects, backward, line)
        try:
            found = diagnosis_of(make_target(pair, inputs, {}), SECONDS)
        except Exception:       # at other sizes it may raise anything
            found = Diagnosis(None)
    if found.side_effects and not found.slips:
        mistake = MISTAKES.get(found.side_effects[0].mistake)
        return verdict(mistake.key if mistake else "wrong gradient", "; and ".join(found.habits),
                       mistake.question if mistake else "")
    # a backward that is not linear is diagnosed at another scale: what repairs its line says more
    if found.smallest_t is None or kind and not all(effect.mistake for effect in found.side_effects):
        return verdict("wrong gradient", f"the gradient of {', '.join(report.wrong)} is wrong")
    if not found.named:
        arrays = ", ".join(dict.fromkeys(part.array for part in found.wrong))
        T = found.smallest_t
        when = f"from {T} time steps on" if T > 1 else "already with one time step"
        return verdict("no name", f"wrong {when}: {arrays}")
    keys = tuple(dict.fromkeys(map(_key, found.slips)))
    if half and len(keys) > 1:          # one mistake, and what comes of it has several names
        keys = ("wrong line",)
    if kind and not set(keys) & set(MISTAKES):
        keys = (kind.key,)
    first = MISTAKES.get(keys[0])
    asked = ANY_QUESTION if len(keys) > 1 else first.question if first else ""
    words = f"exactly this: {'; and '.join(map(_without_answer, found.slips))}"
    return verdict(keys[0], words, asked, half or 0.5 * (len(found.slips) == 1))._replace(mistakes=keys)


def _of_side_effects(effects: Sequence[SideEffect], backward: Any, line: Line | None) -> Verdict:
    """Return the verdict on a backward whose values are right."""
    name = backward.__name__
    if effects[0].mistake == "upstream_written":
        written = list(inspect.signature(backward).parameters)[effects[0].values[0]]
        return overwrites(written, hint_about(name, backward, line, f"is {written} a copy?"))
    words = "; and ".join(map(str, effects))
    return Verdict(0.5, ("side effect",), words, f"{name}: what is written to?")


def _key(finding: Finding) -> str:
    return finding.mistake or ("wrong gradient" if finding.line is None else "wrong line")


def _without_answer(finding: Finding) -> str:
    """Return what stands in the student's code, without what should stand there."""
    words = finding.words(tell_right=False)
    return f"{', '.join(finding.arrays)}: {words}" if finding.arrays else words
