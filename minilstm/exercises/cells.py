"""Judge a cell's functions: a forward against minilstm's own, a backward by gradcheck, the mistake named by
the diagnosis.

A right backward must not be lost to a wrong forward. So a backward is tried behind the student's own forward
and, if that is wrong or missing, behind minilstm's, with a cache arranged as the exercise says.
"""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.errors import GradientError, MinilstmError
from minilstm.cells.gru import gru_step, gru_step_backward
from minilstm.cells.lstm import lstm_backward, lstm_forward, lstm_step, lstm_step_backward
from minilstm.cells.rnn import rnn_backward, rnn_forward, rnn_step, rnn_step_backward
from minilstm.exercises.intermediates import Run, Spot, right_values, run
from minilstm.exercises.verdict import (BLANKS, Names, Unanswered, Verdict, assignment_line, blanks,
                                        changed_at, difference_in_words, equal_results, failed,
                                        question_about, statement_at, student_function)
from minilstm.gradients.diagnosis.derivation import CELLS, translate
from minilstm.gradients.diagnosis.diagnose import Diagnosis, diagnose
from minilstm.gradients.diagnosis.findings import Finding
from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.diagnosis.recognise import recognise, recognise_wrong
from minilstm.gradients.gradcheck import gradcheck
from minilstm.gradients.targets.side_effects import SideEffect

N, T, D, H = 3, 4, 5, 2         # all different, so that no transposed matrix passes
# for naming a mistake, at most; usual ones take less than 0.5 on an idle processor
SECONDS = 2.5
ANY_QUESTION = "Which operation of the forward stands here, and what are its inputs?"
# What to ask about a blank, where no mistake's question is about its line.
BLANK_QUESTIONS = {
    "dW": "What was W multiplied with in the forward?", "db": "To how many rows was b added?",
    "dhx": "What is the gradient of the left factor of hx W?", "dh_prev": "Which columns of [h, x] are h's?",
    "dx": "Which columns of [h, x] are x's?", "dh_t": "Where does h_t go, besides the output?",
    "dh_next": "What does step t + 1 send back, and what is there before the last step?",
    "dc_next": "Who else uses c_last?", "+=": MISTAKES["sum_over_time"].question}


class CellExercise(NamedTuple):
    """A cell's part of a step; ``forward(*inputs) -> (*outputs, cache)`` has the exercise's cache; ``own``:
    minilstm's forward and backward."""

    name: str
    sizes: dict[str, tuple[int, ...]]           # the inputs in order
    outputs: tuple[str, ...]
    forward: Callable[..., Any]
    own: tuple[Callable[..., Any], Callable[..., Any]]

    def inputs(self) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(7)
        return tuple(rng.standard_normal(size) for size in self.sizes.values())

    def examine(self, function: Any, forward: Any = None, replaced: Sequence[Spot] = ()) -> tuple[Run, Any]:
        """Run a student's function, behind ``forward`` if it is a backward; return what is right, too."""
        rng, outputs = np.random.default_rng(3), self.forward(*self.inputs())[:-1]
        upstream = [rng.standard_normal(y.shape) for y in outputs]
        values, _, gradients = right_values(*self.own, self.inputs(), upstream)
        if forward is None:
            return run(function, self.inputs(), values, replaced), outputs
        return run(function, [*upstream, forward(*self.inputs())[-1]], values, replaced), gradients


def _rnn_step(x: Any, h_prev: Any, W: Any, b: Any) -> Any:
    h, cache = rnn_step(x, h_prev, W, b)
    return h, (cache.hx, cache.h, W)


def _rnn(x: Any, h0: Any, W: Any, b: Any) -> Any:
    out, cache = rnn_forward(x, h0, W, b)
    return out, (x, cache.h.transpose(1, 0, 2).copy(), W)


def _lstm(x: Any, h0: Any, c0: Any, W: Any, b: Any) -> Any:
    out, c_last, _ = lstm_forward(x, h0, c0, W, b)
    caches, h, c = [], h0, c0
    for t in range(x.shape[1]):
        h, c, cache = lstm_step(x[:, t], h, c, W, b)
        caches.append(tuple(cache))
    return out, c_last, caches


def _lstm_step(x: Any, h_prev: Any, c_prev: Any, W: Any, b: Any) -> Any:
    h, c, cache = lstm_step(x, h_prev, c_prev, W, b)
    return h, c, tuple(cache)


def _gru_step(x: Any, h_prev: Any, W: Any, b: Any) -> Any:
    h, cache = gru_step(x, h_prev, W, b)
    return h, tuple(cache)


STATE = (N, H)


def _weights(columns: int, biases: int) -> dict[str, tuple[int, ...]]:
    return {"W": (H + D, columns * H), "b": (biases * H,)}


RNN_STEP = CellExercise("RNN", {"x": (N, D), "h_prev": STATE, **_weights(1, 1)}, ("h",), _rnn_step,
                        (rnn_step, rnn_step_backward))
RNN = CellExercise("RNN", {"x": (N, T, D), "h0": STATE, **_weights(1, 1)}, ("h",), _rnn,
                   (rnn_forward, rnn_backward))
