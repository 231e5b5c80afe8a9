"""Of no single file: students' code in many styles: right code is recognised, and planted bugs are named by lines that
a reader would name.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from zoo_cases import BUGS, SIZES, STYLES, Bug, Style, load
from zoo_more_cases import MORE_BUGS, MORE_STYLES

import minilstm as ml
from minilstm.gradients.diagnosis.diagnose import Diagnosis, diagnosis_of
from minilstm.gradients.diagnosis.findings import Finding
from minilstm.gradients.targets.make import make_target
from minilstm.gradients.targets.side_effects import SideEffect

ALL = STYLES | MORE_STYLES
# One function that returns loss and gradients together: not a form that gradcheck takes.
TAKEN = {name: style for name, style in ALL.items() if style.kind != "loss and gradients"}
UNNAMED = {     # formulas that nobody would guess, or that concern the gradient of one operation in a framework of blocks
    "The forget gate is paired with the cell's change over the step: a formula nobody would guess.",
    "f and 1 - tanh(c) stand in place of tanh'(c): a formula nobody would guess.",
    "The sum kept + written is thought to share its gradient out, half to each.",
    "The reset gate's gradient skips the candidate's matrix.",
    "The gates' kernel is paired with r * h in place of h."}


def diagnosed(style: Style, bug: Bug | None = None) -> Any:
    target, inputs = style.make(load(style, bug), np.random.default_rng(0), SIZES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Time enough that a busy machine does not change the verdict.
        return diagnosis_of(make_target(target, inputs, {}), 0.5 if bug and bug.about in UNNAMED else 8.0)


def is_right(diagnosis: ml.Diagnosis, bug: Bug) -> bool:
    """A name is right if its lines are among those a reader may point at, or if the derivation has no line for it."""
    found = [slip.line for slips in (diagnosis.slips, *diagnosis.others) for slip in slips]
    return not bug.lines or None in found or bool(bug.lines & set(found))


@pytest.mark.parametrize("name", TAKEN)
def test_right_code_is_recognised(name: str) -> None:
    right = diagnosed(TAKEN[name])
    assert right.cell == TAKEN[name].cell.upper() and right.smallest_t is None and not right.slips and not right.side_effects


@pytest.mark.reliability        # 20 s of processor time
@pytest.mark.parametrize("name", TAKEN)
def test_bugs_are_named(name: str) -> None:
    style = TAKEN[name]
    wrong, unnamed = [], set()
    for bug in (bug for bug in BUGS + MORE_BUGS if bug.style == name and bug.differs):
        found = diagnosed(style, bug)
        if not found.named:
            unnamed.add(bug.about)
        elif not is_right(found, bug):
            wrong.append((bug.about, sorted(bug.lines), str(found)))
    assert not wrong and unnamed == UNNAMED & {bug.about for bug in MORE_BUGS if bug.style == name}


@pytest.mark.parametrize("bug", [bug for bug in BUGS + MORE_BUGS if bug.kind == "forward" and not bug.differs],
                         ids=lambda bug: bug.style)
def test_a_forward_that_is_wrong_together_with_its_backward_is_named(bug: Bug) -> None:
    found = diagnosed(ALL[bug.style], bug)
    assert found.named and found.smallest_t is None
    assert found.slips and all(slip.mistake == "wrong_forward" for slip in found.slips)


def test_gradcheck_says_it() -> None:
    bug = next(bug for bug in BUGS if bug.style == "textbook_lstm" and bug.lines == {6})
    target, inputs = ALL[bug.style].make(load(ALL[bug.style], bug), np.random.default_rng(0), SIZES)
    with pytest.raises(ml.GradientError, match="line 6 of the derivation says dz_f = df") as caught:
        ml.gradcheck(target, inputs)
    assert caught.value.diagnosis.slips[0].line == 6 and caught.value.diagnosis.cell == "LSTM"
    with pytest.raises(ml.GradientError) as caught:
        ml.gradcheck(target, inputs, diagnose=False)
    assert caught.value.diagnosis is None and "derivation" not in str(caught.value)


def test_another_cell_is_not_named() -> None:
    def forward(x: Any, w: Any) -> Any:
        return np.sin(x) * w, (x, w)

    def backward(dy: Any, cache: Any) -> Any:
        x, _ = cache
        return dy * np.cos(x), (dy * np.sin(x)).sum((0, 1))
    found = ml.diagnose((forward, backward), (np.random.default_rng(0).standard_normal((2, 3, 4)), np.ones(4)))
    assert found.cell is None and not found.named and "cannot be named" in str(found)


def test_a_notebook_shows_the_sentences() -> None:
    slip = Finding("formula", ("dz_f", "df <b>"), line=6, right="dz_f = df * f * (1 - f)")
    found = Diagnosis("LSTM", "an LSTM", 1, True, (slip,), side_effects=(SideEffect("overwritten", ("dh",)),))
    assert found._repr_html_() == (
        "<p>Diagnosis</p><ul><li>the forward is that of an LSTM</li><li>it is exactly what you get with dz_f = df &lt;b&gt;; "
        "line 6 of the derivation says dz_f = df * f * (1 - f)</li><li>the derivation: help(minilstm.cells.lstm)</li>"
        "<li>dh was overwritten; "
        "forward and backward must not write into their inputs</li></ul>")
