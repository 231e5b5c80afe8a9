"""``ml.explain``: where a training step's time goes, predicted and measured.

The step is the usual one: zero_grad, forward, loss, backward, one step of Adam (``minilstm/timed_step.py``). It runs on a copy
of the model, so that the model keeps its parameters, gradients, caches, modes and random states. Beside it stands a prediction
from shapes alone (``minilstm/flops.py``), turned into time with two numbers of this machine that are measured in the same call
(``minilstm/machine.py``). ``minilstm/explanation.py`` is the table.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minilstm.backend import Array, asarray, backend_name
from minilstm.checks import check_dtype, check_positive_int
from minilstm.embedding import Embedding
from minilstm.errors import ArgumentError, DtypeError
from minilstm.explanation import Explanation, Row
from minilstm.flops import Call, Cost, cost
from minilstm.init import as_generator
from minilstm.kernels.threads import get_num_threads
from minilstm.machine import SIDE, Speed, measure_speed, threads_held
from minilstm.module import Module
from minilstm.timed_step import Key, TimedStep

ADAM_ARRAYS = 7         # read: parameter, gradient, two moments; written: parameter, two moments


def explain(model: Module, input_shape: tuple[int, ...], *, steps: int = 5, tokens: int | None = None, dtype: Any = None,
            threads: int | None = None, seed: Any = 0) -> Explanation:
    """Say what a training step of ``model`` computes, keeps and takes, predicted and measured. ``print`` shows the table.

    The input is random, without padding: tokens where the model begins with an Embedding, else normal random numbers. The loss
    is BCELoss where the model ends with a Sigmoid, else MSELoss, with random targets. The model itself is not changed.

    Args:
        model: any Module whose forward takes one array and returns one.
        input_shape: shape of the input, with the batch axis.
        steps: how many steps are measured, after two that are not; times are medians.
        tokens: feed whole numbers below this one; None: below the size of the Embedding that the model begins with.
        dtype: floating dtype to explain the model in; None: its own.
        threads: how many threads minilstm and BLAS use meanwhile; None: as they are set.
        seed: seed or numpy Generator of the input.

    Raises ArgumentError, ShapeError, DtypeError for arguments that make no sense, and whatever the layers raise.
    """
    if not isinstance(model, Module):
        raise DtypeError(f"explain: expected a minilstm Module, got {type(model).__name__}")
    if not isinstance(input_shape, (tuple, list)) or not input_shape:
        raise ArgumentError(f"input_shape: expected a tuple of sizes such as (64, 200), got {input_shape!r}")
    shape = tuple(check_positive_int("input_shape", n) for n in input_shape)
    steps, rng = check_positive_int("steps", steps), as_generator(seed)
    tokens = None if tokens is None else check_positive_int("tokens", tokens)
    dtype = None if dtype is None else check_dtype(dtype)
    threads = None if threads is None else check_positive_int("threads", threads)

    model = _working_copy(model, dtype)
    x, words = _input(model, shape, tokens, rng)
    with threads_held(threads):
        used = get_num_threads()
        step = TimedStep(model, x, rng)
        step.take()                     # the first: shapes, caches, buffers
        calls = {name: list(found) for name, found in step.watch.calls.items()}
        before = measure_speed(step.like)
        step.take()                     # helpers that the first step has started are there now
        taken = []
        for _ in range(steps):
            step.watch.spent.clear()
            step.take()
            taken.append(dict(step.watch.spent))
        speed = Speed(*map(max, before, measure_speed(step.like)))      # a machine may be busy for a while
    on = f"{used} thread{'s'[:used > 1]}" if backend_name(step.like) == "numpy" else backend_name(step.like)
    readable = any(getattr(module, "fast", True) is False for _, module in model.modules())
    title = (f"One training step of {type(model).__name__}, input {shape}: {words}\n{type(step.criterion).__name__}, "
             f"{type(step.optimizer).__name__}, {step.like.dtype}, {on}{', readable functions' if readable else ''}")
    rows = _rows(step, calls, lambda key: float(np.median([spent.get(key, 0.0) for spent in taken])))
    return Explanation(title, rows, steps, speed.peak, f"{SIDE} x {SIDE} matrices, {on}", speed.bandwidth)


def _working_copy(model: Module, dtype: Any) -> Module:
    """Return a copy in training mode, without the caches."""
    copied = copy.deepcopy(model, {id(module._caches): [] for _, module in model.modules()})
    copied.to(dtype=dtype).zero_grad()
    return copied.train()


def _input(model: Module, shape: tuple[int, ...], tokens: int | None, rng: np.random.Generator) -> tuple[Array, str]:
    """Return the input and what it is in words."""
    leaf = next(module for _, module in model.modules() if not module.children())
    if tokens is None and isinstance(leaf, Embedding):
        tokens = leaf.num_embeddings
    like = next(iter(model.named_parameters().values()), np.zeros(0, np.float32))
    if tokens is not None:
        return asarray(rng.integers(0, tokens, shape), backend_name(like)), f"random tokens below {tokens:,}"
    return asarray(rng.standard_normal(shape).astype(like.dtype), backend_name(like)), "normal random numbers"


def _rows(step: TimedStep, calls: dict[str, list[Call | None]], median: Callable[[Key], float]) -> list[Row]:
    rows = []
    for name, module in step.layers.items():
        known = [None if call is None else cost(module, call) for call in calls[name]]
        costs = [found for found in known if found is not None]
        whole = functools.reduce(Cost.plus, costs, Cost((0, 0), 0, (0, 0))) if len(costs) == len(known) else None
        last = calls[name][-1] if calls[name] else None
        label = (f"({name}) " if name else "") + type(module).__name__ + (f" x{len(known)}" if len(known) > 1 else "")
        rows.append(Row(label, None if last is None else last.y, sum(int(p.size) for p in module.params.values()),
                        None if whole is None else whole.flops, None if whole is None else whole.kept, step.kept[name],
                        None if whole is None else whole.moved, (median(("forward", name)), median(("backward", name)))))
    parameters = sum(int(p.nbytes) for p in step.model.named_parameters().values())
    y = int(step.target.nbytes)
    of_loss = median(("loss", "forward")), median(("loss", "backward"))
    return [*rows, Row("loss", None, 0, (0, 0), 0, 0, (2 * y, 3 * y), of_loss, is_layer=False),
            Row("optimizer", None, 0, (0,), 0, 0, (ADAM_ARRAYS * parameters,), (median(("optimizer", "")),), is_layer=False),
            # zero_grad writes every gradient
            Row("other", None, 0, (0,), 0, 0, (parameters,), (median(("step", "")),), is_layer=False)]