LSTM_STEP = CellExercise("LSTM", {"x": (N, D), "h_prev": STATE, "c_prev": STATE, **_weights(4, 4)},
                         ("h", "c"), _lstm_step, (lstm_step, lstm_step_backward))
LSTM = CellExercise("LSTM", {"x": (N, T, D), "h0": STATE, "c0": STATE, **_weights(4, 4)},
                    ("h", "c_last"), _lstm, (lstm_forward, lstm_backward))
GRU_STEP = CellExercise("GRU", {"x": (N, D), "h_prev": STATE, **_weights(3, 4)}, ("h",), _gru_step,
                        (gru_step, gru_step_backward))


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
        return failed(name, error, question)
    if not isinstance(got, (tuple, list)) or len(got) != len(want) + 1:
        return Verdict(0.0, ("other results",), f"expected {', '.join(cell.outputs)} and the cache",
                       "the return line: what does the docstring promise?")
    got = tuple(got[:-1])
    if equal_results(got, want):
        return Verdict(1.0)
    place = _place(function, _look(function, cell).spot) or assignment_line(function, *cell.outputs)
    outputs = [np.asarray(y) for y in got]
    if all(y.dtype.kind == "f" and y.shape == right.shape for y, right in zip(outputs, want)):
        named = _named_forward(function, got, outputs, cell, place)
        if named is not None:
            return named
    words = difference_in_words(got, want, cell.outputs)
    return Verdict(0.0, ("wrong_forward",), words, f"{place}: {question}")


def _named_forward(function: Any, got: Any, outputs: list[np.ndarray], cell: CellExercise,
                   place: str) -> Verdict | None:
    """Return the verdict on a wrong forward where one can say what is wrong, else None."""
    for name in cell.sizes:
        doubled = [2 * value if key == name else value for key, value in zip(cell.sizes, cell.inputs())]
        if equal_results(function(*doubled)[:-1], got):
            return Verdict(0.0, ("wrong_forward",), f"{name} makes no difference",
                           f"{place}: where does the equation have {name}?")
    inputs = dict(zip(cell.sizes, cell.inputs()))
    reading = recognise(inputs, {}, outputs)
    if reading is not None and reading.cell.name == cell.name and not reading.cell.variants and (
            not reading.h_first or reading.order != tuple(range(len(reading.order)))):
        return Verdict(0.0, ("another arrangement",), f"it is the forward of {reading.words()}",
                       f"{assignment_line(function)}: in which order do the exercise's gates stand, and the "
                       "rows of W?")
    reading = reading or recognise_wrong(inputs, {}, outputs, time.perf_counter() + SECONDS / 2)
    if reading is None or reading.cell.name != cell.name:
        return None
    for now, line in zip(reading.cell.forward, CELLS[cell.name].forward):
        if now != line:
            return Verdict(0.0, ("wrong_forward",), f"exactly what {now} gives",
                           f"{place}: what does the exercise's equation for this have, factor by factor?")
    return None


def judge_backward(names: Names, name: str, question: str, cell: CellExercise, forward: str) -> Verdict:
    """Check a student's backward; ``forward`` is the name of the function before it."""
    try:
        backward = student_function(names, name, question)
    except Unanswered as error:
        raise _unfinished(error, cell, cell.forward) from None
    if _is_gradient(cell.forward, backward, cell):
        return Verdict(1.0)
    try:
        own = student_function(names, forward, question)
    except Unanswered:
        own = cell.forward
    if _is_right(own, cell):
        return _checked(own, backward, cell, question)
    if _is_gradient(own, backward, cell):
        return Verdict(0.5, ("behind a wrong forward",), "it is the gradient of your own forward",
                       f"{assignment_line(own)}: which of its lines is not the equation?")
    return _checked(cell.forward, backward, cell, question)


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
    try:
        ran, right = cell.examine(function, forward, [Spot(function.__name__, line) for line in left])
    except Exception:       # its source is not at hand
        return Unanswered(verdict)
    if ran.wrong is not None and not ran.wrong.returned and ran.wrong.line not in left:
        verdict = verdict._replace(detail=f"{verdict.detail}, one of them is wrong",
                                   hint=f"{_place(function, ran.wrong)}: {ANY_QUESTION}")
    elif ran.result is not None and len(left) < BLANKS.get(function.__name__, 0):
        got = ran.result[:len(right)]
        open_results = sum(not equal_results(*pair) for pair in zip(got, right))
        if open_results <= sum(not changed_at(function, line) for line in left):
            verdict = verdict._replace(detail=f"{verdict.detail}, those are right")
    return Unanswered(verdict)


def _question(cell: CellExercise, variables: Collection[str]) -> str:
    """Return a question about the line that assigns to these variables."""
    numbers = {line.number for line in CELLS[cell.name].backward if translate(line.target) in variables}
    asked = [mistake.question for mistake in MISTAKES.values()
             if mistake.cell == cell.name and numbers & set(mistake.lines)]
    asked += [question for name, question in BLANK_QUESTIONS.items() if name in variables]
    return asked[0] if asked and len(variables) == 1 else ANY_QUESTION


