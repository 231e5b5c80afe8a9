"""Ctrl-C at any moment: the run stops after its step and goes on later, bit for bit."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from backends import backend
from training_cases import (PICTURE, STEPS, At, callbacks, ctrl_c, everything, files, loaders, modes,
                            poisoned, trainer)

import minilstm as ml
from minilstm.backend.errors import CheckpointError
from minilstm.training import progress
from minilstm.training import run_folder as runs
from minilstm.training import trainer as training
from minilstm.training.callbacks import Callback
from minilstm.training.interrupt import Interrupted
from minilstm.training.trainer import Trainer


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("step", [1, 3, STEPS])
def test_interrupt_and_resume_at_any_step_is_bit_exact(tmp_path: Path, whole: Any, epoch: int, step: int) -> None:
    handler = signal.getsignal(signal.SIGINT)
    t = trainer(tmp_path, callbacks=callbacks(At(epoch, step, ctrl_c)), config={"name": "ü"})
    with pytest.raises(KeyboardInterrupt, match=f"epoch {epoch}, step {step}.*last.ckpt") as caught:
        t.fit(*loaders(), epochs=3)
    assert isinstance(caught.value, Interrupted) and (caught.value.epoch, caught.value.step) == (epoch, step)
    assert caught.value.run_dir == str(tmp_path) and signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / runs.CURVES).exists() == (epoch > 1 and bool(PICTURE))
    again = trainer(tmp_path, seed=9, callbacks=callbacks(), config={"name": "ü"}).resume()
    assert (again.epoch, again.step) == (epoch - 1, step)
    again.fit(*loaders(), epochs=3)
    assert everything(again) == whole[0] and files(tmp_path) == whole[1]


def test_the_interrupted_trainer_itself_goes_on(tmp_path: Path, whole: Any) -> None:
    t = trainer(tmp_path, callbacks=callbacks(At(2, 2, ctrl_c)), config={"name": "ü"})
    with pytest.raises(Interrupted):
        t.fit(*loaders(), epochs=3)
    with pytest.raises(CheckpointError, match="batch_size was 8, now it is 9"):
        t.fit(*loaders(batch_size=9), epochs=3)
    t.fit(*loaders(), epochs=3)
    assert everything(t) == whole[0] and files(tmp_path) == whole[1]


def test_interrupt_during_validation(tmp_path: Path, whole: Any) -> None:
    class Stopping(ml.DataLoader):
        def batches(self, epoch: int, start: int = 0) -> Any:
            for k, batch in enumerate(super().batches(epoch, start)):
                if k == 1 and self.armed:
                    ctrl_c()
                yield batch
    train, val = loaders()
    stopping = Stopping(*val.arrays, batch_size=6, backend=backend())
    stopping.armed = True
    t = trainer(tmp_path, callbacks=callbacks(), config={"name": "ü"})
    with pytest.raises(Interrupted, match=f"epoch 1, step {STEPS}"):
        t.fit(train, stopping, epochs=3)
    again = trainer(tmp_path, seed=9, callbacks=callbacks(), config={"name": "ü"})
    again.fit(train, val, epochs=3, resume=True)
    assert everything(again) == whole[0] and files(tmp_path) == whole[1]


def test_a_second_ctrl_c_stops_at_once_and_the_folder_stays_good(tmp_path: Path, whole: Any) -> None:
    t = trainer(tmp_path, callbacks=callbacks(At(2, 2, ctrl_c), At(2, 2, ctrl_c)), config={"name": "ü"})
    with pytest.raises(KeyboardInterrupt) as caught:
        t.fit(*loaders(), epochs=3)
    assert not isinstance(caught.value, Interrupted) and all(modes(t.model))
    again = trainer(tmp_path, seed=9, callbacks=callbacks(), config={"name": "ü"})
    again.fit(*loaders(), epochs=3, resume=True)
    assert files(tmp_path) == whole[1]


def test_training_in_a_thread_installs_no_handler(whole: Any) -> None:
    t, done = trainer(callbacks=callbacks(), config={"name": "ü"}), []
    thread = threading.Thread(target=lambda: done.append(t.fit(*loaders(), epochs=3)))
    thread.start()
    thread.join()
    assert done and everything(t) == whole[0]


def test_ctrl_c_that_nobody_looked_at_is_not_lost() -> None:
    class Late(Callback):
        def on_train_end(self, trainer: Trainer) -> None:
            ctrl_c()
    t = trainer(callbacks=[Late()])
    with pytest.raises(KeyboardInterrupt):
        t.fit(*loaders(), epochs=1)
    assert t.evaluate(loaders()[1])


def test_interrupt_without_a_callback() -> None:
    (whole, _), (t, poison) = poisoned(), poisoned()
    whole.fit(*loaders(), epochs=1)
    forward = poison.forward

    def interrupting(x: Any) -> Any:
        if poison.calls == 1:
            ctrl_c()
        return forward(x)
    poison.forward = interrupting                       # type: ignore[method-assign]
    with pytest.raises(Interrupted, match="epoch 1, step 2"):
        t.fit(*loaders(), epochs=1)
    t.fit(*loaders(), epochs=1)
    assert everything(t) == everything(whole)


def test_a_signal_between_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Striking(progress.NoBar):
        def update(self, n: int = 1) -> None:
            if t.optimizer.steps == 2:
                ctrl_c()
    (whole, _), (t, _) = poisoned(), poisoned()
    whole.fit(*loaders(), epochs=1)
    monkeypatch.setattr(training.evaluation, "bar_for", lambda *args: Striking())
    with pytest.raises(Interrupted) as caught:
        t.fit(*loaders(), epochs=1)
    assert t.step == caught.value.step == 2
    t.fit(*loaders(), epochs=1)
    assert everything(t) == everything(whole)
