"""``python -m minilstm gradcheck`` on a file of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from minilstm.__main__ import main

CELL = """
import numpy as np
import minilstm as ml

class Scale(ml.Module):
    def __init__(self, size, factor=1.0):
        super().__init__()
        self.factor = factor
        self.add_param("w", np.ones(size))
    def forward(self, x):
        self.push(x)
        return x * self.params["w"]
    def backward(self, dy):
        x = self.pop()
        self.grads["w"] += self.factor * (dy * x).sum(axis=tuple(range(x.ndim - 1)))
        return dy * self.params["w"]

def broken():
    raise ValueError("on purpose")
"""


@pytest.fixture
def cell(tmp_path: Path) -> str:
    path = tmp_path / "my_cell.py"
    path.write_text(CELL, encoding="utf-8")
    return str(path)


def test_a_right_cell_is_0_and_a_wrong_one_1(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", f"{cell}:Scale", "3", "--shape", "4,3"]) == 0
    assert "15 entries agree" in capsys.readouterr().out
    assert main(["gradcheck", f"{cell}:Scale", "3", "2.0"]) == 1
    assert "2 times too large" in capsys.readouterr().err


@pytest.mark.parametrize(("target", "words"), [
    ("{}:Missing", "defines no Missing"), ("{}", "expected FILE.py:Class"), ("nothing.py:Cell", "no such file"),
    ("{}:broken", "ValueError: on purpose"), ("{}:Scale", "TypeError")])
def test_what_cannot_be_tried_is_one_line_and_2(target: str, words: str, cell: str,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", target.format(cell)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
