"""Every form has its words, and every mistake that a form or an edit names is in the table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from minilstm.gradients.diagnosis import findings, wrong_lines
from minilstm.gradients.diagnosis.derivation import CELLS, VARIANTS, Cell
from minilstm.gradients.diagnosis.findings import FORMS, Finding, Part
from minilstm.gradients.diagnosis.mistakes import MISTAKES
from minilstm.gradients.targets.side_effects import KINDS


@pytest.mark.parametrize("cell", [*CELLS.values(), *VARIANTS])
def test_every_edit_is_told(cell: Cell) -> None:
    lines = [edit for line in cell.backward for edit in wrong_lines.edits(cell, line.number or 0)]
    for edit in (*lines, *wrong_lines.carries(cell), *wrong_lines.PASSES):
        finding = edit.finding
        assert "%" not in str(finding) and (not finding.mistake or finding.mistake in MISTAKES)
        assert len(finding.values) == "".join(FORMS[finding.form][1:]).count("%s")
        assert str(edit.later().finding).count("at t > 0") == 1


def test_the_tables_agree() -> None:
    named = {form.mistake for form in FORMS.values()} | {kind.mistake for kind in KINDS.values()} - {""}
    assert named - {""} <= set(MISTAKES) and all(key == mistake.key for key, mistake in MISTAKES.items())
    folder = Path(findings.__file__).parent
    written = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py") if file.stem != "findings")
    assert set(re.findall(r'"([^"\n]*)"', written)) >= set(FORMS)


def test_the_answer_is_told_on_request_alone() -> None:
    where = (Part("dW_h", "f", "dW"), Part("dW_h", "i", "dW"))
    found = Finding("instead", ("x_{t-1}", "x_t"), line=2, right="dW = ...", parts=where)
    assert found.words(tell_right=False) == "x_{t-1} is used" and found.arrays == ["dW"]
    assert str(found) == ("dW_h of gate f, dW_h of gate i: x_{t-1} is used where x_t belongs; line 2 of the derivation says "
                          "dW = ...")


def test_python_without_docstrings_still_names_a_mistake() -> None:
    code = ("import numpy as np, minilstm as ml; ml.gradcheck; rng = np.random.default_rng(0)\n"
            "def backward(dh, dc, cache):\n    return ml.lstm_backward(dh, 0 * dc, cache)\n"
            "print(ml.diagnose((ml.lstm_forward, backward), tuple(rng.standard_normal(s) for s in "
            "((2, 4, 3), (2, 5), (2, 5), (8, 20), (20,)))).slips[0].mistake)")
    done = subprocess.run([sys.executable, "-OO", "-c", code], capture_output=True, text=True)
    assert done.stdout == "final_state_ignored\n", done.stderr
