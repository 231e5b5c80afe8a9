"""A small training run: model, data, trainer, and what tests of training compare."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from backends import backend, host, put

import minilstm as ml
from minilstm.training import run_folder as runs
from minilstm.training.callbacks import Callback, EarlyStopping
from minilstm.training.trainer import Trainer

N, T, V = 37, 7, 11
STEPS = 5       # of 8 samples, the last one short
PICTURE = [runs.CURVES] if importlib.util.find_spec("matplotlib") else []       # without it a run has no picture
rng = np.random.default_rng(5)
X = rng.integers(0, V, (N, T))
LENGTHS = rng.integers(1, T + 1, N)
Y = (X[:, 0] > V // 2).astype(np.float32)


def build(seed: int = 0, p: float = 0.3, hidden: int = 3) -> ml.Sequential:
    model = ml.Sequential(ml.Embedding(V, 4), ml.LSTM(4, hidden, return_sequences=False), ml.Dropout(p), ml.Linear(hidden, 1),
                          ml.Sigmoid())
    model.reset_parameters(seed)
    return put(model)


def loaders(batch_size: int = 8, n: int = N, seed: int = 3) -> tuple[Any, Any]:
    return (ml.DataLoader(X[:n], Y[:n], LENGTHS[:n], batch_size=batch_size, shuffle=True, seed=seed, backend=backend()),
            ml.DataLoader(X[:20], Y[:20], LENGTHS[:20], batch_size=6, backend=backend()))


def rows(start: int, end: int) -> tuple[Any, Any]:
    """A batch without lengths."""
    return put(X[start:end]), put(Y[start:end])


def trainer(run_dir: Any = None, seed: int = 0, callbacks: Any = (), scheduler: bool = True, **options: Any) -> Trainer:
    model = build(seed)
    optimizer = ml.Adam(model, lr=0.05)
    return Trainer(model, ml.BCELoss(), optimizer, scheduler=ml.ExponentialLR(optimizer, 0.7) if scheduler else None,
                   callbacks=callbacks, run_dir=run_dir, **{"verbose": False, "clip_norm": 0.5, **options})


def everything(t: Trainer) -> dict[str, Any]:
    optimizer = t.optimizer.state_dict()
    return {"weights": {name: value.tobytes() for name, value in host(t.model.state_dict()).items()},
            "moments": {name: value.tobytes() for name, value in host(optimizer["arrays"]).items()},
            "optimizer": optimizer["meta"], "rng": t.model.rng_state(), "history": t.history.csv_text(),
            "position": (t.epoch, t.step, t.sums), "schedule": t.scheduler and t.scheduler.state_dict()}


def modes(model: ml.Module) -> list[bool]:
    return [module.training for _, module in model.modules()]


class At(Callback):
    """Do something after a certain step."""

    def __init__(self, epoch: int, step: int, action: Any) -> None:
        self.place, self.action = (epoch, step), action

    def on_step_end(self, trainer: Trainer, epoch: int, step: int, loss: float, grad_norm: float) -> None:
        if (epoch, step) == self.place:
            self.action()


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (runs.HISTORY, runs.LAST, runs.BEST)}


def callbacks(*more: Callback) -> list[Callback]:
    return [EarlyStopping(patience=5, restore_best=True), *more]


class Poison(ml.Module):
    """The identity, until told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.forward_at, self.backward_at = 0, 0, 0

    def forward(self, x: Any) -> Any:
        if self.training:
            self.calls += 1
        self.push(None)
        return x * np.nan if self.forward_at and self.calls >= self.forward_at else x

    def backward(self, dy: Any) -> Any:
        self.pop()
        return dy * np.inf if self.calls == self.backward_at else dy


def poisoned(run_dir: Any = None, metric: Any = "accuracy") -> tuple[Trainer, Poison]:
    poison, model = Poison(), build(p=0.0)
    model.layers.insert(2, poison)
    return Trainer(model, ml.BCELoss(), ml.Adam(model, lr=0.05), verbose=False, run_dir=run_dir, metric=metric), poison
