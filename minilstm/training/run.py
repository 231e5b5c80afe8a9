"""A training run as plain data: what is trained, how, and where it stands.

The Trainer works on it; callbacks, the state in checkpoints and the run folder see this and nothing else of the Trainer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from minilstm.backend.arrays import Array
from minilstm.layers.module import Module
from minilstm.training.history import History


@dataclass
class Run:
    """What a training is made of, and how far it has come.

    Attributes:
        model, criterion, optimizer, scheduler, metric, clip_norm, callbacks, config: as given to the Trainer.
        history: the finished epochs.
        epoch: how many are finished.
        step: how many steps of the running epoch are done.
        sums: over these steps: loss, metric, gradient norm (before clipping), and samples.
        stop: None, or a text that says why training ends after the running epoch; set it to None to train on.
        validates: whether the running fit has validation data.
        data: what the loaders of this run are like, by role; None before the first fit.
    """

    model: Module
    criterion: Any
    optimizer: Any
    scheduler: Any = None
    metric: Callable[[Array, Array], Any] | None = None
    clip_norm: float | None = None
    callbacks: list[Any] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)
    epoch: int = 0
    step: int = 0
    sums: list[Any] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0])
    stop: str | None = None
    validates: bool = False
    data: dict[str, Any] | None = None
