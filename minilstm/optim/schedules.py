"""Learning-rate schedules: how large the steps are, epoch by epoch.

A schedule holds an optimiser and sets its ``lr``; call ``step()`` once at the end of each epoch. Names and numbers are
PyTorch's. Where PyTorch multiplies the previous rate, epoch by epoch, these compute the rate from the epoch number alone
(the same sequence, without its rounding errors), so that a schedule can be put back to any epoch. It follows that the rate
belongs to the schedule: one schedule per optimiser, and a rate set by hand lasts until the next step.
ReduceLROnPlateau, which depends on how training goes, is the exception: it multiplies the current rate.

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

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import check_choice, check_positive_int
from minilstm.backend.errors import ArgumentError, CheckpointError, DtypeError
from minilstm.optim.gradients import check_number
from minilstm.optim.optimizer import Optimizer


class Schedule:
    """Base class: a subclass writes ``factor(epoch)`` (or ``lr_at(epoch)``), and the rate of that epoch is base_lr·factor.

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
        """Return the schedule's progress, JSON-able, without its settings: make the same schedule again, then load."""
        return {"type": type(self).__name__, **{name: getattr(self, name) for name in self._saved}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a saved state and set the optimiser's rate. If it does not fit, raises CheckpointError, changing nothing."""
        if not isinstance(state, Mapping) or set(state) != {"type", *self._saved} or state["type"] != type(self).__name__:
            got = dict(state) if isinstance(state, Mapping) else state
            raise CheckpointError(f"schedule state: expected type {type(self).__name__!r} with {', '.join(self._saved)}; "
                                  f"got {got!r}")
        for name in self._saved:
            value, kind = state[name], int if isinstance(getattr(self, name), int) else (int, float)
            number = isinstance(value, kind) and not isinstance(value, bool) and abs(value) < 1e300     # not NaN either
            if not (number and value >= 0) and not (name == "best" and (number or value is None)):
                raise CheckpointError(f"schedule state: {name}: expected a {'whole ' if kind is int else ''}number >= 0, "
                                      f"got {value!r}")
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
    """eta_min + ½ (base_lr − eta_min) (1 + cos(π·epoch / T_max)): half a cosine down in T_max epochs, then up again.

    Source: Loshchilov & Hutter 2017 (SGDR), equation 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = check_positive_int("T_max", T_max)
        self.eta_min = check_number("eta_min", eta_min)
        super().__init__(optimizer)

    def lr_at(self, epoch: int) -> float:
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class LinearLR(Schedule):
    """base_lr times a factor that goes straight from start_factor to end_factor in total_iters epochs (a warm-up)."""

    def __init__(self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
                 total_iters: int = 5) -> None:
        self.start_factor = check_number("start_factor", start_factor)
        self.end_factor = check_number("end_factor", end_factor)
        self.total_iters = check_positive_int("total_iters", total_iters)
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * min(epoch, self.total_iters) / self.total_iters


class ReduceLROnPlateau(Schedule):
    """Multiply the rate by ``factor`` when a metric has not improved for more than ``patience`` epochs.

    Improved means, as in PyTorch's default: below best·(1 − threshold) for mode "min", above best·(1 + threshold) for "max".
    After a reduction ``cooldown`` epochs pass before bad ones are counted again; the rate stays >= ``min_lr``, and changes
    below 1e-8 are not made. A NaN metric is no improvement.
    """

    _saved = ("base_lr", "last_epoch", "best", "num_bad_epochs", "cooldown_counter", "lr")

    def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0) -> None:
        check_choice("mode", mode, ("min", "max"))
        self.mode = mode
        self.reduction = check_number("factor", factor, below=1.0)
        for name, epochs in (("patience", patience), ("cooldown", cooldown)):
            if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 0:
                raise ArgumentError(f"{name}: expected a whole number of epochs, at least 0, got {epochs!r}")
        self.patience, self.cooldown = patience, cooldown
        self.threshold = check_number("threshold", threshold)
        self.min_lr = check_number("min_lr", min_lr)
        self.best: float | None = None
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)

    @property
    def lr(self) -> float:
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer.lr = value

    def _restore(self) -> None:
        pass                                # the rate itself is part of the state

    def _improved(self, metric: float) -> bool:
        if self.best is None:
            return math.isfinite(metric)
        if self.mode == "min":
            return metric < self.best * (1 - self.threshold)
        return metric > self.best * (1 + self.threshold)

    def step(self, metric: Any) -> None:    # type: ignore[override]
        """End an epoch with this value of the metric (a number or 0-d array, for example the validation loss)."""
        value = to_numpy(metric)
        if value.ndim or value.dtype.kind not in "biuf":
            raise ArgumentError(f"ReduceLROnPlateau.step: expected one real number, got {metric!r}")
        self.last_epoch += 1
        if self._improved(float(value)):
            self.best, self.num_bad_epochs = float(value), 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            lower = max(self.lr * self.reduction, self.min_lr)
            if self.lr - lower > 1e-8:
                self.lr = lower
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
