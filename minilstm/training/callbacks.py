"""Callbacks: code that is called at fixed points of training, to monitor it or to stop it.

A callback with a state returns it from ``state_dict``, so that checkpoints contain it: a resumed run waits
exactly as long for an improvement as a run that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minilstm.backend.checks import check_choice, check_number, check_positive_int, is_number
from minilstm.backend.errors import ArgumentError, CheckpointError
from minilstm.training.history import FIELDS, Row
from minilstm.training.run import Run


class Callback:
    """Base class of callbacks: override the hooks you need. Epochs and steps count from 1.

    Each hook receives the ``Run``, whose attributes are the model, optimizer, history and so on. Set
    ``run.stop = "the reason"`` in any hook to end training after the current epoch.

    >>> import minilstm as ml
    >>> class StopEarly(ml.Callback):
    ...     def on_epoch_end(self, run, row):
    ...         if row["train_loss"] < 0.1:
    ...             run.stop = "the training loss is below 0.1"
    """

    def on_train_begin(self, run: Run) -> None:
        """Called by each ``fit`` before its first step, also when a run is resumed."""

    def on_epoch_begin(self, run: Run, epoch: int) -> None:
        """Called before the first step of an epoch, but not when the epoch is resumed after that step."""

    def on_step_end(self, run: Run, epoch: int, step: int, loss: float, grad_norm: float) -> None:
        """Called after each update of the weights, with its loss and gradient norm (before clipping)."""

    def on_validation_begin(self, run: Run) -> None:
        """Called after an epoch's last step, before its weights are validated (if there is such data)."""

    def on_epoch_end(self, run: Run, row: Row) -> None:
        """Called with the new row of ``run.history``, before checkpoints are written."""

    def on_validation_end(self, run: Run) -> None:
        """Called when best.ckpt is written, if the epoch was the best, and last.ckpt is not yet."""

    def on_train_end(self, run: Run) -> None:
        """Called when ``fit`` ends normally, but not when it is interrupted or fails."""

    def state_dict(self) -> dict[str, Any]:
        """Return {"arrays": {name: host array}, "meta": JSON-able dict}, or {} if there is no state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that ``state_dict`` returned."""


class EarlyStopping(Callback):
    """Stop training when a monitored quantity has not improved for ``patience`` epochs.

    Args:
        patience: number of consecutive epochs without improvement after which training stops, at least 1.
        monitor: the monitored quantity, a column of the history.
        mode: "min" or "max", the direction of improvement; None: "max" for accuracies, "min" otherwise.
        min_delta: a change counts as an improvement only if it is larger than this (absolute, at least 0).
        restore_best: restore the weights of the best epoch when training ends (last.ckpt keeps those of the
            last epoch).

    A run that it stopped continues, in another ``fit``, with a larger ``patience``.

    Raises ArgumentError for other values; when training begins, for a quantity that the run does not measure.

    >>> import numpy as np, minilstm as ml
    >>> model = ml.Sequential(ml.Linear(2, 1, rng=0))
    >>> x, y = np.ones((4, 2), np.float32), np.ones(4, np.float32)
    >>> stopping = ml.EarlyStopping(patience=2, monitor="train_loss")
    >>> optimizer = ml.SGD(model, lr=0.0)           # with lr = 0 nothing improves
    >>> trainer = ml.Trainer(model, ml.MSELoss(), optimizer, callbacks=[stopping], verbose=False)
    >>> history = trainer.fit(ml.DataLoader(x, y, batch_size=2), epochs=99)
    >>> len(history), stopping.best_epoch
    (3, 1)
    """

    def __init__(self, patience: int = 3, monitor: str = "val_loss", mode: str | None = None,
                 min_delta: float = 0.0, restore_best: bool = False) -> None:
        self.patience = check_positive_int("patience", patience)
        check_choice("monitor", monitor, FIELDS[1:])
        mode = mode or ("max" if monitor.endswith("acc") else "min")
        check_choice("mode", mode, ("min", "max"))
        self.min_delta = check_number("min_delta", min_delta)
        self.monitor, self.mode, self.restore_best = monitor, mode, restore_best
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.best_weights: dict[str, Any] = {}
        self.waited = 0

    def on_train_begin(self, run: Run) -> None:
        if self.monitor.startswith("val_") and not run.validates:
            raise ArgumentError(f"EarlyStopping watches {self.monitor}, but fit was given no validation data")
        if self.monitor.endswith("acc") and run.metric is None:
            raise ArgumentError(f"EarlyStopping watches {self.monitor}, but the trainer has no metric")
        if 0 < self.waited < self.patience and run.stop == self._reason():     # by a smaller patience
            run.stop = None

    def on_epoch_end(self, run: Run, row: Row) -> None:
        value = row[self.monitor]
        sign = 1 if self.mode == "max" else -1
        if self.best is None or sign * (value - self.best) > self.min_delta:
            self.best, self.best_epoch, self.waited = value, row["epoch"], 0
            self.best_weights = run.model.state_dict() if self.restore_best else {}
            return
        self.waited += 1
        if self.waited >= self.patience:
            run.stop = self._reason()

    def _reason(self) -> str:
        return (f"{self.monitor} has not improved for {self.waited} epochs; best {self.best:.4f} at epoch "
                f"{self.best_epoch}; a larger patience continues")

    def on_train_end(self, run: Run) -> None:
        if self.best_weights:
            run.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        meta = {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}
        return {"arrays": self.best_weights, "meta": meta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        meta = state["meta"]
        if set(meta) != {"best", "best_epoch", "waited"}:
            raise CheckpointError(f"EarlyStopping: expected best, best_epoch and waited, got {sorted(meta)}")
        best, epoch, waited = meta["best"], meta["best_epoch"], meta["waited"]
        if best is None:
            valid = epoch is None
        else:
            valid = is_number(best) and -1e300 < best < 1e300 and type(epoch) is int and epoch >= 1
        if not valid or type(waited) is not int or waited < 0:
            raise CheckpointError(f"EarlyStopping: its state cannot be best {best!r} at epoch {epoch!r}, "
                                  f"waited {waited!r}")
        self.best, self.best_epoch = best, epoch
        self.waited, self.best_weights = waited, dict(state["arrays"])
