"""Hold a gate open or shut while a model is trained, to see whether a task needs it.

A gate is g_t = σ(w_g [h_{t-1}, x_t] + b_g). With w_g = 0 it no longer depends on what is read, and b_g = ±20
makes it 1 or 0 (σ(20) rounds to 1 in float32). Nothing of the cell changes: after each step, these columns of
its weights are put back.
"""

from __future__ import annotations

from typing import Any

from minilstm.backend.errors import ArgumentError
from minilstm.layers.recurrent import Recurrent
from minilstm.training.callbacks import Callback
from minilstm.training.run import Run

OPEN, SHUT = 20.0, -20.0


class HoldGates(Callback):
    """Hold gates of all recurrent layers of a model.

    Args:
        gates: by name, 1 for a gate that is held open, 0 for one that is held shut: {"i": 1, "o": 1}.

    Put it before AveragedWeights. Raises ArgumentError for a gate that the model does not have.
    """

    def __init__(self, gates: dict[str, int]) -> None:
        self.gates = gates

    def on_train_begin(self, run: Run) -> None:
        layers = [layer for _, layer in run.model.modules() if isinstance(layer, Recurrent)]
        if not layers:
            raise ArgumentError("HoldGates: the model has no recurrent layer")
        for layer in layers:
            wrong = [name for name in self.gates if name not in layer.gates[:-1]]
            if wrong:
                raise ArgumentError(f"HoldGates: {type(layer).__name__} has no gate {wrong[0]!r}")
        self._hold(run)

    def on_step_end(self, run: Run, *_: Any) -> None:
        self._hold(run)

    def _hold(self, run: Run) -> None:
        for _, layer in run.model.modules():
            if isinstance(layer, Recurrent):
                for name, value in self.gates.items():
                    for depth in range(layer.num_layers):
                        for reverse in (False, True)[:layer.directions]:
                            w, b = layer.gate(name, depth, reverse)
                            w[...], b[...] = 0, OPEN if value else SHUT
        run.model.drop_caches()
