"""Every exercise: its solution gets 100 %, the blank file 0 %, and typical wrong answers get their mistake named."""

from __future__ import annotations

import ast
import inspect
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from wrong_answers import WRONG

from minilstm.exercises import answers, cell_answers, cells, kinds, numbers
from minilstm.exercises.numbers import Task
from minilstm.exercises.steps import STEPS, Graded, grade, steps_in
from minilstm.exercises.verdict import BLANKS, blanks
from minilstm.gradients.diagnosis.mistakes import ANY, MISTAKES

EXERCISES = Path(__file__).parents[2] / "examples" / "exercises"
FILES = {number: EXERCISES / f"{step.stem}.py" for number, step in enumerate(STEPS, 1)}
NUMBERS = sorted(FILES)
SIGMOID = "\n\ndef sigmoid(z):\n    return 0.5 * (1 + np.tanh(0.5 * z))\n"


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not change what is named."""
    monkeypatch.setattr(cells, "SECONDS", 10.0)


def solution(number: int) -> Path:
    return EXERCISES / "solutions" / FILES[number].name


def graded(path: Path, number: int) -> list[Graded]:
    return grade(runpy.run_path(str(path)), STEPS[number - 1])


@pytest.mark.parametrize("number", NUMBERS)
def test_a_solution_gets_everything(number: int) -> None:
    got = graded(solution(number), number)
    assert [one.score for one in got] == [one.points for one in got] and sum(one.points for one in got) == 10
    assert not any(one.mistake or one.hint for one in got)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_blank_gets_nothing_and_a_first_question(number: int) -> None:
    for one in graded(FILES[number], number):
        assert one.score == 0 and one.mistake == "not written yet" and one.hint.startswith("line ")
        assert one.hint.endswith("?")


def functions(path: Path) -> dict[str, list[str]]:
    text = path.read_text(encoding="utf-8")
    return {node.name: text.splitlines()[node.lineno - 1:node.end_lineno] for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("number", NUMBERS)
def test_exercise_and_solution_differ_in_the_blanks_alone(number: int) -> None:
    blank, solved = functions(FILES[number]), functions(solution(number))
    for function in STEPS[number - 1].functions:
        pairs = zip(blank[function.name], solved[function.name], strict=True)
        assert all("..." in b and "..." not in s for b, s in pairs if b != s)


@pytest.mark.parametrize("number", NUMBERS)
def test_what_answers_are_compared_with_is_the_solution(number: int) -> None:
    """And a mistake is made by changing what stands there once."""
    def body(source: str) -> list[str]:
        statements: list[Any] = ast.parse(source).body[0].body      # type: ignore[attr-defined]
        return [ast.dump(one) for one in statements if not isinstance(getattr(one, "value", None), ast.Constant)]
    for function in STEPS[number - 1].functions:
        right = getattr(answers, function.name, None) or getattr(cell_answers, function.name)
        assert body(inspect.getsource(right)) == body("\n".join(functions(solution(number))[function.name]))
    for task in (task for task in vars(answers).values() if isinstance(task, Task)):
        source = inspect.getsource(task.right)
        assert all(source.count(old) == 1 for wrong in task.wrongs for old in wrong.changes)


FIRST = {number: answer for number, *answer in reversed(WRONG)}        # of each step; the others are slow, all together


@pytest.mark.parametrize("number, right, wrong, mistake", [
    pytest.param(number, *answer, marks=() if FIRST[number] == answer else pytest.mark.slow) for number, *answer in WRONG])
def test_a_wrong_answer_is_named(number: int, right: str, wrong: str, mistake: str, tmp_path: Path) -> None:
    text = solution(number).read_text(encoding="utf-8")
    assert text.count(right) == 1
    path = tmp_path / FILES[number].name
    helped = text.replace(right, wrong) + SIGMOID * ("sigmoid" in wrong and "def sigmoid" not in text)
    path.write_text(helped, encoding="utf-8")
    wrongs = [one for one in graded(path, number) if one.mistake]
    assert [one.mistake for one in wrongs] == [mistake]
    one = wrongs[0]
    assert one.score < one.points and one.hint.endswith("?")
    assert right in wrong or right not in f"{one.detail} {one.hint}"


def test_five_wrong_answers_for_each() -> None:
    assert min(Counter(number for number, *_ in WRONG).values()) >= 5 and {number for number, *_ in WRONG} == set(NUMBERS)


def test_every_name_is_tried() -> None:
    tried = {mistake for *_, mistake in WRONG}
    rare = {"truncation", "dc_prev_with_another_f", "not_transposed", "p_without_y", "mask_drawn_again", "cache_changed",
            "upstream_written", "zero"}         # by the zoo, or below
    named = {mistake.name for key, mistake in MISTAKES.items() if key not in rare and mistake.cell != ANY}
    assert named <= tried
    tasks = [task for task in vars(answers).values() if isinstance(task, Task)]
    assert len(tasks) == 11 and {wrong.name for task in tasks for wrong in task.wrongs} <= tried


def test_steps_are_found_by_name() -> None:
    def names(text: str, file: str = "") -> list[str]:
        return [step.name for step in steps_in(text, file)]
    both = "def lstm_step(x):\n    pass\nadam_step = None"
    assert names(both) == ["step03", "step07"] and names(both, "step05_lstm_through_time.py") == ["step05"]
    assert names("from mine import pad") == ["step08"] and names('"cells": ["def pad(x):\\n"]') == ["step08"]
    assert names("", "ada_12_step05.py") == ["step05"]
    assert names("") == names("rnn_step(x)", "step010.py") == names("if pad == 1: pass") == []


def test_a_right_backward_is_not_lost_to_a_wrong_forward(tmp_path: Path) -> None:
    path = tmp_path / FILES[1].name
    text = solution(1).read_text(encoding="utf-8").replace("h = np.tanh(hx @ W + b)", "h = np.tanh(hx @ W + 2 * b)")
    path.write_text(text, encoding="utf-8")
    assert [one.score for one in graded(path, 1)] == [0, 6]
    path.write_text(text.replace("np.tanh(", "np.sin(").replace("1 - h * h", "np.cos(np.arcsin(h))"), encoding="utf-8")
    assert [(one.score, one.mistake) for one in graded(path, 1)][1][0] <= 3


@pytest.mark.parametrize("line", [
    "import minilstm as ml; rnn_step = ml.rnn_step; rnn_step_backward = ml.rnn_step_backward",
    "from minilstm.cells.rnn import rnn_step as one; import minilstm.cells.rnn as r\n"
    "def rnn_step(*a): return one(*a)\ndef rnn_step_backward(*a): return r.rnn_step_backward(*a)",
    "import minilstm, functools; rnn_step = functools.partial(getattr(minilstm, 'rnn_' + 'step'))\n"
    "rnn_step_backward = lambda *a: eval('minilstm.rnn_step_backward')(*a)",
])
def test_minilstms_own_answer_scores_nothing(line: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(line, encoding="utf-8")
    for one in graded(path, 1):
        assert one.score == 0 and one.mistake == "minilstm's own answer" and "minilstm's rnn_step" in one.detail


def test_checking_oneself_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(solution(1).read_text(encoding="utf-8") + "\nimport minilstm as ml\n"
                    "ml.gradcheck((rnn_step, rnn_step_backward), (np.ones((2, 3)), np.ones((2, 4)), np.ones((7, 4)), "
                    "np.ones(4)))\nassert ml.sigmoid(np.zeros(1)) == 0.5\n"
                    "h, _ = ml.rnn_step(np.ones((2, 3)), np.ones((2, 4)), np.ones((7, 4)), np.ones(4))\n", encoding="utf-8")
    assert sum(one.score for one in graded(path, 1)) == 10


@pytest.mark.parametrize("line, mistake, score", [
    ("dh *= 1 - h * h; dz = dh", "right, with a bad habit", 3), ("dz = 0 * dh", "a gradient stays zero", 3),
    ("dz = dh * (1 - h * h) + 0.1", "a term too many", 3),
    ("dz = dh * (1 - h)\n    hx = np.hstack([h, hx[:, h.shape[1]:]])",
     "tanh' of the activated value; h_t for h_{t-1} in dW", 0)])
def test_habits_and_zeros(line: str, mistake: str, score: float, tmp_path: Path) -> None:
    path = tmp_path / FILES[1].name
    path.write_text(solution(1).read_text(encoding="utf-8").replace("dz = dh * (1 - h * h)", line), encoding="utf-8")
    assert [(one.mistake, one.score) for one in graded(path, 1)][1] == (mistake, score)


@pytest.mark.parametrize("step, old, new, name", [
    (1, "dz = dh * (1 - h * h)", "dz = dh * (1 + h * h)", "a sign"),
    (4, "df = dc * c_prev", "df = dc * tanh_c", "another value belongs here"),
    (7, "m = beta1 * m + (1 - beta1) * g", "m = beta1 * m + g", "a factor is missing"),
    (10, "min(1.0, max_norm / norm)", "max(1.0, max_norm / norm)", "another function belongs here"),
    (10, "if survival(a, bias) >= share", "if survival(a, bias) > share", "another operator belongs here")])
def test_a_line_that_is_proved_wrong_has_the_name_of_what_repairs_it(step: int, old: str, new: str, name: str,
                                                                     tmp_path: Path) -> None:
    text = solution(step).read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = tmp_path / FILES[step].name
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert [one.mistake for one in graded(path, step) if one.score < one.points] == [name]


def test_who_overwrites_the_callers_array_and_who_computes_in_float32(tmp_path: Path) -> None:
    path = tmp_path / FILES[8].name
    text = solution(8).read_text(encoding="utf-8")
    old = "dh_t = dh + np.where(r, dout[:, t], 0)"
    path.write_text(text.replace(old, "dh += np.where(r, dout[:, t], 0); dh_t = dh"), encoding="utf-8")
    last = graded(path, 8)[-1]
    assert (last.mistake, last.score) == ("right, with a bad habit", 2) and "dh_last is overwritten" in last.detail
    path = tmp_path / FILES[1].name
    single = "np.tanh(np.float32(hx) @ np.float32(W) + np.float32(b)).astype(float)"
    text = solution(1).read_text(encoding="utf-8").replace("np.tanh(hx @ W + b)", single)
    path.write_text(text, encoding="utf-8")
    assert graded(path, 1)[0].score == 4


def test_a_forward_without_a_name_is_told_from_which_step_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "SECONDS", 0.1)
    path = tmp_path / FILES[5].name
    path.write_text(solution(5).read_text(encoding="utf-8").replace("[:, t], h, c, W, b)", "[:, t], h, c0, W, b)"),
                    encoding="utf-8")
    forward, backward = graded(path, 5)
    assert forward.detail == "h, c_last are wrong from t = 1 on" and "h, c, cache = lstm_step(" in forward.hint
    assert forward.score == 0 and backward.score == 6


def test_an_exercise_grades_itself(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FILES[6]), run_name="__main__")
    assert ended.value.code == 1 and "step06 embedding: 0 of 10" in capfd.readouterr().out


def test_arguments_may_have_other_names(tmp_path: Path) -> None:
    path = tmp_path / FILES[1].name
    text = solution(1).read_text(encoding="utf-8").replace("(x, h_prev, W, b)", "(x_t, before, weights, bias)")
    text = text.replace("[h_prev, x]", "[before, x_t]").replace("hx @ W + b)", "hx @ weights + bias)")
    text = text.replace("h, W)\n", "h, weights)\n", 1)
    path.write_text(text, encoding="utf-8")
    assert [one.score for one in graded(path, 1)] == [4, 6]


def test_errors_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / FILES[1].name
    path.write_text(solution(1).read_text(encoding="utf-8").replace("db = dz.sum(axis=0)", "db = dz @ hx")
                    .replace("return h, (hx, h, W)", "return h"), encoding="utf-8")
    forward, backward = graded(path, 1)
    assert forward.mistake == "returns something else" and backward.mistake == "stops with an error"
    assert "line 26, db = dz @ hx: which shapes meet here?" == backward.hint


def test_an_ellipsis_that_is_no_blank(tmp_path: Path) -> None:
    path = tmp_path / FILES[1].name
    path.write_text(solution(1).read_text(encoding="utf-8").replace(
        "dz = dh * (1 - h * h)", "every = (..., slice(None))\n    try:\n        dz = dh[every] * (1 - h * h)\n"
        "    except AssertionError: ..."), encoding="utf-8")
    assert [one.score for one in graded(path, 1)] == [4, 6]


# (step, what the solution has, what stands there instead, points of the functions, what the hint quotes)
POINTED_AT = (
    (9, "q = from_h[:, 2 * H:] + b[3 * H:]", "q = (r * h_prev) @ W[:H, 2 * H:] + b[3 * H:]", [0, 6], None),
    (9, "dh_prev = dh * z  ", "dh_prev = np.zeros_like(dh)  ", [4, 3], "line 35, dh_prev = np.zeros_like(dh)"),
    (5, "dc_next = dc_last", "dc_next = np.zeros((N, H))", [4, 3], None),
    (5, "dh_next, dc_next, dW_t, db_t = lstm", "dh_next, _, dW_t, db_t = lstm", [4, 3], "line 60, dx[:, t], dh_next, _"),
    (5, "caches[t])", "caches[-1])", [4, 3], "caches[-1])"),
    (5, "reversed(range(T))", "range(T)", [4, 3], "for t in range(T)"),
    (5, "dhx[:, :H], dc * f, hx", "dhx[:, :H], dc, hx", [4, 3], "return dhx[:, H:], dhx[:, :H], dc, hx"),
    (5, "x[:, t], h, c, W, b)", "x[:, t], h0, c, W, b)", [0, 6], "lstm_step(x[:, t], h0, c, W, b)"),
    (5, "out[:, t] = h", "out[:, t] = c", [0, 6], None), (4, "db = dz.sum(axis=0)", "db = dz", [5], None),
    (4, "dW = hx.T @ dz", "dW = dz.T @ hx", [5], None), (4, "dhx = dz @ W.T", "dhx = dz @ W", [5], None),
    (4, "dc = dc + dh", "dc += dh", [5], "line 18, dc += dh"),
    (2, "dz = dh_t * (1 - h[:, t + 1] ** 2)", "dz = dh_t * (1 - h[:, t] ** 2)", [4, 3], None),
    (1, "h = np.tanh(hx @ W + b)", "h = np.tanh(hx @ W + b).astype(np.float32)", [4, 6], ""),
    (1, "return h, (hx, h, W)", "return h, (hx, h.astype(np.float32), W)", [4, 6], ""),
    (1, "return h, (hx, h, W)", "return h, (hx, hx @ W + b, W)", [4, 6], ""))


@pytest.mark.parametrize("number, right, wrong, points, quoted", [
    pytest.param(*case, marks=pytest.mark.slow if case[0] == 5 and case[4] is not None else ()) for case in POINTED_AT])
def test_hints_quote_the_wrong_line(number: int, right: str, wrong: str, points: list[float], quoted: str | None,
                                    tmp_path: Path) -> None:
    """One wrong line costs the same, whatever it changes; a right backward pays for no forward."""
    path = tmp_path / FILES[number].name
    text = solution(number).read_text(encoding="utf-8")
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    got = graded(path, number)
    assert [one.score for one in got] == points
    assert (wrong.strip() if quoted is None else quoted) in "".join(one.hint for one in got)


@pytest.mark.parametrize("right, wrong", [
    ("dz = dh * (1 - h * h)", "slope = 1 + h * h\n    dz = dh * slope"),                    # which of the two is not known
    ("dz = dh * (1 - h * h)", "def slope():\n        return 1 + h * h\n    dz = dh * slope()"),
    ("dz = dh * (1 - h * h)", "dz = other(h) * 2\n\n\ndef other(h):\n    return 1")])       # more than one change
def test_where_nothing_is_proved_no_line_is_quoted(right: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / FILES[1].name
    before, after = solution(1).read_text(encoding="utf-8").split(right)
    inside, _, helper = wrong.partition("\n\n\n")
    path.write_text(f"{before}{inside}{after}\n\n{helper}\n", encoding="utf-8")
    hint = graded(path, 1)[1].hint
    assert hint.startswith("rnn_step_backward: ") and hint.endswith("?")


OWN_WAY = """
def rnn_backward(dh, cache):
    x, h, W = cache
    N, T, H = dh.shape
    dW, db, dxs, carry = 0, 0, [], np.zeros((N, H))
    for t in range(T)[::-1]:
        dz = (dh[:, t] + carry) * (1 - h[:, t + 1] ** 2)
        dW = dW + np.hstack([h[:, t], x[:, t]]).T @ dz
        db = db + dz.sum(0)
        back = dz @ W[:H].T
        carry = back
        dxs.insert(0, dz @ W[H:].T)
    return np.stack(dxs, axis=1), carry, dW, db
