"""ReduceLROnPlateau, the schedule that depends on how training goes."""

from __future__ import annotations

import math
from typing import Any

from minilstm.backend.arrays import to_numpy
from minilstm.backend.checks import check_choice, check_number, check_whole
from minilstm.backend.errors import ArgumentError
from minilstm.optim.optimizer import Optimizer
from minilstm.optim.schedules import Schedule


class ReduceLROnPlateau(Schedule):
    """Multiply the rate by ``factor`` when a metric has not improved for more than ``patience`` epochs.

    Improved means, as in PyTorch's default: below best·(1 − threshold) for mode "min", above best·(1 +
    threshold) for "max". After a reduction ``cooldown`` epochs pass before bad ones are counted again; the
    rate stays >= ``min_lr``, and changes below 1e-8 are not made. A NaN metric is no improvement.
    """

    _saved = ("base_lr", "last_epoch", "best", "num_bad_epochs", "cooldown_counter", "lr")

    def __init__(self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
                 threshold: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0) -> None:
        check_choice("mode", mode, ("min", "max"))
        self.mode = mode
        self.reduction = check_number("factor", factor, below=1.0)
        self.patience, self.cooldown = check_whole("patience", patience), check_whole("cooldown", cooldown)
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
        """End an epoch with this value of the metric, a number or 0-d array such as the validation loss."""
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