class Look(NamedTuple):
    """The first wrong line of a function, whether nothing else is wrong, and the results in words."""

    spot: Spot | None = None
    single: bool = False
    words: str = ""


def _look(function: Any, cell: CellExercise, forward: Any = None) -> Look:
    """Look for the first wrong line of a student's function."""
    try:
        ran, right = cell.examine(function, forward)
        if ran.wrong is None:
            return Look()
        got = cell.examine(function, forward, [ran.wrong])[0].result
    except Exception:       # its source is not at hand
        return Look()
    single = got is not None and equal_results(got[:len(right)], right)
    gradients = tuple(f"d{name}" for name in cell.sizes)
    words = "" if ran.result is None else difference_in_words(ran.result, right, gradients)
    return Look(ran.wrong if single else ran.loop or ran.wrong, single, words)


def _place(function: Any, spot: Spot | None) -> str:
    """Return a line in words, of the function or of one that it calls; "" for None."""
    if spot is None:
        return ""
    function = inspect.unwrap(function)
    return statement_at(function.__globals__.get(spot.function, function), spot.line)


def _is_right(forward: Any, cell: CellExercise) -> bool:
    try:
        return equal_results(forward(*cell.inputs())[:-1], cell.forward(*cell.inputs())[:-1])
    except Exception:
        return False


def _checked(forward: Any, backward: Any, cell: CellExercise, question: str) -> Verdict:
    spot, single, words = _look(backward, cell, forward)
    place, pair = _place(backward, spot) or assignment_line(backward), (forward, backward)
    half = 0.5 * single
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = gradcheck(pair, cell.inputs(), diagnose=False, raise_exception=False)
        except GradientError as error:
            if error.__cause__ is not None:
                raised = failed(backward.__name__, error.__cause__, question, _place(backward, spot))
                return raised._replace(score=half)
            return _wrong_gradient(words or str(error).splitlines()[0], place, half)
        except MinilstmError as error:
            return Verdict(0.0, ("not checked",), str(error), place)
        if report.right:
            return Verdict(1.0)
        if not report.wrong:
            return _of_side_effects(report.side_effects, place, backward)
        try:
            found = diagnose(pair, cell.inputs(), seconds=SECONDS)
        except Exception:       # at other sizes it may raise anything
            found = Diagnosis(None)
    if found.side_effects and not found.slips:
        return _of_side_effects(found.side_effects, place, backward)._replace(score=0.0)
    if found.smallest_t is None:
        return _wrong_gradient(f"the gradient of {', '.join(report.wrong)} is wrong", place, half)
    if not found.named:
        arrays = ", ".join(dict.fromkeys(part.array for part in found.wrong))
        T = found.smallest_t
        when = f"from {T} time steps on" if T > 1 else "already with one time step"
        return Verdict(half, ("no name",), f"wrong {when}: {arrays}", f"{place}: {question}")
    return _of_findings(found.slips, backward, spot)


def _wrong_gradient(detail: str, place: str, score: float) -> Verdict:
    return Verdict(score, ("wrong gradient",), detail, f"{place}: which shape must each gradient have?")


def _of_side_effects(effects: Sequence[SideEffect], place: str, backward: Any) -> Verdict:
    """Return the verdict on a backward whose values are right."""
    if effects[0].mistake == "upstream_written":
        written = list(inspect.signature(backward).parameters)[effects[0].values[0]]
        return Verdict(0.5, ("side effect",), f"{written} is overwritten: the array of the caller changes",
                       f"{assignment_line(backward, written)}: is {written} a copy?")
    mistake, words = MISTAKES.get(effects[0].mistake), "; and ".join(map(str, effects))
    if mistake is None or mistake.key in ("cache_changed", "upstream_written"):
        return Verdict(0.5, ("side effect",), words, f"{place}: what is written to?")
    return Verdict(0.5, (mistake.key,), words, f"{place}: {mistake.question}")


def _of_findings(found: Sequence[Finding], backward: Any, spot: Spot | None) -> Verdict:
    """Return the verdict on a backward whose mistakes have been found."""
    keys = tuple(dict.fromkeys(map(_key, found)))
    first = MISTAKES.get(found[0].mistake)
    if first and first.in_loop:
        spot = None
    question = first.question if first and (len(found) == 1 or spot is None) else ANY_QUESTION
    score = 0.5 if len(found) == 1 and keys != ("zero",) else 0.0
    words = "; and ".join(map(_without_answer, found))
    return Verdict(score, keys, f"exactly this: {words}",
                   f"{_place(backward, spot) or assignment_line(backward, 'for')}: {question}")


def _key(finding: Finding) -> str:
    return finding.mistake or ("wrong gradient" if finding.line is None else "wrong line")


def _without_answer(finding: Finding) -> str:
    """Return what stands in the student's code, without what should stand there."""
    words = finding.words(tell_right=False)
    return f"{', '.join(finding.arrays)}: {words}" if finding.arrays else words
