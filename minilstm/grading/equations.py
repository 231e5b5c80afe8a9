"""Judge a cell's functions: a forward against minilstm's own, a backward by gradcheck, the mistake named by the diagnosis.

A right backward must not be lost to a wrong forward. So a backward is tried behind the student's own forward and, if that is
wrong or missing, behind minilstm's, with a cache arranged as the exercise says.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minilstm.backend.errors import GradientError, MinilstmError
from minilstm.cells.gru import gru_step
from minilstm.cells.lstm import lstm_forward, lstm_step
from minilstm.cells.rnn import rnn_forward, rnn_step
from minilstm.gradients.diagnosis.derivation import CELLS
from minilstm.gradients.diagnosis.diagnose import Diagnosis, diagnose
from minilstm.gradients.diagnosis.habits import CLIPPED
from minilstm.gradients.diagnosis.recognition import recognise, recognise_wrong
from minilstm.gradients.gradcheck import gradcheck
from minilstm.grading.questions import HABITS, ZERO, asked, bare, named, shown
from minilstm.grading.verdict import Names, Unanswered, Verdict, failed, same, theirs, unlike, where

N, T, D, H = 3, 4, 5, 2         # all different, so that no transposed matrix passes
WRONG_FORWARD = "the forward is not the equations"
SECONDS = 2.5                   # for naming a mistake, at most; usual ones take less than 0.5 on an idle processor
# Where the exercises write what a name of the derivation, or a mistake, is about.
SPELLED = {"dc̃": ("dc_tilde",), "c̃_t": ("c_tilde",), "h_t": ("h",), "dh": ("dh_t",), "dx": ("dx", "dhx"),
           "dh0": ("dh_next", "dh"), "dh_prev": ("dh_prev", "dh_next", "dhx"), "dc0": ("dc_prev", "dc_next"),
           "dc_prev": ("dc_prev", "dc_next"), "the loop over time": ("for",)}
LOOKED_AT = {"dh of step t+1 is not added": ("dh_t",), "blocks of dz in another order": ("dz",),
             "the final state's gradient is ignored": ("dc_next", "dh_next")}


class Cell(NamedTuple):
    """One cell's part of a step: ``forward(*inputs) -> (*outputs, cache)`` is minilstm's, with the exercise's cache."""

    key: str                                    # in CELLS
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
RNN_STEP = Cell("rnn", {"x": (N, D), "h_prev": STATE, "W": (H + D, H), "b": (H,)}, ("h",), _rnn_step)
RNN = Cell("rnn", {"x": (N, T, D), "h0": STATE, "W": (H + D, H), "b": (H,)}, ("h",), _rnn)
LSTM_STEP = Cell("lstm", {"x": (N, D), "h_prev": STATE, "c_prev": STATE, "W": (H + D, 4 * H), "b": (4 * H,)}, ("h", "c"),
                 _lstm_step)
LSTM = Cell("lstm", {"x": (N, T, D), "h0": STATE, "c0": STATE, "W": (H + D, 4 * H), "b": (4 * H,)}, ("h", "c_last"), _lstm)
GRU_STEP = Cell("gru", {"x": (N, D), "h_prev": STATE, "W": (H + D, 3 * H), "b": (4 * H,)}, ("h",), _gru_step)


def judge_forward(names: Names, name: str, question: str, cell: Cell) -> Verdict:
    """Compare a student's forward with minilstm's."""
    function = theirs(names, name, question)
    want = cell.forward(*cell.inputs())[:-1]
    try:
        got = function(*cell.inputs())
    except Exception as error:
        return failed(name, error, question)
    if not isinstance(got, (tuple, list)) or len(got) != len(want) + 1:
        return Verdict(0.0, "returns something else", f"expected {', '.join(cell.outputs)} and the cache",
                       "the return line: what does the docstring promise?")
    got = tuple(got[:-1])
    if same(got, want):
        return Verdict(1.0)
    detail, place = unlike(got, want, cell.outputs), where(function, *cell.outputs)
    outputs = [np.asarray(y) for y in got]
    if all(y.dtype.kind == "f" and y.shape == right.shape for y, right in zip(outputs, want)):
        for k, name in enumerate(cell.sizes):
            if same(function(*(value * (1 + (k == j)) for j, value in enumerate(cell.inputs())))[:-1], got):
                return Verdict(0.0, WRONG_FORWARD, f"{name} makes no difference",
                               f"{place}: where does the equation have {name}?")
        inputs = dict(zip(cell.sizes, cell.inputs()))
        reading = recognise(inputs, {}, outputs)
        if reading is not None and reading.cell.name == CELLS[cell.key].name and "," not in reading.cell.key and (
                not reading.h_first or reading.order != tuple(range(len(reading.order)))):
            return Verdict(0.0, "another arrangement", f"it is the forward of {reading.words()}",
                           f"{where(function)}: in which order do the exercise's gates stand, and the rows of W?")
        reading = reading or recognise_wrong(inputs, {}, outputs, time.perf_counter() + SECONDS / 2)
        if reading is not None and reading.cell.name == CELLS[cell.key].name:
            wrong = next(now for now, line in zip(reading.cell.forward, CELLS[cell.key].forward) if now != line)
            detail, place = f"exactly what {wrong} gives", where(function, *_spelled(wrong.target))
            question = "what does the exercise's equation for this have, factor by factor?"
    return Verdict(0.0, WRONG_FORWARD, detail, f"{place}: {question}")


