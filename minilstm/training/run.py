"""A training run as plain data: what is trained, how, and how far it has progressed.

Callbacks, checkpoints and the run folder use this much of a Trainer, which is a run that trains itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minilstm.backend.arrays import Array
from minilstm.layers.module import Module
from minilstm.training.history import History


@dataclass(eq=False, repr=False)
class Run:
    """The parts of a training run and its progress.

    Attributes:
        model, criterion, optimizer, scheduler, metric, clip_norm, carry_state, callbacks, config: as given to
            the Trainer.
        history: the finished epochs.
        epoch: number of finished epochs.
        step: number of finished steps of the current epoch.
        sums: sums over these steps: loss, metric, gradient norm (before clipping), and samples.
        stop: None, or the reason why training ends after the current epoch; set it to None to continue
            training.
        validates: whether the current ``fit`` has validation data.
        state: with ``carry_state``, the final state of the last batch of this epoch; None: zeros.
        data: settings of the loaders of this run, by role; None before the first ``fit``.
        batch: the latest training batch, (x, y, keyword arguments of the model); None before the first.
    """

    model: Module
    criterion: Any
    optimizer: Any
    scheduler: Any = None
    metric: Callable[[Array, Array], Any] | None = None
    clip_norm: float | None = None
    carry_state: bool = False
    callbacks: list[Any] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)
    epoch: int = 0
    step: int = 0
    sums: list[Any] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0])
    stop: str | None = None
    validates: bool = False
    state: Any = None
    data: dict[str, Any] | None = None
    batch: Any = None
