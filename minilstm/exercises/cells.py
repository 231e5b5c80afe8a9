"""Judge a cell's functions: a forward against minilstm's own, a backward by gradcheck, the mistake named by
the diagnosis.

A right backward must not be lost to a wrong forward. So a backward is tried behind the student's own forward
and, if that is wrong or missing, behind minilstm's, with a cache arranged as the exercise says.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.errors import GradientError, MinilstmError
from minilstm.cells.gru import gru_step
from minilstm.cells.lstm import lstm_forward, lstm_step
from minilstm.cells.rnn import rnn_forward, rnn_step
from minilstm.exercises.verdict import (Names, Unanswered, Verdict, assignment_line, difference_in_words,
                                        equal_results, failed, student_function)
from minilstm.gradients.diagnosis.derivation import CELLS
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
# Where the exercises write what a name of the derivation is about; other names are as they are, with or
# without _t.
VARIABLES = {"dc̃": ("dc_tilde",), "c̃_t": ("c_tilde",), "h_t": ("h",), "dh": ("dh_t",), "dx": ("dx", "dhx"),
             "dh0": ("dh_next", "dh"), "dh_prev": ("dh_prev", "dh_next", "dhx"), "c_t": ("c_t", "c"),
             "dc0": ("dc_prev", "dc_next"), "dc_prev": ("dc_prev", "dc_next"),
             **{f"{gate}_t": (gate,) for gate in "fiorzqn"}}


class CellExercise(NamedTuple):
    """A cell's part of a step; ``forward(*inputs) -> (*outputs, cache)`` has the exercise's cache."""

    name: str
    sizes: dict[str, tuple[int, ...]]           # the inputs in order
    outputs: tuple[str, ...]
    forward: Callable[..., Any]

    def inputs(self) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(7)
        return tuple(rng.standard_normal(size) for size in self.sizes.values())


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


RNN_STEP = CellExercise("RNN", {"x": (N, D), "h_prev": STATE, **_weights(1, 1)}, ("h",), _rnn_step)
RNN = CellExercise("RNN", {"x": (N, T, D), "h0": STATE, **_weights(1, 1)}, ("h",), _rnn)
LSTM_STEP = CellExercise("LSTM", {"x": (N, D), "h_prev": STATE, "c_prev": STATE, **_weights(4, 4)},
                         ("h", "c"), _lstm_step)
LSTM = CellExercise("LSTM", {"x": (N, T, D), "h0": STATE, "c0": STATE, **_weights(4, 4)},
                    ("h", "c_last"), _lstm)
GRU_STEP = CellExercise("GRU", {"x": (N, D), "h_prev": STATE, **_weights(3, 4)}, ("h",), _gru_step)


def judge_forward(names: Names, name: str, question: str, cell: CellExercise) -> Verdict:
    """Compare a student's forward with minilstm's."""
    function = student_function(names, name, question)
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
    outputs = [np.asarray(y) for y in got]
    if all(y.dtype.kind == "f" and y.shape == right.shape for y, right in zip(outputs, want)):
        named = _named_forward(function, got, outputs, cell)
        if named is not None:
            return named
    return Verdict(0.0, ("wrong_forward",), difference_in_words(got, want, cell.outputs),
                   f"{assignment_line(function, *cell.outputs)}: {question}")


def _named_forward(function: Any, got: Any, outputs: list[np.ndarray], cell: CellExercise) -> Verdict | None:
    """Return the verdict on a wrong forward where one can say what is wrong, else None."""
    for name in cell.sizes:
        doubled = [2 * value if key == name else value for key, value in zip(cell.sizes, cell.inputs())]
        if equal_results(function(*doubled)[:-1], got):
            return Verdict(0.0, ("wrong_forward",), f"{name} makes no difference",
                           f"{assignment_line(function, *cell.outputs)}: where does the equation have "
                           f"{name}?")
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
    wrong = next(now for now, line in zip(reading.cell.forward, CELLS[cell.name].forward) if now != line)
    return Verdict(0.0, ("wrong_forward",), f"exactly what {wrong} gives",
                   f"{assignment_line(function, *_variables(wrong.target))}: what does the exercise's "
                   "equation for this have, factor by factor?")


def judge_backward(names: Names, name: str, question: str, cell: CellExercise, forward: str) -> Verdict:
    """Check a student's backward; ``forward`` is the name of the function before it."""
    backward = student_function(names, name, question)
    try:
        own = student_function(names, forward, question)
    except Unanswered:
        return _checked(cell.forward, backward, cell, question)
    if _is_right(own, cell):
        return _checked(own, backward, cell, question)
    verdict = _checked(cell.forward, backward, cell, question)
    if verdict.score < 1.0 and _checked(own, backward, cell, question).score == 1.0:
        return Verdict(0.5, ("behind a wrong forward",), "it is the gradient of your own forward",
                       f"{assignment_line(own)}: which of its lines is not the equation?")
    return verdict