def judge_backward(names: Names, name: str, question: str, cell: Cell, forward: str) -> Verdict:
    """Check a student's backward; ``forward`` is the name of the function before it."""
    backward = theirs(names, name, question)
    try:
        own = theirs(names, forward, question)
    except Unanswered:
        return _checked(cell.forward, backward, cell, question)
    if _is_right(own, cell):
        return _checked(own, backward, cell, question)
    verdict = _checked(cell.forward, backward, cell, question)
    if verdict.score < 1.0 and _checked(own, backward, cell, question).score == 1.0:
        return Verdict(0.5, "right behind a wrong forward", "it is the gradient of your own forward",
                       f"{where(own)}: which of its lines is not the equation?")
    return verdict


def _is_right(forward: Any, cell: Cell) -> bool:
    try:
        return same(forward(*cell.inputs())[:-1], cell.forward(*cell.inputs())[:-1])
    except Exception:
        return False


def _checked(forward: Any, backward: Any, cell: Cell, question: str) -> Verdict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            gradcheck((forward, backward), cell.inputs(), diagnose=False)
            return Verdict(1.0)
        except GradientError as error:
            try:
                found = None if error.__cause__ else diagnose((forward, backward), cell.inputs(), seconds=SECONDS)
            except Exception:       # gradients that are wrong in their shapes
                found = None
            return _of_error(error, found, backward, question)
        except MinilstmError as error:
            return Verdict(0.0, "cannot be checked", str(error), where(backward))


def _of_error(error: GradientError, found: Diagnosis | None, backward: Any, question: str) -> Verdict:
    """Return the verdict behind what gradcheck and the diagnosis say."""
    if error.__cause__ is not None:
        return failed(backward.__name__, error.__cause__, question)
    first, place = str(error).splitlines()[0].partition(": ")[2], where(backward)
    values, but, habit = first.partition(", but ")
    if but and "clipped" in habit:
        return Verdict(0.5, HABITS[CLIPPED], habit, f"{place}: {asked(HABITS[CLIPPED])}")
    if but and values.startswith("every gradient"):
        return Verdict(0.5, "right, with a bad habit", habit, f"{place}: what is written to?")
    if found is not None and found.habits and not found.slips:
        mistake = HABITS[found.habits[0]]
        return Verdict(0.0, mistake, "; ".join(found.habits), f"{place}: {asked(mistake)}")
    if found is None or found.cell is None or found.smallest_t is None:
        return Verdict(0.0, "a wrong gradient", first, f"{place}: which shape must each gradient have?")
    if not found.named:
        T, wrong = found.smallest_t, ", ".join(bare(*found.wrong))
        detail = f"wrong {'already with one time step' if T == 1 else f'from {T} time steps on'}: {wrong}"
        return Verdict(0.0, "not one that has a name", detail, f"{place}: {question}")
    mistakes = list(dict.fromkeys(named(found.cell, slip) for slip in found.slips))
    places = LOOKED_AT.get(mistakes[0]) or _spelled(bare(found.slips[0].where)[0])
    score = 0.5 if len(found.slips) == 1 and mistakes != [ZERO] else 0.0
    return Verdict(score, "; ".join(mistakes), "exactly what one gets with: " + "; and with: ".join(map(shown, found.slips)),
                   f"{where(backward, *places)}: {asked(mistakes[0], found.cell)}")


def _spelled(target: str) -> tuple[str, ...]:
    return SPELLED.get(target, (target, target.removesuffix("_t")))
