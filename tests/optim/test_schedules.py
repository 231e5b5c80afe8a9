"""The learning-rate schedules: PyTorch's rates, epoch by epoch, and going on from a saved place."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import minilstm as ml
from minilstm.optim.schedules import Schedule

CLOSED = [(ml.LambdaLR, {"lr_lambda": lambda epoch: 0.95 ** epoch / (1 + epoch)}), (ml.StepLR, {"step_size": 3, "gamma": 0.3}),
          (ml.StepLR, {"step_size": 1}), (ml.MultiStepLR, {"milestones": [7, 2, 2, 9], "gamma": 0.5}),
          (ml.ExponentialLR, {"gamma": 0.9}), (ml.CosineAnnealingLR, {"T_max": 10}),
          (ml.CosineAnnealingLR, {"T_max": 7, "eta_min": 0.01}), (ml.LinearLR, {}),
          (ml.LinearLR, {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 8})]
METRICS = [1.0, 0.9, 0.95, 0.91, 0.92, 0.8, 0.7999, 0.79995, 0.81, 0.9, 0.9, math.nan, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6]
PLATEAU = [{"patience": 2}, {"patience": 0}, {"mode": "max", "patience": 1, "factor": 0.5}, {"patience": 1, "cooldown": 3},
           {"patience": 0, "min_lr": 0.04, "factor": 0.7}, {"patience": 1, "threshold": 0.0},
           {"patience": 1, "threshold": 0.1}, {"mode": "max", "patience": 0, "cooldown": 1, "threshold": 0.05},
           {"patience": 0, "factor": 0.001}]


def optimizer(lr: float = 0.3) -> ml.SGD:
    return ml.SGD(ml.Linear(2, 1, rng=0), lr=lr)


def step(scheduler: Any, epoch: int) -> None:
    scheduler.step(*([METRICS[epoch % len(METRICS)]] if type(scheduler).__name__ == "ReduceLROnPlateau" else []))


@pytest.mark.parametrize("kind, options", CLOSED + [(ml.ReduceLROnPlateau, options) for options in PLATEAU])
@pytest.mark.filterwarnings("ignore:Detected call of")          # PyTorch wants an optimiser step in between
def test_agrees_with_pytorch(kind: Any, options: dict) -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    reference = getattr(torch.optim.lr_scheduler, kind.__name__)(theirs, **options)
    scheduler = kind(optimizer(), **options)
    for epoch in range(30):
        assert scheduler.optimizer.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12, abs=1e-15), epoch
        assert scheduler.last_epoch == epoch
        step(scheduler, epoch)
        theirs.step()
        step(reference, epoch)


@pytest.mark.parametrize("kind, options", CLOSED + [(ml.ReduceLROnPlateau, options) for options in PLATEAU])
@pytest.mark.parametrize("done", [0, 1, 9])
def test_goes_on_from_a_saved_place(kind: Any, options: dict, done: int) -> None:
    first, second = kind(optimizer(), **options), kind(optimizer(), **options)
    for epoch in range(done):
        step(first, epoch)
    step(second, 0)
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    assert second.optimizer.lr == first.optimizer.lr and second.state_dict() == first.state_dict()
    for epoch in range(done, done + 12):
        step(first, epoch)
        step(second, epoch)
        assert first.optimizer.lr == second.optimizer.lr


def test_plateau_takes_0d_arrays_and_keeps_a_rate_set_by_hand() -> None:
    scheduler = ml.ReduceLROnPlateau(optimizer(), patience=0, factor=0.5)
    scheduler.step(np.asarray(np.float32(1.0)))
    scheduler.optimizer.lr = 0.8
    scheduler.step(np.float64(2.0))
    assert scheduler.optimizer.lr == 0.4
    for metric in (np.ones(1), "low", None):
        with pytest.raises(ml.ArgumentError, match="one real number"):
            scheduler.step(metric)
    assert scheduler.last_epoch == 2


@pytest.mark.parametrize("state", [
    None, {}, {"type": "StepLR", "last_epoch": 3}, {"type": "LinearLR", "base_lr": 0.1, "last_epoch": 3},
    {"type": "StepLR", "base_lr": 0.1, "last_epoch": 3, "best": 1}, {"type": "StepLR", "base_lr": "0.1", "last_epoch": 3},
    {"type": "StepLR", "base_lr": 0.1, "last_epoch": -1}, {"type": "StepLR", "base_lr": 0.1, "last_epoch": 1.5},
    {"type": "StepLR", "base_lr": float("nan"), "last_epoch": 1}, {"type": "StepLR", "base_lr": 0.1, "last_epoch": True}])
def test_a_state_that_does_not_fit_changes_nothing(state: Any) -> None:
    scheduler = ml.StepLR(optimizer(), 2)
    scheduler.step()
    before = scheduler.state_dict()
    with pytest.raises(ml.CheckpointError, match="schedule state"):
        scheduler.load_state_dict(state)
    assert scheduler.state_dict() == before and scheduler.optimizer.lr == 0.3


@pytest.mark.parametrize("field, value", [("best", "1"), ("best", float("nan")), ("lr", -1), ("cooldown_counter", 0.5)])
def test_a_plateau_state_that_does_not_fit(field: str, value: Any) -> None:
    scheduler = ml.ReduceLROnPlateau(optimizer())
    with pytest.raises(ml.CheckpointError, match=field):
        scheduler.load_state_dict({**scheduler.state_dict(), field: value})
    assert scheduler.optimizer.lr == 0.3


@pytest.mark.parametrize("make", [
    lambda o: ml.StepLR(o, 0), lambda o: ml.StepLR(o, 2, gamma=-1), lambda o: ml.MultiStepLR(o, [0]),
    lambda o: ml.ExponentialLR(o, math.nan), lambda o: ml.CosineAnnealingLR(o, 2.5), lambda o: ml.LinearLR(o, total_iters=0),
    lambda o: ml.LambdaLR(o, 0.5), lambda o: ml.LambdaLR(o, lambda epoch: -1.0), lambda o: ml.ReduceLROnPlateau(o, "low"),
    lambda o: ml.ReduceLROnPlateau(o, factor=1.0), lambda o: ml.ReduceLROnPlateau(o, patience=-1),
    lambda o: ml.ReduceLROnPlateau(o, cooldown=True), lambda o: ml.ReduceLROnPlateau(o, min_lr=-1)])
def test_arguments_are_checked(make: Any) -> None:
    with pytest.raises(ml.ArgumentError):
        make(optimizer())


def test_a_lambda_that_fails_changes_nothing() -> None:
    scheduler = ml.LambdaLR(optimizer(), lambda epoch: 1.0 if epoch < 2 else math.nan)
    scheduler.step()
    with pytest.raises(ml.ArgumentError, match="lr"):
        scheduler.step()
    assert scheduler.last_epoch == 1 and scheduler.optimizer.lr == 0.3


def test_needs_an_optimiser() -> None:
    with pytest.raises(ml.DtypeError, match="optimiser"):
        ml.StepLR(ml.Linear(2, 1, rng=0), 3)


def test_every_schedule_is_tested() -> None:
    assert {kind for kind, _ in CLOSED} | {ml.ReduceLROnPlateau} == set(Schedule.__subclasses__())