def _is_right(forward: Any, cell: CellExercise) -> bool:
    try:
        return equal_results(forward(*cell.inputs())[:-1], cell.forward(*cell.inputs())[:-1])
    except Exception:
        return False


def _checked(forward: Any, backward: Any, cell: CellExercise, question: str) -> Verdict:
    place, pair = assignment_line(backward), (forward, backward)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            report = gradcheck(pair, cell.inputs(), diagnose=False, raise_exception=False)
        except GradientError as error:
            if error.__cause__ is not None:
                return failed(backward.__name__, error.__cause__, question)
            return _wrong_gradient(str(error).splitlines()[0], place)
        except MinilstmError as error:
            return Verdict(0.0, ("not checked",), str(error), place)
        if report.right:
            return Verdict(1.0)
        if not report.wrong:
            return _of_side_effects(report.side_effects, place)
        try:
            found = diagnose(pair, cell.inputs(), seconds=SECONDS)
        except Exception:       # at other sizes it may raise anything
            found = Diagnosis(None)
    if found.side_effects and not found.slips:
        return _of_side_effects(found.side_effects, place)._replace(score=0.0)
    if found.smallest_t is None:
        return _wrong_gradient(f"the gradient of {', '.join(report.wrong)} is wrong", place)
    if not found.named:
        arrays = ", ".join(dict.fromkeys(part.array for part in found.wrong))
        T = found.smallest_t
        when = f"from {T} time steps on" if T > 1 else "already with one time step"
        return Verdict(0.0, ("no name",), f"wrong {when}: {arrays}", f"{place}: {question}")
    return _of_findings(found.slips, backward)


def _wrong_gradient(detail: str, place: str) -> Verdict:
    return Verdict(0.0, ("wrong gradient",), detail, f"{place}: which shape must each gradient have?")


def _of_side_effects(effects: Sequence[SideEffect], place: str) -> Verdict:
    """Return the verdict on a backward whose values are right."""
    mistake, words = MISTAKES.get(effects[0].mistake), "; and ".join(map(str, effects))
    if mistake is None or mistake.key in ("cache_changed", "upstream_written"):
        return Verdict(0.5, ("side effect",), words, f"{place}: what is written to?")
    return Verdict(0.5, (mistake.key,), words, f"{place}: {mistake.question}")


def _of_findings(found: Sequence[Finding], backward: Any) -> Verdict:
    """Return the verdict on a backward whose mistakes have been found; the hint is about the first."""
    keys = tuple(dict.fromkeys(map(_key, found)))
    first = MISTAKES.get(found[0].mistake)
    places = first.variables if first else ()
    if not places and found[0].parts:
        part = found[0].parts[0]
        places = _variables(part.array or part.name)
    question = first.question if first else ANY_QUESTION
    score = 0.5 if len(found) == 1 and keys != ("zero",) else 0.0
    words = "; and with: ".join(map(_without_answer, found))
    return Verdict(score, keys, f"exactly what one gets with: {words}",
                   f"{assignment_line(backward, *places)}: {question}")


def _key(finding: Finding) -> str:
    by_line = "wrong gradient" if finding.line is None else f"line {finding.line} of the derivation"
    return finding.mistake or by_line


def _without_answer(finding: Finding) -> str:
    """Return what stands in the student's code, without what should stand there."""
    words = finding.words(tell_right=False)
    return f"{', '.join(finding.arrays)}: {words}" if finding.arrays else words


def _variables(target: str) -> tuple[str, ...]:
    return VARIABLES.get(target, (target,))
