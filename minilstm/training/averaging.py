"""An exponential moving average of the weights, which is evaluated and kept in place of the weights.

    a ← a + (1 − d_t) (p − a),      d_t = min(decay, t / (t + 1)),      t = 0, 1, 2, ... counts the steps

The last steps of a training run jump around a good place; their mean lies nearer to it (Polyak & Juditsky
1992). As long as t / (t + 1) < decay, the average is the plain mean of all steps so far; from then on, older
steps fade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minilstm.backend.arrays import Array, asarray, backend_name, to_numpy
from minilstm.backend.checks import check_number
from minilstm.backend.errors import ArgumentError, CheckpointError
from minilstm.backend.subnormals import flush_to_zero
from minilstm.training.callbacks import Callback, EarlyStopping
from minilstm.training.run import Run


class AveragedWeights(Callback):
    """Average the weights over the steps; validate, keep and return the average.

    Args:
        decay: share of the average that a step leaves, in [0, 1); 0.999 averages over about the last 1,000
            steps.

    The model holds the average during validation, in best.ckpt, and after ``fit``; last.ckpt has both, so
    that a resumed run continues, bit for bit, with the weights that training changes. Put it before
    EarlyStopping. Raises ArgumentError.

    >>> import numpy as np, minilstm as ml
    >>> model, x, y = ml.Linear(1, 1, rng=0), np.ones((4, 1), np.float32), np.ones((4, 1), np.float32)
    >>> seen = []
    >>> class Watch(ml.Callback):
    ...     def on_step_end(self, run, *_):
    ...         seen.append(float(run.model.params["b"][0]))
    >>> trainer = ml.Trainer(model, ml.MSELoss(), ml.SGD(model, lr=0.1), verbose=False,
    ...                      callbacks=[ml.AveragedWeights(), Watch()])
    >>> history = trainer.fit(ml.DataLoader(x, y, batch_size=1), epochs=1)
    >>> bool(abs(model.params["b"][0] - np.mean(seen)) < 1e-6)
    True
    """

    def __init__(self, decay: float = 0.999) -> None:
        self.decay = check_number("decay", decay, below=1.0)
        self.steps = 0
        self.other: dict[str, Array] = {}       # the average; while swapped, the weights
        self.swapped = False                    # the model holds the average

    def on_train_begin(self, run: Run) -> None:
        for callback in run.callbacks[:run.callbacks.index(self)]:
            if isinstance(callback, EarlyStopping) and callback.restore_best:
                raise ArgumentError("AveragedWeights: comes before EarlyStopping in the list of callbacks, "
                                    "whose best weights would be lost")
        parameters = run.model.named_parameters()
        values = self.other or {name: p.copy() for name, p in parameters.items()}
        self.other = {name: asarray(values[name], backend_name(p), p.dtype) for name, p in parameters.items()}
        if self.swapped:
            self._swap(run)

    @flush_to_zero
    def on_step_end(self, run: Run, epoch: int, step: int, loss: float, grad_norm: float) -> None:
        share = 1.0 - min(self.decay, self.steps / (self.steps + 1))
        self.steps += 1
        for name, p in run.model.named_parameters().items():
            change = p - self.other[name]
            change *= share
            self.other[name] += change

    def on_validation_begin(self, run: Run) -> None:
        self._swap(run)

    def on_validation_end(self, run: Run) -> None:
        self._swap(run)

    def on_train_end(self, run: Run) -> None:
        self._swap(run)

    def _swap(self, run: Run) -> None:
        """Exchange the numbers of the model and of the other set."""
        for name, p in run.model.named_parameters().items():
            values = self.other[name].copy()
            self.other[name][...] = p
            p[...] = values
        run.model.drop_caches()
        self.swapped = not self.swapped

    def state_dict(self) -> dict[str, Any]:
        return {"arrays": {name: to_numpy(value).copy() for name, value in self.other.items()},
                "meta": {"steps": self.steps, "swapped": self.swapped}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        meta = state["meta"]
        valid = (set(meta) == {"steps", "swapped"} and type(meta["swapped"]) is bool
                 and type(meta["steps"]) is int and 0 <= meta["steps"] < 2 ** 63)
        if not valid:
            raise CheckpointError("AveragedWeights: expected a number of steps and whether swapped, "
                                  f"got {meta}")
        self.steps, self.swapped, self.other = meta["steps"], meta["swapped"], dict(state["arrays"])
