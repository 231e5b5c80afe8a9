"""Learning-rate schedules: how large the steps are, epoch by epoch.

A schedule holds an optimiser and sets its ``lr``; call ``step()`` once at the end of each epoch. Names and
numbers are PyTorch's. Where PyTorch multiplies the previous rate, epoch by epoch, these compute the rate from
the epoch number alone (the same sequence, without its rounding errors), so that a schedule can be put back to
any epoch. It follows that the rate belongs to the schedule: one schedule per optimiser, and a rate set by
hand lasts until the next step. ReduceLROnPlateau (plateau.py), which depends on how training goes, is the
exception: it multiplies the current rate.

>>> import minilstm as ml
>>> optimizer = ml.Adam(ml.Linear(1, 1, rng=0), lr=0.1)
>>> schedule = ml.StepLR(optimizer, step_size=2, gamma=0.5)
>>> rates = []
>>> for epoch in range(5):
...     rates.append(optimizer.lr)                          # ... train one epoch at this rate ...
...     schedule.step()
>>> rates
[0.1, 0.1, 0.05, 0.05, 0.025]
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from minilstm.backend.checks import check_number, check_positive_int
from minilstm.backend.errors import ArgumentError, CheckpointError, DtypeError
from minilstm.optim.optimizer import Optimizer


class Schedule:
    """Base class: a subclass writes ``factor(epoch)``, of ``base_lr``, or ``lr_at(epoch)``.

    Attributes:
        base_lr: the optimiser's rate when the schedule was made.
        last_epoch: how many epochs have ended; 0 at first.
    """

    _saved: tuple[str, ...] = ("base_lr", "last_epoch")

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise DtypeError(f"{type(self).__name__}: expected an optimiser, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.last_epoch = 0
        self._restore()

    def factor(self, epoch: int) -> float:
        raise TypeError(f"{type(self).__name__} does not define factor")

    def lr_at(self, epoch: int) -> float:
        """Return the learning rate of epoch number ``epoch`` (the first is 0)."""
        return self.base_lr * self.factor(epoch)

    def step(self) -> None:
        """End an epoch: set the optimiser's rate for the next one."""
        self.optimizer.lr = self.lr_at(self.last_epoch + 1)
        self.last_epoch += 1

    def _restore(self) -> None:
        self.optimizer.lr = self.lr_at(self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's progress, JSON-able, without its settings: load it into the same schedule."""
        return {"type": type(self).__name__, **{name: getattr(self, name) for name in self._saved}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state and set the optimiser's rate. Raises CheckpointError, changing nothing."""
        kind, names = type(self).__name__, ", ".join(self._saved)
        got = dict(state) if isinstance(state, Mapping) else {}
        if set(got) != {"type", *self._saved} or got["type"] != kind:
            raise CheckpointError(f"schedule state: expected type {kind!r} with {names}; "
                                  f"got {got or state!r}")
        for name in self._saved:
            value, whole = got[name], isinstance(getattr(self, name), int)
            number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            number = number and abs(value) < 1e300          # so not NaN
            if not (number and value >= 0) and not (name == "best" and (number or value is None)):
                words = "whole number" if whole else "number"
                raise CheckpointError(f"schedule state: {name}: expected a {words} >= 0, got {value!r}")
        for name in self._saved:
            setattr(self, name, state[name])
        self._restore()


class LambdaLR(Schedule):
    """base_lr · lr_lambda(epoch), for any function of the epoch number."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        if not callable(lr_lambda):
            raise ArgumentError(f"lr_lambda: expected a function of the epoch number, got {lr_lambda!r}")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.lr_lambda(epoch)


class StepLR(Schedule):
    """base_lr · gamma^⌊epoch / step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = check_positive_int("step_size", step_size)
        self.gamma = check_number("gamma", gamma)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(Schedule):
    """base_lr · gamma^(number of milestones reached)."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(check_positive_int("milestones", milestone) for milestone in milestones)
        self.gamma = check_number("gamma", gamma)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.gamma ** bisect.bisect_right(self.milestones, epoch)


class ExponentialLR(Schedule):
    """base_lr · gamma^epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = check_number("gamma", gamma)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.gamma ** epoch


class CosineAnnealingLR(Schedule):
    """eta_min + ½ (base_lr − eta_min) (1 + cos(π·epoch / T_max)): down in T_max epochs, then up again.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = check_positive_int("T_max", T_max)
        self.eta_min = check_number("eta_min", eta_min)
        super().__init__(optimizer)

    def lr_at(self, epoch: int) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class LinearLR(Schedule):
    """base_lr times a factor that goes straight from start_factor to end_factor in total_iters epochs."""

    def __init__(self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
                 total_iters: int = 5) -> None:
        self.start_factor = check_number("start_factor", start_factor)
        self.end_factor = check_number("end_factor", end_factor)
        self.total_iters = check_positive_int("total_iters", total_iters)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        gone = min(epoch, self.total_iters)
        return self.start_factor + (self.end_factor - self.start_factor) * gone / self.total_iters