"""


@pytest.mark.parametrize("right, wrong, mistake, hint", [
    ("dz = (", "dz = (", "", ""),
    ("dxs.insert(0, dz @ W[H:].T)", "dxs.insert(0, dz @ W[-H:].T)", "a wrong gradient", "line 16, dxs.insert(0, dz @ W["),
    ("h[:, t], x[:, t]]", "h[:, t], x[:, t - 1]]", "an index", "line 12, dW = dW + np.hstack([h[:, t], x[:, t - 1]])"),
    ("carry, dW", "dW, carry", "the order", "rnn_backward: "),      # or its two have the other's name
    ("        carry = back\n", "", "dh of step t+1 is not added", "rnn_backward: "),           # it stands nowhere
    ("db = db + dz.sum(0)", "db = db + dz.sum(0)\n        db = 2 * db", "a line too many", "line 14, db = 2 * db: ")])
def test_an_answer_in_ones_own_way(right: str, wrong: str, mistake: str, hint: str, tmp_path: Path) -> None:
    """The change that makes it right names the mistake, and its line where no other would do."""
    assert OWN_WAY.count(right) == 1
    path = tmp_path / FILES[2].name
    path.write_text(f"import numpy as np\n\nrnn_forward = None\n\n{OWN_WAY.replace(right, wrong)}", encoding="utf-8")
    one = graded(path, 2)[1]
    assert one.mistake == mistake and one.hint.startswith(hint) and one.score == (6, 3)[bool(mistake)]


def test_a_slow_answer_is_not_run_a_thousand_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILES[2].name
    path.write_text(f"import numpy as np\n{OWN_WAY.replace('** 2', '** 3')}", encoding="utf-8")
    assert graded(path, 2)[1].hint.startswith("line 8, dz = ")
    monkeypatch.setattr(kinds, "SECONDS", 0.0)
    assert graded(path, 2)[1].hint.startswith("rnn_backward: ")


def test_what_was_called_is_shown_where_only_some_numbers_are_wrong() -> None:
    def pad(sequences: Any) -> Any:
        tokens, lengths = answers.pad(sequences)
        return tokens[:, :4], lengths
    one = grade({"pad": pad}, STEPS[7])[0]
    assert one.detail == ("tokens has shape (3, 4), expected (3, 7) for "
                          "sequences = [[1], [2], [3, 3, 3, 3, 3, 3, 3]]")


def test_a_stub_is_no_written_line(tmp_path: Path) -> None:
    path = tmp_path / FILES[3].name
    path.write_text("def lstm_step(x, h_prev, c_prev, W, b):\n    ...\n", encoding="utf-8")
    assert graded(path, 3)[0].detail == "1 blank left"


@pytest.mark.parametrize("number, lines, function, detail, hint", [
    (4, {"db = dz.sum(axis=0)": "db = ..."}, 0, "12 of 13 lines written, those are right",
     "line 29, db = ...: To how many rows was b added?"),
    (4, {"do = dh * tanh_c": "do = ..."}, 0, "12 of 13 lines written, those are right",
     "line 17, do = ...: What does o_t multiply in h_t?"),
    (4, {"db = dz.sum(axis=0)": "db = ...", "df = dc * c_prev": "df = dc * f"}, 0,
     "12 of 13 lines written, one of them is wrong", "line 19, df = dc * f: "),
    (2, {"dW += hx.T @ dz": "..."}, 1, "6 of 7 lines written, those are right",
     "line 34, ...: How many steps use the same W?"),
    (7, {"m_hat = m / (1 - beta1 ** t)": "m_hat = ..."}, 2, "4 of 5 lines written, those are right", "m and v begin at zero"),
    (3, {"o = sigmoid(z[:, 2 * H:3 * H])": "o = ..."}, 0, "5 of 6 lines written, those are right", "Which equation gives o")])
def test_what_is_written_is_judged_while_blanks_remain(number: int, lines: dict[str, str], function: int, detail: str,
                                                       hint: str, tmp_path: Path) -> None:
    text = solution(number).read_text(encoding="utf-8")
    for right, instead in lines.items():
        text = text.replace(right, instead)
    path = tmp_path / FILES[number].name
    path.write_text(text, encoding="utf-8")
    one = graded(path, number)[function]
    assert (one.score, one.mistake, one.detail) == (0, "not written yet", detail) and hint in one.hint


@pytest.mark.parametrize("number", NUMBERS)
def test_blanks_are_counted(number: int) -> None:
    names = runpy.run_path(str(FILES[number]))
    for function in STEPS[number - 1].functions:
        assert len(blanks(names[function.name])) == BLANKS[function.name]


def test_a_failure_of_ours_is_no_mistake_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "equal_results", None)
    assert [one.mistake for one in graded(solution(1), 1)][0] == "cannot be checked"
