"""Trials: equal sizes, problems that are judged as they should be, and a training that learns what can be learned."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.lab import tasks, trials
from minilstm.lab.cells import CELLS
from minilstm.lab.problems import TASKS, Batch, make_problem
from minilstm.lab.sizes import hidden_size_for, recurrent_parameters
from minilstm.lab.trials import Budget, build_model, predict, train_on_task
from minilstm.training.reference import LAYERS

LAGS: dict[str, int | None] = {"adding": 12, "adding-1997": 22, "temporal-order": 10, "temporal-order-3": 10, "copy": 3,
                               "reber": None}
SMALL: dict[str, Any] = {"parameters": 200, "max_steps": 3, "batch_size": 5, "evaluate_every": 2}


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("D, H", [(1, 1), (2, 32), (10, 7)])
def test_parameters_are_those_of_the_layer(cell: str, D: int, H: int) -> None:
    assert recurrent_parameters(cell, D, H) == LAYERS[cell](D, H, rng=0).num_parameters()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("parameters", [1, 5, 100, 1237, 4480, 50_000])
def test_hidden_size_is_the_closest(cell: str, parameters: int) -> None:
    def distance(H: int) -> int:
        return abs(recurrent_parameters(cell, 3, H) - parameters)
    assert distance(hidden_size_for(cell, 3, parameters)) == min(map(distance, range(1, 300)))


def test_equal_sizes() -> None:
    assert [hidden_size_for(cell, 2, 4480) for cell in CELLS] == [65, 37, 32]
    with pytest.raises(ml.ArgumentError):
        hidden_size_for("lstm", 2, 0)
    with pytest.raises(ml.ArgumentError):
        recurrent_parameters("cnn", 2, 3)


# Problems ------------------------------------------------------------------------------------------------------------


def start(task: str, seed: int = 0) -> tuple[Any, Any, Batch]:
    problem = make_problem(task, LAGS[task])
    draw, test = problem.start(np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2]))
    return problem, draw, test


def perfect(problem: Any, batch: Batch) -> np.ndarray:
    """Outputs of one who knows the answers."""
    if batch.legal is not None:
        return batch.legal
    if problem.output_size == 1:
        return batch.target
    return 20 * np.eye(problem.output_size, dtype=np.float32)[batch.target]


@pytest.mark.parametrize("task", TASKS)
def test_a_perfect_answer_solves_a_problem(task: str) -> None:
    problem, draw, test = start(task)
    outputs = perfect(problem, test)
    error, solved = problem.judge(outputs, test)
    assert solved and error < 1e-6
    batch = draw(7)
    assert batch.x.shape[0] == len(batch.target) == 7 and batch.x.shape[2] == problem.input_size
    assert batch.x.dtype == np.float32
    assert problem.loss()(perfect(problem, batch).astype(np.float32), batch.target) < 10


def test_temporal_order_is_judged_by_probabilities() -> None:
    """Before normalisation the right class has 1 and the seven wrong ones 0.065 each; its probability, 0.69, is too low."""
    problem, _, test = start("temporal-order-3")
    outputs = np.where(np.eye(8)[test.target] > 0, 0.0, math.log(0.065))
    assert not problem.judge(outputs, test)[1]
    assert problem.judge(1.2 * outputs, test)[1]        # 0.79


@pytest.mark.parametrize("task", ["adding", "adding-1997", "temporal-order", "temporal-order-3"])
def test_the_mean_answer_has_the_baseline_error(task: str) -> None:
    problem, _, test = start(task)
    outputs = np.zeros((len(test.x), problem.output_size))
    if problem.output_size == 1:
        outputs += {"adding": 1.0, "adding-1997": 0.5}[task]
    error, solved = problem.judge(outputs, test)
    assert error == pytest.approx(problem.baseline, rel=0.06) and not solved


def test_the_baseline_of_copy_knows_when_to_speak() -> None:
    problem, _, test = start("copy")
    outputs = np.full((*test.target.shape, problem.output_size), -50.0)
    outputs[..., :8] = 0
    outputs[test.target == 8] = 50 * np.eye(9)[8]
    error, solved = problem.judge(outputs, test)
    assert error == pytest.approx(problem.baseline) and not solved


def test_reber_trains_on_256_strings_and_is_judged_on_512() -> None:
    problem, draw, test = start("reber")
    assert len(test.x) == 512
    known = {row.tobytes() for row in test.x[:256]}
    assert {row.tobytes() for row in draw(2000).x} == known
    assert not {row.tobytes() for row in test.x[256:]} <= known
    assert test.legal is not None and test.lengths is not None
    for x, target, legal, length in zip(test.x, test.target, test.legal, test.lengths):
        assert (target[length:] == -1).all()
        assert (target[:length - 1] == x[1:length].argmax(axis=1)).all() and target[length - 1] == 6
        assert (legal[np.arange(length), target[:length]] == 1).all()       # what comes next is legal
    for wrong in (0, 511):                  # one string of either half wrong at the long dependency
        outputs = test.legal.copy()
        outputs[wrong, test.lengths[wrong] - 2] = 0
        assert problem.judge(outputs, test) == (pytest.approx(1 / 512), False)


def test_problems_that_are_none() -> None:
    for task, T, words in (("sorting", 10, "task: expected"), ("reber", 10, "takes None"), ("copy", None, "needs a lag"),
                           ("adding-1997", 21, "at least 22"), ("temporal-order-3", 9, "at least 10"), ("adding", 0, "T:")):
        with pytest.raises(ml.ArgumentError, match=words):
            make_problem(task, T)


# Training ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_every_cell_trains_on_every_task(task: str, cell: str) -> None:
    row = train_on_task(task, cell, LAGS[task], 0, **SMALL)
    again = train_on_task(task, cell, LAGS[task], 0, **SMALL)
    for result in (row, again):
        assert result.pop("seconds") > 0
    assert json.loads(json.dumps(row)) == json.loads(json.dumps(again))     # the same arguments, the same numbers
    assert row["steps"] == 3 and row["sequences"] is None and row["solved"] is False and row["diverged"] is False
    problem = make_problem(task, LAGS[task])
    assert row["hidden_size"] == hidden_size_for(cell, problem.input_size, 200)
    assert row["parameters"] == recurrent_parameters(cell, problem.input_size, row["hidden_size"])
    assert [sequences for sequences, _ in row["curve"]] == [10, 15] and row["curve"][-1][1] == row["error"]
    assert row["baseline"] == problem.baseline and row["error_name"] == problem.error_name
    if task != "reber":         # where after three steps every string is wrong, whatever the seed
        assert train_on_task(task, cell, LAGS[task], 1, **SMALL)["curve"] != row["curve"]


def test_an_lstm_solves_adding_and_stops() -> None:
    row = train_on_task("adding", "lstm", 10, 0, hidden_size=16, lr=0.01, max_steps=600, evaluate_every=50)
    assert row["solved"] and row["error"] < 0.01
    assert row["sequences"] == 50 * row["steps"] == row["curve"][-1][0] and row["steps"] < 600
    assert all(error >= 0.01 for _, error in row["curve"][:-1])
    assert row["hidden_size"] == 16


@pytest.mark.slow
def test_the_defaults_solve_adding_at_100() -> None:
    row = train_on_task("adding", "lstm", 100, 0, hidden_size=32)
    assert row["solved"] and row["steps"] <= 5000 and row["parameters"] == 4480


def test_one_step_is_adam_on_clipped_gradients() -> None:
    """The weights after two steps, made again with the library's own loop by hand."""
    kept: dict[str, Any] = {}

    def keep(model: Any, batch: Any) -> np.ndarray:
        kept.update(model.state_dict())
        return predict(model, batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "predict", keep)
        train_on_task("adding", "gru", 12, 3, hidden_size=5, max_steps=2, batch_size=4, lr=0.02, clip_norm=0.1)
    problem = make_problem("adding", 12)
    model, rng = build_model(problem, "gru", 12, 3, Budget(5)), np.random.default_rng([3, 1])
    optimizer, criterion = ml.Adam(model, lr=0.02), ml.MSELoss()
    for _ in range(2):
        x, y = tasks.adding(4, 12, rng=rng)
        model.zero_grad()
        criterion(model(x), y)
        model.backward(criterion.backward())
        assert ml.clip_grad_norm(model, 0.1) > 0.1
        optimizer.step()
    assert kept
    for name, value in model.state_dict().items():
        assert value.tobytes() == kept[name].tobytes(), name


