"""One trial: a cell learns a task with a long lag until the task is solved or the budget is used up.

    x (n, T, D) -> RNN, GRU or LSTM -> Linear -> loss          Adam, gradients clipped by their norm

Everything depends on the arguments alone, so trials may run anywhere and in any order. Cells with the same
seed see the same sequences.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilstm.backend.checks import check_choice, check_number, check_positive_int
from minilstm.backend.errors import ArgumentError, NonFiniteError
from minilstm.lab.cells import CELLS
from minilstm.lab.problems import Batch, Problem, make_problem
from minilstm.lab.sizes import hidden_size_for
from minilstm.layers.initial_weights import RECURRENT_INITS
from minilstm.layers.linear import Linear
from minilstm.layers.module import Module
from minilstm.layers.sequential import Sequential
from minilstm.optim.adam import Adam
from minilstm.optim.gradients import clip_grad_norm
from minilstm.training.reference import LAYERS

AT_ONCE = 500       # sequences of an evaluation
T_MAX_REBER = 20    # chrono initialisation where there is no lag: about the longest of the strings


@dataclass(frozen=True)
class Budget:
    """The budget of a trial.

    Attributes:
        hidden_size, parameters: H itself, or the number of parameters that the recurrent layer is to have as
            nearly as its H allows; one of them.
        batch_size, max_steps: sequences a step, and steps at most.
        lr, clip_norm: of Adam, and of the gradients (math.inf: no clipping).
        init: "default", "uniform", or "chrono" with t_max = T; an RNN, which has no gate, takes "default".
        evaluate_every: steps between two looks at the unseen sequences; the last step is followed by one too.
    """

    hidden_size: int | None = None
    parameters: int | None = None
    batch_size: int = 50
    max_steps: int = 5000
    lr: float = 0.005
    clip_norm: float = 1.0
    init: str = "default"
    evaluate_every: int = 100


def train_on_task(task: str, cell: str, T: int | None, seed: int, **budget: Any) -> dict[str, Any]:
    """Train one model on one task; return the results as JSON values.

    Args:
        task: one of ``problems.TASKS``.
        cell: "rnn", "gru" or "lstm".
        T: the lag; None for reber.
        seed: of weights and sequences, at least 0.
        budget: the attributes of a ``Budget``.

    Returns:
        solved (bool), sequences (trained on until solved; None if it was not), steps, error (the last on
        unseen sequences), error_name, baseline, diverged (True if a gradient was not finite, which ended the
        training), parameters (of the recurrent layer), hidden_size, curve (list of [sequences, error]),
        seconds.

    Raises ArgumentError before anything is computed.
    """
    started = time.perf_counter()
    problem, limits = make_problem(task, T), Budget(**budget)
    batch_size = check_positive_int("batch_size", limits.batch_size)
    max_steps = check_positive_int("max_steps", limits.max_steps)
    evaluate_every = check_positive_int("evaluate_every", limits.evaluate_every)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"seed: expected a whole number of at least 0, got {seed!r}")
    if limits.clip_norm != math.inf:
        check_number("clip_norm", limits.clip_norm)
    model = build_model(problem, cell, T, seed, limits)
    criterion, optimizer = problem.loss(), Adam(model, lr=limits.lr)
    draw, test = problem.start(np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2]))
    error, step = math.inf, 0
    solved = diverged = False
    curve: list[tuple[int, float]] = []
    while step < max_steps and not solved and not diverged:
        step += 1
        batch = draw(batch_size)
        model.zero_grad()
        criterion(_forward(model, batch), batch.target)
        model.backward(criterion.backward())
        clip_grad_norm(model, limits.clip_norm)
        try:
            optimizer.step()
        except NonFiniteError:
            diverged = True
        if step % evaluate_every == 0 or step == max_steps or diverged:
            error, solved = problem.judge(predict(model, test), test)
            curve.append((step * batch_size, error))
    layer = model[0]
    return {
        "solved": solved, "sequences": step * batch_size if solved else None, "steps": step, "error": error,
        "error_name": problem.error_name, "baseline": problem.baseline, "diverged": diverged,
        "parameters": layer.num_parameters(), "hidden_size": layer.hidden_size, "curve": curve,
        "seconds": round(time.perf_counter() - started, 3),
    }


def build_model(problem: Problem, cell: str, T: int | None, seed: int, budget: Budget) -> Sequential:
    """Return the model of a trial with its initial weights: a recurrent layer and a Linear one."""
    check_choice("cell", cell, CELLS)
    init, H = budget.init, budget.hidden_size
    check_choice("init", init, RECURRENT_INITS)
    if (H is None) == (budget.parameters is None):
        raise ArgumentError("expected either hidden_size or parameters")
    if budget.parameters is not None:
        H = hidden_size_for(cell, problem.input_size, budget.parameters)
    rng = np.random.default_rng([seed, 0])
    options: dict[str, Any] = {"init": init}
    if init == "chrono":
        options = {"init": "default"} if cell == "rnn" else {"init": init, "t_max": max(3, T or T_MAX_REBER)}
    layer = LAYERS[cell](problem.input_size, H, return_sequences=problem.every_step, rng=rng, **options)
    head_init = "uniform" if init == "uniform" else "default"
    return Sequential(layer, Linear(layer.hidden_size, problem.output_size, init=head_init, rng=rng))


def predict(model: Module, batch: Batch) -> np.ndarray:
    """Return the model's outputs on a batch, computed in parts; the model is left in training mode."""
    model.eval()
    parts = [_forward(model, batch.rows(slice(k, k + AT_ONCE))) for k in range(0, len(batch.x), AT_ONCE)]
    model.train()
    return np.concatenate(parts)


def _forward(model: Module, batch: Batch) -> np.ndarray:
    options = {} if batch.lengths is None else {"lengths": batch.lengths}
    return model(batch.x, **options)
