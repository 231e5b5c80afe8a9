"""Callbacks: code that training calls at fixed points, to watch it or to stop it.

A callback that remembers something returns it from ``state_dict``, and then it takes part in checkpoints: a resumed run
waits exactly as long for an improvement as the run that never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minilstm.backend.checks import check_choice, check_positive_int
from minilstm.backend.errors import ArgumentError, CheckpointError
from minilstm.training.history import FIELDS, Row
from minilstm.training.run import Run


class Callback:
    """Base class: overwrite what you need. Epochs and steps count from 1.

    Each hook is given the ``Run``: its model, optimizer, history and so on. Set ``run.stop = "the reason"`` in any of them to
    end training after the running epoch.
    """

    def on_train_begin(self, run: Run) -> None:
        """Called by each ``fit`` before its first step (again when a run is resumed)."""

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        """Called before the first step of an epoch (not again when it is resumed in its middle)."""

    def on_step_end(self, run: Run, epoch: int, step: int, loss: float, grad_norm: float) -> None:
        """Called after each update of the weights, with that step's loss and gradient norm before clipping."""

    def on_epoch_end(self, run: Run, row: Row) -> None:
        """Called with the new row of ``run.history``, before checkpoints are written."""

    def on_train_end(self, run: Run) -> None:
        """Called when ``fit`` has done all it had to do; not when it is interrupted or fails."""

    def state_dict(self) -> dict[str, Any]:
        """Return {"arrays": {name: host array}, "meta": JSON-able dict}, or {} when there is nothing to remember."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` returned."""


class EarlyStopping(Callback):
    """Stop when a number of the history has not improved for ``patience`` epochs.

    Args:
        patience: how many epochs in a row without improvement end the training, at least 1.
        monitor: which number, a column of the history.
        mode: "min" or "max", what counts as better; None: "max" for accuracies, "min" for the rest.
        min_delta: an improvement is one by more than this (in the number's own units, at least 0).
        restore_best: put the weights of the best epoch back when training ends (last.ckpt keeps those of the last one).
    """

    def __init__(self, patience: int = 3, monitor: str = "val_loss", mode: str | None = None, min_delta: float = 0.0,
                 restore_best: bool = False) -> None:
        self.patience = check_positive_int("patience", patience)
        check_choice("monitor", monitor, FIELDS[1:])
        mode = mode or ("max" if monitor.endswith("acc") else "min")
        check_choice("mode", mode, ("min", "max"))
        if not 0 <= min_delta < math.inf:
            raise ArgumentError(f"min_delta: expected a finite number of at least 0, got {min_delta!r}")
        self.monitor, self.mode, self.min_delta, self.restore_best = monitor, mode, float(min_delta), restore_best
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.best_weights: dict[str, Any] = {}
        self.waited = 0

    def on_train_begin(self, run: Run) -> None:
        if self.monitor.startswith("val_") and not run.validates:
            raise ArgumentError(f"EarlyStopping watches {self.monitor}, but fit was given no validation data")
        if self.monitor.endswith("acc") and run.metric is None:
            raise ArgumentError(f"EarlyStopping watches {self.monitor}, but the trainer has no metric")

    def on_epoch_end(self, run: Run, row: Row) -> None:
        value = row[self.monitor]
        gain = math.inf if self.best is None else value - self.best if self.mode == "max" else self.best - value
        if gain > self.min_delta:
            self.best, self.best_epoch, self.waited = value, row["epoch"], 0
            self.best_weights = run.model.state_dict() if self.restore_best else {}
            return
        self.waited += 1
        if self.waited >= self.patience:
            run.stop = (f"{self.monitor} has not improved for {self.waited} epochs; "
                        f"best {self.best:.4f} at epoch {self.best_epoch}")

    def on_train_end(self, run: Run) -> None:
        if self.best_weights:
            run.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return {"arrays": self.best_weights, "meta": {"best": self.best, "best_epoch": self.best_epoch,
                                                      "waited": self.waited}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if set(state["meta"]) != {"best", "best_epoch", "waited"}:
            raise CheckpointError(f"EarlyStopping: expected best, best_epoch and waited, got {sorted(state['meta'])}")
        self.best, self.best_epoch = state["meta"]["best"], state["meta"]["best_epoch"]
        self.waited, self.best_weights = state["meta"]["waited"], dict(state["arrays"])
