"""Advice while training: one line after an epoch whose numbers show that something is wrong.

    exploding    a gradient norm is over 1,000 times the usual one, and is not clipped
    jump         the mean loss of 10 steps is over twice that at the beginning (in epoch 1 the largest of the
                 first 5, then the mean of epoch 1), and no gradient exploded
    stuck        after 200 steps the mean binary cross-entropy is ln 2, within 0.005
    vanishing    less than a millionth of the gradient reaches the first half of the steps
    saturated    9 in 10 of a gate's values are within 0.001 of its limits
    overfitting  the validation loss has risen (``History.overfits_from``)

The limits are such that the reference model's runs are told of overfitting alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minilstm.backend.arrays import to_numpy
from minilstm.gradients.instruments.flow import backward_flow, check_upstream, model_upstream, norms
from minilstm.gradients.instruments.saturation import GATES_OF, TANH_GATES
from minilstm.gradients.instruments.unrolled import CELL_OF, Unrolled, unroll
from minilstm.layers.recurrent import Recurrent
from minilstm.layers.sequential import Sequential
from minilstm.losses.binary_cross_entropy import BCELoss, BCEWithLogitsLoss
from minilstm.training.callbacks import Callback
from minilstm.training.history import Row
from minilstm.training.nonfinite import QUIET
from minilstm.training.progress import say
from minilstm.training.run import Run

STEPS = 200         # until the loss may be called stuck, and between two looks, each as dear as two steps
SEQUENCES = 4       # looked at


class Advice(Callback):
    """Print a line after an epoch if something is wrong, each kind of thing once.

    Vanishing gradients and saturated gates are looked for every 200 steps or more, in the latest batch, if
    the model is a Sequential whose one recurrent layer (one layer, one direction) returns its last state.
    Training gives the same bits with and without.

    Attributes:
        given: list of (epoch, kind, text); minilstm/training/advice.py says what the kinds are.
    """

    def __init__(self) -> None:
        self.given: list[tuple[int, str, str]] = []
        self._losses: list[float] = []          # of this epoch
        self._norms: list[float] = []
        self._steps = self._looked = 0          # so far, and at the last look

    def on_step_end(self, run: Run, epoch: int, step: int, loss: float, grad_norm: float) -> None:
        self._losses.append(loss)
        self._norms.append(grad_norm)
        self._steps += 1

    def on_epoch_end(self, run: Run, row: Row) -> None:
        if not self._losses:        # resumed behind the epoch's last step
            return
        known = {kind for _, kind, _ in self.given}
        new = next(((kind, text) for kind, text in self._findings(run, row) if kind not in known), None)
        if new is not None:
            self.given.append((row["epoch"], *new))
            say(f"Advice: {new[1]}.")
        self._losses, self._norms = [], []

    def _findings(self, run: Run, row: Row) -> Iterator[tuple[str, str]]:
        """Yield (kind, text), the most urgent first."""
        history, norm = run.history, max(self._norms)
        loss = max(np.convolve(self._losses, [0.1] * 10, "valid"))      # less where they are fewer
        first, usual = history.rows[0]["train_loss"], history.rows[0]["grad_norm"]
        if len(history) == 1:
            first, usual = max(self._losses[:5]), float(np.median(self._norms))
        exploded = run.clip_norm is None and norm > 1000 * usual > 0
        if exploded:
            yield "exploding", (f"the gradient's norm was {norm:.3g} in step {self._norms.index(norm) + 1} "
                                f"(usual: {usual:.2g}); limit it with clip_norm")
        elif loss > 2 * first > 0:
            yield "jump", (f"the loss jumped to {loss:.4g} (it began near {first:.4g}), and no gradient "
                           f"exploded: the learning rate, {row['lr']:g}, is too high")
        criterion = run.criterion
        binary = isinstance(criterion, (BCELoss, BCEWithLogitsLoss)) and criterion.reduction == "mean"
        if binary and self._steps >= STEPS and abs(row["train_loss"] - math.log(2)) < 0.005:
            yield "stuck", (f"the loss, {row['train_loss']:.4f}, is ln 2: the model knows nothing of the "
                            f"labels{_on_padding(run)}")
        layer = _recurrent(run.model)
        due = self._steps - self._looked >= STEPS and not run.carry_state
        if due and type(layer) in CELL_OF and layer.num_layers * layer.directions == 1:
            self._looked = self._steps
            yield from _look(run)
        start = history.overfits_from()
        if start is not None:
            yield "overfitting", (f"the validation loss has risen since epoch {start - 1}, from "
                                  f"{history['val_loss'][start - 2]:.4f} to {row['val_loss']:.4f}, while the "
                                  "training loss fell")


def _recurrent(model: Any) -> Any:
    """Return the one recurrent layer of a Sequential, if it returns its last state; else None."""
    layers = model.layers if isinstance(model, Sequential) else []
    found = [layer for layer in layers if isinstance(layer, Recurrent)]
    return found[0] if len(found) == 1 and not found[0].return_sequences else None


def _on_padding(run: Run) -> str:
    """Say how many last states of the latest batch are those of padding (zeros), where the model sees it."""
    x, _, options = run.batch
    if options or _recurrent(run.model) is None:
        return ""
    count = int((x[:, -1] == 0).reshape(len(x), -1).all(axis=1).sum())
    text = f"; {count} of {len(x)} last states stand on padding"
    return f"{text}: give lengths, or pad in front" if count else text


def _look(run: Run) -> Iterator[tuple[str, str]]:
    x, y, options = run.batch
    options = {name: to_numpy(value)[:SEQUENCES] for name, value in options.items()}
    with np.errstate(**QUIET):
        layer, below, upstream = model_upstream(run.model, run.criterion, to_numpy(x)[:SEQUENCES],
                                                to_numpy(y)[:SEQUENCES], **options)
        unrolled = unroll(layer, below, **options)
        flow = backward_flow(unrolled, *check_upstream(unrolled, None, upstream["dh_last"], None))
        size = norms(flow.dh) if flow.dc is None else np.maximum(norms(flow.dh), norms(flow.dc))
        share = np.median(size / size.max(axis=0), axis=1)
    if getattr(layer, "nonlinearity", "tanh") == "tanh":
        yield from _saturated(unrolled, flow.real)
    T, lost = len(size) - 1, int(np.argmax(share > 1e-6))       # at the steps before, it is less
    if lost > T / 2:
        yield "vanishing", (f"of the gradient at step {T}, {share[T // 2]:.0e} is left at step {T // 2}, so "
                            f"what happens before step {lost} is hardly learned")


def _saturated(unrolled: Unrolled, real: np.ndarray) -> Iterator[tuple[str, str]]:
    for gate in GATES_OF[unrolled.cell]:
        values = np.stack([getattr(cache, gate) for cache in unrolled.caches])[real]
        share = float(((values > 0.999) | (values < (-0.999 if gate in TANH_GATES else 0.001))).mean())
        if share > 0.9:
            yield "saturated", (f"{share:.0%} of the values of {gate} are at its limits, where no gradient "
                                "passes: weights or inputs are too large")
