"""``python -m minilstm gradcheck`` on a file of the user's."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import zoo_cases as zoo

import minilstm as ml
from minilstm.__main__ import main
from minilstm.gradients.diagnosis.derivation import CELLS
from minilstm.gradients.diagnosis.mistakes import ANY, MISTAKES

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
    printed = capsys.readouterr().out
    assert "2 times too" in printed and "WRONG" in printed and max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(("target", "words"), [
    ("{}:Missing", "defines no Missing"), ("{}", "expected FILE:NAME"), ("nothing.py:Cell", "no such file"),
    ("{}:broken", "ValueError: on purpose"), ("{}:Scale,x,y", "expected FILE:NAME"), ("{}:Scale 3 4 5", "TypeError")])
def test_what_cannot_be_tried_is_one_line_and_2(target: str, words: str, cell: str,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", *target.format(cell).split()]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


MORE = CELL + """
made = Scale(3)
right = (lambda x: (x * x, x), lambda dy, x: 2 * dy * x)
wrong = (lambda x: (x * x, x), lambda dy, x: dy * x)
two = (lambda x, h: (x * h, (x, h)), lambda dy, cache: (dy * cache[1], dy * cache[0]))

class Leaves(Scale):
    def forward(self, x):
        raise SystemExit(0)

class Waits(Scale):
    def forward(self, x):
        raise KeyboardInterrupt

class Real(Scale):
    def forward(self, x):
        return super().forward(x.real)
"""


@pytest.fixture
def more(tmp_path: Path) -> str:
    path = tmp_path / "more_cells.py"
    path.write_text(MORE, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("target", "arguments", "status", "words"), [
    ("Scale", ["--shape", "2,5,3", "3"], 0, "33 entries agree"), ("Scale", ["3", "--shape", "2,5,3"], 0, "33 entries agree"),
    ("made", [], 0, "27 entries agree"), ("made", ["3"], 2, "takes no ARG"), ("right", [], 0, "24 entries agree"),
    ("wrong", [], 1, "wrong"), ("two", ["--array", "h=2,4,3"], 0, "48 entries agree"), ("Leaves", ["3"], 2, "SystemExit"),
    ("Waits", ["3"], 2, "KeyboardInterrupt"), ("Real", ["3", "--method", "complex"], 2, "complex")])
def test_what_is_named_is_checked_as_it_is(target: str, arguments: list[str], status: int, words: str, more: str,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", f"{more}:{target}", *arguments]) == status
    captured = capsys.readouterr()
    assert words in captured.out + captured.err
    if status not in (0, 1):
        assert captured.err.strip().count("\n") == 0


@pytest.mark.parametrize("arguments", [["--tokens", "0"], ["--tokens=-1"], ["--seed=-1"], ["--shape", "99999,99999,99999"],
                                       ["--shape", "0"], ["--shape", "a"], ["--method", "guess"], ["--seed", "x"]])
def test_bad_options_are_one_line_and_2(arguments: list[str], cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", f"{cell}:Scale", *arguments, "3"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"argument {arguments[0].partition('=')[0]}" in error


def test_commands_are_listed_and_the_version_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["-h"]):
        assert main(words) == 0
        printed = capsys.readouterr().out
        assert "gradcheck" in printed and "doctor" in printed and "--version" in printed
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"minilstm {ml.__version__}\n"
    assert main(["gradchek", "cell.py:Cell"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "gradchek" in error and "gradcheck, doctor" in error


@pytest.mark.parametrize("command", ["gradcheck", "grade", "doctor", "mistakes"])
def test_a_commands_usage_has_its_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main([command, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: python -m minilstm {command} ")


def test_the_catalogue_fits_a_terminal_and_its_lines_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mistakes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(2 + bool(mistake.seen) for mistake in MISTAKES.values()) and max(map(len, lines)) <= 80
    assert all(mistake.question.endswith("?") for mistake in MISTAKES.values())
    for mistake in (mistake for mistake in MISTAKES.values() if mistake.cell != ANY):
        cell = CELLS[mistake.cell]
        numbers = {line.number for line in (*cell.backward, *cell.sums, *cell.products)}
        assert set(mistake.lines) <= numbers


def test_a_wrong_forward_with_its_gradients_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bug = next(bug for bug in zoo.BUGS if bug.kind == "forward" and not bug.differs)
    path = tmp_path / "student.py"
    path.write_text(zoo.source(bug.style, bug), encoding="utf-8")
    names = [line[4:].partition("(")[0] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("def ")]
    assert main(["gradcheck", f"{path}:{names[-2]},{names[-1]}"]) == 0
    assert "the gradients are right, but they are not those of the" in capsys.readouterr().out


def test_the_readmes_mistake_is_told_as_printed_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "student.py"
    path.write_text(zoo.source("cs231n_lstm").replace("df = dc * prev_c", "df = dc * next_c"), encoding="utf-8")
    assert main(["gradcheck", f"{path}:lstm_forward,lstm_backward"]) == 1
    found = capsys.readouterr().out
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"```text\n{found[found.index('diagnosis:'):]}```" in readme


def test_json_is_for_programs(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradcheck", f"{cell}:Scale", "3", "2.0", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == 1 and found["status"] == "wrong" and found["diagnosis"]["cell"] is None
    assert {tensor["name"]: tensor["right"] for tensor in found["tensors"]} == {"x": True, "w": False}
    assert main(["gradcheck", f"{cell}:Missing", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "not run" and "defines no Missing" in found["message"] and found["tensors"] == []


def test_a_file_that_exits_is_one_line_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "leaving.py"
    path.write_text("raise SystemExit(0)\n", encoding="utf-8")
    assert main(["gradcheck", f"{path}:Cell"]) == 2
    assert "cannot be imported: SystemExit" in capsys.readouterr().err