def test_cells_with_the_same_seed_see_the_same_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[bytes]] = []
    forward = trials._forward

    def record(model: Any, batch: Batch) -> np.ndarray:
        seen[-1].append(batch.x.tobytes())
        return forward(model, batch)
    monkeypatch.setattr(trials, "_forward", record)
    for cell in ("rnn", "lstm"):
        seen.append([])
        train_on_task("adding", cell, 12, 5, **SMALL)
    assert seen[0] == seen[1] and len(set(seen[0])) == len(seen[0]) - 4      # the four parts of the test set come twice


def test_a_gradient_that_is_not_finite_ends_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(model: Any, max_norm: float) -> None:
        model[0].grads["W"][0, 0] = math.nan
    monkeypatch.setattr(trials, "clip_grad_norm", spoil)
    row = train_on_task("adding", "rnn", 12, 0, **SMALL)
    assert row["diverged"] and row["steps"] == 1 and not row["solved"] and math.isfinite(row["error"])


def test_initial_weights() -> None:
    problem = make_problem("adding", 60)
    lstm = build_model(problem, "lstm", 60, 0, Budget(50, init="chrono"))[0]
    forget, gate = lstm.gate("f")[1], lstm.gate("i")[1]
    assert (forget == -gate).all() and 0 <= forget.min() and math.log(30) < forget.max() <= math.log(59)
    default, chrono = (build_model(problem, "rnn", 60, 0, Budget(5, init=init)).state_dict() for init in ("default", "chrono"))
    assert all((default[name] == chrono[name]).all() for name in default)       # an RNN has no such thing
    uniform = build_model(problem, "lstm", 60, 0, Budget(5, init="uniform"))
    assert (uniform[0].params["b"] != 0).all() and uniform[1].params["b"].all()
    build_model(make_problem("reber", None), "gru", None, 0, Budget(5, init="chrono"))


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no such cell": ({"cell": "cnn"}, "cell: expected one of"),
    "no such init": ({"init": "zeros"}, "init: expected one of"),
    "both sizes": ({"hidden_size": 4}, "either hidden_size or parameters"),
    "no size": ({"parameters": None}, "either hidden_size or parameters"),
    "no parameters": ({"parameters": 0}, "parameters: expected"),
    "no steps": ({"max_steps": 0}, "max_steps: expected"),
    "no batch": ({"batch_size": 0}, "batch_size: expected"),
    "never looking": ({"evaluate_every": 0}, "evaluate_every: expected"),
    "no lr": ({"lr": -1.0}, "lr: expected"),
    "negative clipping": ({"clip_norm": -1.0}, "clip_norm: expected"),
    "a seed below 0": ({"seed": -1}, "seed: expected"),
    "no seed": ({"seed": None}, "seed: expected"),
}


@pytest.mark.parametrize("change, words", BAD.values(), ids=BAD)
def test_bad_arguments(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ml.ArgumentError, match=words):
        train_on_task(**{"task": "adding", "cell": "rnn", "T": 12, "seed": 0, **SMALL, **change})
