"""Callbacks: when their hooks are called, and early stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_cases import STEPS, everything, loaders, trainer

import minilstm as ml
from minilstm.backend.errors import ArgumentError
from minilstm.training import run_folder as runs
from minilstm.training.callbacks import Callback, EarlyStopping
from minilstm.training.trainer import Trainer


def test_hooks_are_called_in_their_places() -> None:
    class Recorder(Callback):
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def on_train_begin(self, trainer: Trainer) -> None:
            self.calls.append("train")

        def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
            self.calls.append(("epoch", epoch))

        def on_step_end(self, trainer: Trainer, epoch: int, step: int, loss: float, grad_norm: float) -> None:
            assert isinstance(loss, float) and grad_norm > 0 and trainer.step == step
            self.calls.append((epoch, step))

        def on_epoch_end(self, trainer: Trainer, row: Any) -> None:
            self.calls.append(("end", row["epoch"]))
            if row["epoch"] == 2:
                trainer.stop = "enough"

        def on_train_end(self, trainer: Trainer) -> None:
            self.calls.append("done")
    recorder, lines = Recorder(), []                    # type: ignore[var-annotated]
    trainer(callbacks=[recorder], verbose=True, print_fn=lines.append).fit(*loaders(), epochs=9)
    steps = [[("epoch", e), *((e, s) for s in range(1, STEPS + 1)), ("end", e)] for e in (1, 2)]
    assert recorder.calls == ["train", *steps[0], *steps[1], "done"] and "Stopped after epoch 2: enough." in lines


def test_early_stopping_restores_the_best_weights(tmp_path: Path) -> None:
    values = iter([0.5, 0.4, 0.45, 0.41, 0.3])
    weights: list[Any] = []

    class Scripted(Callback):
        def on_epoch_end(self, trainer: Trainer, row: Any) -> None:
            row["val_loss"] = next(values)
            weights.append(trainer.model.state_dict())
    t = trainer(tmp_path, callbacks=[Scripted(), EarlyStopping(patience=2, restore_best=True)])
    t.fit(*loaders(), epochs=9)
    assert t.epoch == 4 and t.stop and "val_loss has not improved for 2 epochs; best 0.4000 at epoch 2" in t.stop
    for name, value in t.model.state_dict().items():
        assert (value == weights[1][name]).all()
    assert (ml.load_checkpoint(tmp_path / runs.LAST)[0]["model.1.W"] == weights[3]["1.W"]).all()
    again = trainer(tmp_path, seed=9, callbacks=[Scripted(), EarlyStopping(patience=2, restore_best=True)])
    again.fit(*loaders(), epochs=9, resume=True)            # it has stopped for good, with the same weights
    assert again.epoch == 4 and everything(again)["weights"] == everything(t)["weights"]
    longer = trainer(tmp_path, seed=9, callbacks=[Scripted(), EarlyStopping(patience=3, restore_best=True)])
    longer.fit(*loaders(), epochs=5, resume=True)
    assert longer.epoch == 5 and longer.stop is None and "a larger patience continues" in again.stop


def test_a_larger_patience_does_not_undo_another_reason(tmp_path: Path) -> None:
    stopping = EarlyStopping(patience=9)
    t = trainer(callbacks=[stopping])
    t.fit(*loaders(), epochs=2)
    t.stop, stopping.waited = "enough", 1
    t.fit(*loaders(), epochs=3)
    assert t.epoch == 2 and t.stop == "enough"


@pytest.mark.parametrize("mode, values, stops_at", [("max", [1, 2, 2, 1.5], 4), (None, [3, 2, 2.5, 2], 4),
                                                    ("min", [3, 2.95, 2.91, 1], 3)])
def test_early_stopping_rules(mode: str | None, values: list[float], stops_at: int) -> None:
    stopping = EarlyStopping(2, "train_loss", mode, min_delta=0.1)
    t = trainer()
    for epoch, value in enumerate(values, start=1):
        stopping.on_epoch_end(t, {"epoch": epoch, "train_loss": value})
        assert bool(t.stop) == (epoch >= stops_at)
        if t.stop:
            return


def test_early_stopping_arguments() -> None:
    bad: dict[str, Any]
    for bad in ({"patience": 0}, {"monitor": "epoch"}, {"mode": "up"}, {"min_delta": -1}, {"min_delta": float("nan")}):
        with pytest.raises(ArgumentError):
            EarlyStopping(**bad)
    assert EarlyStopping(monitor="val_acc").mode == "max" and EarlyStopping().mode == "min"
    with pytest.raises(ArgumentError, match="no validation data"):
        trainer(callbacks=[EarlyStopping()]).fit(loaders()[0], epochs=1)
    with pytest.raises(ArgumentError, match="no metric"):
        trainer(callbacks=[EarlyStopping(monitor="train_acc")], metric=None).fit(loaders()[0], epochs=1)
