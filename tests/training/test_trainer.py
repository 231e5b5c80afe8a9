"""The Trainer's promises: the loop it writes is the loop, a resumed run is the run, and no NaN reaches a weight."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import backend, host, put, xp

import minilstm as ml
from minilstm.backend.errors import ArgumentError, CheckpointError, NonFiniteError
from minilstm.training import progress
from minilstm.training import run_folder as runs
from minilstm.training import trainer as training
from minilstm.training.callbacks import Callback, EarlyStopping
from minilstm.training.interrupt import Interrupted
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


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Drawing takes longer than training here, so most tests only see that it was asked for."""
    if "picture" not in request.node.name:
        monkeypatch.setattr(training, "curves", lambda history, path: path.write_bytes(b"drawn"))


# The loop ------------------------------------------------------------------------------------------------------------


def test_fit_is_the_loop_written_by_hand() -> None:
    t = trainer(scheduler=False, clip_norm=None)
    history = t.fit(*loaders(), epochs=2)
    model, criterion, loader = build(), ml.BCELoss(), loaders()[0]
    optimizer = ml.Adam(model, lr=0.05)
    for epoch in range(2):
        loss_sum = right = norms = 0.0
        for x, y, lengths in loader:
            model.zero_grad()
            p = model(x, lengths=lengths)
            loss_sum += float(criterion(p, y)) * len(x)
            right += int(((p[:, 0] >= 0.5) == (y == 1)).sum())
            model.backward(criterion.backward())
            norms += float(ml.clip_grad_norm(model, np.inf))
            optimizer.step()
        assert history["train_loss"][epoch] == pytest.approx(loss_sum / N, rel=1e-12)
        assert history["train_acc"][epoch] == pytest.approx(right / N, rel=1e-12)
        assert history["grad_norm"][epoch] == pytest.approx(norms / STEPS, rel=1e-12)
    for name, value in model.state_dict().items():
        assert value.tobytes() == t.model.state_dict()[name].tobytes()
    model.eval()
    p, y = model(put(X[:20]), lengths=LENGTHS[:20]), put(Y[:20])
    assert history["val_loss"][-1] == pytest.approx(float(criterion(p, y)), rel=1e-6)
    assert history["val_acc"][-1] == pytest.approx(float(ml.accuracy(p, y)), rel=1e-12)
    host(np.array([history[name] for name in ("train_loss", "train_acc", "grad_norm", "val_loss", "val_acc")], np.float32))


def test_it_learns_and_says_so() -> None:
    lines: list[str] = []
    t = trainer(verbose=True, print_fn=lines.append, scheduler=False)
    history = t.fit(*loaders(), epochs=15)
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert lines == [history.line(row) for row in history] + [history.verdict()]


def test_a_schedule_is_stepped_after_each_epoch() -> None:
    assert trainer().fit(*loaders(), epochs=3)["lr"] == pytest.approx([0.05, 0.035, 0.0245])


def test_clipping_bounds_the_update_and_logs_the_norm_before() -> None:
    model = build()
    t = Trainer(model, ml.BCELoss(), ml.SGD(model, lr=1.0), clip_norm=1e-3, verbose=False)
    before = model.state_dict()
    t.fit(loaders()[0], epochs=1)
    moved = np.sqrt(sum(((value - before[name]) ** 2).sum() for name, value in model.state_dict().items()))
    assert 0 < moved <= STEPS * 1.001e-3 and t.history["grad_norm"][0] > 1e-2


def test_no_validation_no_metric_any_iterable() -> None:
    t = trainer(metric=None)
    history = t.fit([rows(0, 8), rows(8, 12)], epochs=2)
    assert history["val_loss"] == history["val_acc"] == history["train_acc"] == [None, None]
    assert history.line() == f"Epoch 2: Train Loss={history['train_loss'][1]:.4f}"


def test_epochs_are_a_total() -> None:
    lines: list[str] = []
    twice, once = trainer(verbose=True, print_fn=lines.append), trainer()
    twice.fit(*loaders(), epochs=1)
    twice.fit(*loaders(), epochs=3)
    once.fit(*loaders(), epochs=3)
    assert everything(twice) == everything(once)
    lines.clear()
    twice.fit(*loaders(), epochs=3)
    assert "Nothing left to do: the run has 3 epochs, and 3 in all" in lines[0] and everything(twice) == everything(once)


def test_sum_reduction_is_logged_as_a_mean() -> None:
    model = build(p=0.0)
    t = Trainer(model, ml.BCELoss(reduction="sum"), ml.SGD(model, lr=0.0), verbose=False)
    assert t.evaluate(loaders()[1])[0] == pytest.approx(Trainer(model, ml.BCELoss(), t.optimizer).evaluate(loaders()[1])[0])
    t.fit(loaders()[0], epochs=1)
    loss = ml.BCELoss()(model.eval()(put(X), lengths=LENGTHS), put(Y))
    assert t.history["train_loss"][0] == pytest.approx(float(loss), rel=1e-5)


def test_evaluate_and_predict_leave_everything_as_it_was() -> None:
    t = trainer()
    dict(t.model.modules())["1"].eval()
    before, seen, states = everything(t), modes(t.model), t.model.rng_state()
    x, y = rows(0, 4)
    loss = t.criterion(t.model(x), y)
    after_forward = t.model.rng_state()
    assert after_forward != states
    first, second = t.evaluate(loaders()[1]), t.evaluate(loaders()[1])
    out = t.predict(X, batch_size=5, lengths=LENGTHS.tolist())
    assert first == second and out.shape == (N, 1) and modes(t.model) == seen and t.model.rng_state() == after_forward
    np.testing.assert_allclose(out, host(t.model.eval()(put(X), lengths=LENGTHS)), rtol=1e-5)
    assert t.criterion.backward().shape == (4, 1) and float(loss) > 0   # the loss before the evaluation is still the latest
    assert everything(t)["weights"] == before["weights"]
    with pytest.raises(ml.ShapeError):
        t.predict(X[:0])
    with pytest.raises(ArgumentError):
        t.predict(X, batch_size=0)


def test_modes_come_back_after_fit_and_after_errors() -> None:
    t = trainer()
    t.model.eval()
    t.fit(*loaders(), epochs=1)
    assert not any(modes(t.model))
    t.model.train()
    with pytest.raises(ml.TokenError if backend() == "numpy" else NonFiniteError, match="is outside the vocabulary"):
        t.evaluate([(put(X + V), put(Y))])
    assert all(modes(t.model))


@pytest.mark.parametrize("call", [
    lambda t: t.fit([], epochs=1), lambda t: t.fit(iter([]), epochs=1), lambda t: t.evaluate([]),
    lambda t: t.fit(loaders()[0], epochs=0), lambda t: t.fit(loaders()[0], epochs=1.5), lambda t: t.fit([X], epochs=1),
    lambda t: t.fit([(X,)], epochs=1), lambda t: t.resume(), lambda t: Trainer(t.model, t.criterion, t.optimizer, clip_norm=0),
    lambda t: Trainer(build(), t.criterion, t.optimizer), lambda t: trainer(clip_norm=float("nan"))])
def test_arguments_that_make_no_sense(call: Any) -> None:
    t = trainer()
    before = everything(t)
    with pytest.raises(ArgumentError):
        call(t)
    assert everything(t) == before


# Resume --------------------------------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (runs.HISTORY, runs.LAST, runs.BEST)}


def callbacks(*more: Callback) -> list[Callback]:
    return [EarlyStopping(patience=5, restore_best=True), *more]


@pytest.fixture(scope="module")
def whole(on_backend: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The run that was never interrupted: its state and its files."""
    folder = tmp_path_factory.mktemp("run") / "whole"
    t = trainer(folder, callbacks=callbacks(), config={"name": "ü"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "curves", lambda history, path: None)
        t.fit(*loaders(), epochs=3)
    return everything(t), files(folder)


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_resume_after_any_epoch_is_bit_exact(tmp_path: Path, whole: Any, epochs: int) -> None:
    trainer(tmp_path, callbacks=callbacks(), config={"name": "ü"}).fit(*loaders(), epochs=epochs)
    t = trainer(tmp_path, seed=9, callbacks=callbacks(), config={"name": "ü"})
    t.fit(*loaders(), epochs=3, resume=True)
    assert everything(t) == whole[0] and files(tmp_path) == whole[1]


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


def test_killed_between_two_files(tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    t, save, count = trainer(tmp_path, callbacks=callbacks(), config={"name": "ü"}), runs.save_checkpoint, iter(range(99))

    def dies(path: Path, *state: Any) -> None:
        if path.name == runs.LAST and next(count) == 2:
            raise SystemExit
        save(path, *state)
    monkeypatch.setattr(runs, "save_checkpoint", dies)
    with pytest.raises(SystemExit):
        t.fit(*loaders(), epochs=3)
    monkeypatch.undo()
    assert (tmp_path / runs.HISTORY).read_text().count("\n") == 3       # one row ahead of last.ckpt
    (tmp_path / ".minilstm-0.tmp").write_bytes(b"left over")
    again = trainer(tmp_path, seed=9, callbacks=callbacks(), config={"name": "ü"})
    again.fit(*loaders(), epochs=3, resume=True)
    assert everything(again) == whole[0] and files(tmp_path) == whole[1]
    assert sorted(os.listdir(tmp_path)) == sorted([runs.CONFIG, runs.HISTORY, *PICTURE, runs.LAST, runs.BEST])


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


@pytest.mark.parametrize("words, change", [
    ("the model differs: .*LSTM", lambda t, d: setattr(t.model.layers[1], "hidden_size", 4)),
    ("the model differs", lambda t, d: setattr(t.model.layers[2], "p", 0.4)),
    ("parameter 3.b: expected shape", lambda t, d: t.model.layers[3].add_param("b", np.zeros(2, np.float32))),
    ("parameter 0.W: expected dtype float64", lambda t, d: t.model.to(dtype=np.float64)),
    ("the optimizer differs: it was Adam, now it is SGD", lambda t, d: setattr(t, "optimizer", ml.SGD(t.model, 0.1))),
    ("the scheduler differs: it was ExponentialLR, now it is None", lambda t, d: setattr(t, "scheduler", None)),
    ("the criterion differs", lambda t, d: setattr(t, "criterion", ml.BCELoss(reduction="sum"))),
    ("the clip_norm differs: it was 0.5, now it is 1.0", lambda t, d: setattr(t, "clip_norm", 1.0)),
    ("the callbacks", lambda t, d: t.callbacks.clear()),
    ("training data: batch_size was 8, now it is 4", lambda t, d: d.update(batch_size=4)),
    ("training data: size was 37, now it is 36", lambda t, d: d.update(n=36)),
    ("training data: seed was 3, now it is 4", lambda t, d: d.update(seed=4))])
def test_what_does_not_fit_is_refused_before_anything_changes(tmp_path: Path, words: str, change: Any) -> None:
    trainer(tmp_path, callbacks=callbacks()).fit(*loaders(), epochs=1)
    t, data = trainer(tmp_path, seed=9, callbacks=callbacks()), {}      # type: ignore[var-annotated]
    change(t, data)
    before, kept = everything(t), files(tmp_path)
    with pytest.raises(CheckpointError, match=words) as caught:
        t.fit(*loaders(**data), epochs=2, resume=True)
    assert runs.LAST in str(caught.value) and everything(t) == before and files(tmp_path) == kept


def test_validation_data_that_is_gone(tmp_path: Path) -> None:
    trainer(tmp_path).fit(*loaders(), epochs=1)
    with pytest.raises(CheckpointError, match="trained with validation data, now there is none"):
        trainer(tmp_path).fit(loaders()[0], epochs=2, resume=True)
    with pytest.raises(CheckpointError, match="trained with validation data"):
        trainer(tmp_path).resume().fit(loaders()[0], epochs=2)


@pytest.mark.parametrize("damage", [
    lambda a, m: m.update(kind="other"), lambda a, m: m.pop("parts"), lambda a, m: m.pop("sums"),
    lambda a, m: m.update(rng={}), lambda a, m: m.update(history=[{}]), lambda a, m: m.update(epoch=2),
    lambda a, m: m.update(step=-1), lambda a, m: m.update(optimizer={}), lambda a, m: m.update(optimizer=None),
    lambda a, m: m["scheduler"].pop("base_lr"), lambda a, m: m["callbacks"][0][1].clear(),
    lambda a, m: a["model.0.W"].fill(np.nan), lambda a, m: a.pop("model.0.W"), lambda a, m: a.pop("optimizer.1.W.exp_avg"),
    lambda a, m: m["rng"]["2"].update(bit_generator="x"), lambda a, m: m.update(callbacks=[1]),
    lambda a, m: m.update(data=[1])])
def test_a_whole_file_with_a_wrong_state_changes_nothing(tmp_path: Path, damage: Any) -> None:
    trainer(tmp_path, callbacks=callbacks()).fit(*loaders(), epochs=1)
    arrays, meta = ml.load_checkpoint(tmp_path / runs.LAST)
    damage(arrays, meta)
    ml.save_checkpoint(tmp_path / runs.LAST, arrays, meta)
    t = trainer(tmp_path, seed=9, callbacks=callbacks())
    before = everything(t)
    with pytest.raises(CheckpointError, match="last.ckpt"):
        t.fit(*loaders(), epochs=2, resume=True)
    assert everything(t) == before


# The run folder ------------------------------------------------------------------------------------------------------


def test_the_folder_of_a_run_and_its_picture(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    t = trainer(folder, config={"name": "ü"})
    t.fit(*loaders(), epochs=2)
    assert sorted(os.listdir(folder)) == sorted([runs.CONFIG, runs.HISTORY, *PICTURE, runs.LAST, runs.BEST])
    assert ml.History.read_csv(folder / runs.HISTORY) == t.history
    config = json.loads((folder / runs.CONFIG).read_text())
    assert config["config"] == {"name": "ü"} == runs.load_config(folder) and config["data"]["training"]["size"] == N
    assert "LSTM" in config["model"] and config["optimizer"] == "Adam"
    fresh = build(seed=9)
    runs.load_weights(folder / runs.LAST, fresh)
    assert all((value == t.model.state_dict()[name]).all() for name, value in fresh.state_dict().items())
    best = ml.load_checkpoint(folder / runs.BEST)[1]["history"][-1]
    assert best == t.history.best
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in PICTURE)


def test_a_folder_with_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    trainer(tmp_path).fit(*loaders(), epochs=1)
    kept, t = files(tmp_path), trainer(tmp_path, seed=1)
    before = everything(t)
    with pytest.raises(ArgumentError, match="already contains a training run"):
        t.fit(*loaders(), epochs=2)
    assert files(tmp_path) == kept and everything(t) == before and (tmp_path / "notes.txt").read_text() == "mine"


def test_resume_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="last.ckpt: cannot be read"):
        trainer(tmp_path).fit(*loaders(), epochs=1, resume=True)


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for config, folder, error in (({}, tmp_path / "file", ml.ArgumentError), ({}, tmp_path / "file" / "run", ml.ArgumentError),
                                  ({"a": {1}}, tmp_path / "run", CheckpointError)):
        t = trainer(folder, config=config)
        before = everything(t)
        with pytest.raises(error):
            t.fit(*loaders(), epochs=1)
        assert everything(t) == before
    assert os.listdir(tmp_path) == ["file"]
    for text in ("", "[]", '{"config": 1}', '{"other": {}}'):
        (tmp_path / runs.CONFIG).write_text(text)
        with pytest.raises(CheckpointError, match="config.json"):
            runs.load_config(tmp_path)
    ml.save_checkpoint(tmp_path / "a.ckpt", {"model.x": np.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="a.ckpt"):
        runs.load_weights(tmp_path / "a.ckpt", build())


def test_a_run_can_branch_into_another_folder(tmp_path: Path, whole: Any) -> None:
    trainer(tmp_path / "a", callbacks=callbacks(), config={"name": "ü"}).fit(*loaders(), epochs=1)
    kept = files(tmp_path / "a")
    t = trainer(tmp_path / "b", seed=9, callbacks=callbacks(), config={"name": "ü"}).resume(tmp_path / "a")
    t.fit(*loaders(), epochs=3)
    assert files(tmp_path / "a") == kept and everything(t) == whole[0]
    assert (tmp_path / "b" / runs.HISTORY).read_bytes() == whole[1][runs.HISTORY]


def test_matplotlib_missing_costs_only_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    lines: list[str] = []
    trainer(tmp_path, verbose=True, print_fn=lines.append).fit(*loaders(), epochs=1)
    assert not (tmp_path / runs.CURVES).exists() and any("pip install matplotlib" in line for line in lines)


# NaN and infinity ----------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("place", ["forward", "backward"])
@pytest.mark.parametrize("at", [1, 7, STEPS * 2])
def test_the_first_nan_stops_training_before_any_weight_changes(tmp_path: Path, at: int, place: str) -> None:
    good, _ = poisoned()
    train = loaders()[0]
    epoch, step = (at - 1) // STEPS, (at - 1) % STEPS
    good.callbacks.append(At(epoch + 1, step, ctrl_c))
    if step:
        with pytest.raises(Interrupted):
            good.fit(train, epochs=2)
    elif epoch:
        good.fit(train, epochs=epoch)
    bad, poison = poisoned(tmp_path)
    setattr(poison, f"{place}_at", at)
    where = "the output of layer 2 .Poison" if place == "forward" else r"gradient of .*1\.[Wb] .LSTM"
    with pytest.raises(NonFiniteError, match=f"epoch {epoch + 1}, step {step + 1}: .*{where}.*no weight was changed"):
        bad.fit(train, epochs=2)
    assert everything(bad)["weights"] == everything(good)["weights"]
    assert everything(bad)["moments"] == everything(good)["moments"]
    assert everything(bad)["position"] == everything(good)["position"] and bad.optimizer.steps == at - 1
    assert ml.load_checkpoint(tmp_path / runs.LAST)[1]["epoch"] == epoch
    poison.forward_at = poison.backward_at = 0          # mended: the same trainer goes on, as if nothing had been
    bad.fit(train, epochs=2)
    good.callbacks.clear()
    good.fit(train, epochs=2)
    assert everything(bad) == everything(good)


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


@pytest.mark.parametrize("dtype, large", [(np.float32, 1e25), (np.float64, 1e200)])
def test_an_infinite_loss_with_finite_gradients_is_refused(dtype: Any, large: float) -> None:
    model = put(ml.Sequential(ml.Linear(2, 1, dtype=dtype, rng=0)))
    t = Trainer(model, ml.MSELoss(), ml.Adam(model), verbose=False, metric=None)
    x, y = put(np.ones((4, 2), dtype)), put(np.zeros((4, 1), dtype))
    with pytest.raises(NonFiniteError, match="epoch 1, step 2: the loss is inf: every layer's output is finite"):
        t.fit([(x, y), (x, y + dtype(large)), (x, y)], epochs=1)
    assert t.optimizer.steps == t.step == 1


def test_a_norm_that_overflows_is_no_fault_of_one_gradient() -> None:
    model = put(ml.Sequential(ml.Linear(2, 1, dtype=np.float64, rng=0), ml.Linear(1, 1, dtype=np.float64, rng=1)))
    t = Trainer(model, ml.MSELoss(), ml.SGD(model, 0.1), verbose=False, metric=None)
    x, y = put(np.full((4, 2), 1e10)), put(np.zeros((4, 1)))
    before = {name: value.tobytes() for name, value in model.state_dict().items()}
    with pytest.raises(NonFiniteError, match="epoch 1, step 1: every gradient is finite, but their norm overflows"):
        t.fit([(x, y + 1e150), (x, y)], epochs=1)
    assert {name: value.tobytes() for name, value in model.state_dict().items()} == before and t.step == 0


def test_random_streams_stand_where_the_refused_step_left_them() -> None:
    """Mended, the run goes on with the masks that it would have drawn."""
    model = build(p=0.5)
    t = Trainer(model, ml.BCELoss(), ml.Adam(model, lr=0.05), verbose=False)
    batches = [(put(X[k:k + 8]), put(Y[k:k + 8])) for k in range(0, 32, 8)]
    broken = [*batches[:1], (batches[1][0], batches[1][1] + np.float32(np.nan)), *batches[2:]]
    with pytest.raises((NonFiniteError, ml.ArgumentError)):
        t.fit(broken, epochs=1)
    masks = ml.Dropout(0.5)
    masks.rng = build(p=0.5)[2].rng
    drawn = [masks(np.ones((8, 3), np.float32)) for _ in range(3)][2]
    np.testing.assert_array_equal(host(model[2](put(np.ones((8, 3), np.float32)))), drawn)


def test_a_batch_that_comes_only_once_is_explained_too() -> None:
    t, poison = poisoned()
    poison.forward_at = 2
    batches = ((put(X[k:k + 8]), put(Y[k:k + 8])) for k in range(0, 32, 8))
    with pytest.raises(NonFiniteError, match="epoch 1, step 2: the loss is nan: the output of layer 2"):
        t.fit(batches, epochs=1)
    assert t.step == t.optimizer.steps == 1


def test_a_refused_batch_does_not_lose_the_steps_before_it() -> None:
    t, _ = poisoned()
    batches = [(put(X[:8]), put(Y[:8])), (put(X[8:16]), put(Y[8:16])), (put(X[:8].astype(float)), put(Y[:8]))]
    with pytest.raises(ml.DtypeError):
        t.fit(batches, epochs=1)
    assert t.step == 2 and t.sums[3] == 16 and t.optimizer.steps == 2


def test_a_metric_of_ones_own_may_be_anything() -> None:
    """A number, a host number, an array on the device: the sums are the same."""
    sums = []
    for metric in (lambda p, y: 0.25, lambda p, y: np.float64(0.25), lambda p, y: (y * 0 + 0.25).mean()):
        t, _ = poisoned(metric=metric)
        t.fit(loaders()[0], epochs=1)
        sums.append(t.history["train_acc"])
    assert sums == [[0.25]] * 3


def test_where_the_nan_came_from() -> None:
    model = ml.Sequential(ml.Linear(2, 3), ml.Sequential(ml.ReLU(), ml.Linear(3, 1)))
    model.reset_parameters(0)
    put(model)
    t = Trainer(model, ml.MSELoss(), ml.SGD(model, 0.1), verbose=False, metric=None)
    x, y = xp.ones((4, 2), np.float32), xp.zeros((4, 1), np.float32)
    bad = x.copy()
    bad[2, 1] = np.inf
    with pytest.raises(NonFiniteError, match="step 1: .*the input x"):
        t.fit([(bad, y)], epochs=1)
    with pytest.raises(NonFiniteError, match="the target y"):
        t.fit([(x, y + np.nan)], epochs=1)
    with pytest.raises(NonFiniteError, match="step 2: .*the loss itself is not"):
        t.fit([(x, y), (x, y + np.float32(3e38))], epochs=1)
    before = model.state_dict()
    model.layers[1].layers[1].params["W"][1, 0] = np.nan
    with pytest.raises(NonFiniteError, match=r"parameter 1\.1\.W \(Linear\)"):
        t.fit([(x, y), (x, y)], epochs=1)
    model.load_state_dict(before)
    model.layers[0].params["b"][0] = 3e38
    model.layers[0].params["W"][:] = 3e38
    with pytest.raises(NonFiniteError, match=r"the output of layer 0 \(Linear\)"):
        t.fit([(10 * x, y)] * 2, epochs=1)


def test_weights_that_overflow_in_the_last_update_are_not_saved(tmp_path: Path) -> None:
    model = put(ml.Sequential(ml.Linear(2, 1, rng=0)))
    t = Trainer(model, ml.MSELoss(), ml.SGD(model, 3e38), verbose=False, metric=None, run_dir=tmp_path)
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 1: parameter 0.W \(Linear\).*learning rate"):
        t.fit([(xp.full((4, 2), 9.0, np.float32), xp.full((4, 1), 99.0, np.float32))], epochs=1)
    assert ml.load_checkpoint(tmp_path / runs.LAST)[1]["epoch"] == 0


def test_validation_that_is_not_finite() -> None:
    t = trainer(metric=None)
    t.model.named_parameters()["3.b"].fill(np.nan)
    with pytest.raises(NonFiniteError, match=r"evaluation is nan: parameter 3.b \(Linear\)"):
        t.evaluate(loaders()[1])


# Callbacks -----------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("validation", [True, False])
def test_plateau_schedule_gets_the_loss(validation: bool) -> None:
    t = trainer(scheduler=False)
    t.scheduler = ml.ReduceLROnPlateau(t.optimizer, patience=0, factor=0.5, threshold=1e9)      # nothing is good enough
    train, val = loaders()
    history = t.fit(train, val if validation else None, epochs=3)
    assert history["lr"] == pytest.approx([0.05, 0.05, 0.025])
    assert t.scheduler.best == history["val_loss" if validation else "train_loss"][0]


# Progress ------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_in_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    trainer(verbose=True).fit(*loaders(), epochs=1)
    assert "Epoch 1/1" in terminal.getvalue() and "Validation" in terminal.getvalue()
    assert capsys.readouterr().out.startswith("Epoch 1: Train Loss=")
    for show, stream in ((False, Terminal()), (True, io.StringIO())):
        monkeypatch.setattr(sys, "stderr", stream)
        trainer(progress=show).fit(*loaders(), epochs=1)
        assert stream.getvalue() == ""


def test_no_tqdm_no_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"] + ["tqdm", "tqdm.std"]:
        monkeypatch.setitem(sys.modules, name, None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert isinstance(progress.open_bar("x", 3), progress.NoBar)
    trainer(verbose=True).fit(*loaders(), epochs=1)
    assert terminal.getvalue() == "" and capsys.readouterr().out.startswith("Epoch 1: ")


def test_the_default_accuracy_is_that_of_the_loss() -> None:
    model = put(ml.Sequential(ml.Linear(1, 1, rng=0)))
    model.load_state_dict({"0.W": np.ones((1, 1), np.float32), "0.b": np.zeros(1, np.float32)})
    x, y = np.array([[-3.0], [-0.2], [0.2], [3.0]], np.float32), np.array([0, 0, 1, 1], np.float32)
    loader = ml.DataLoader(x, y, batch_size=4, backend=backend())

    def score(criterion: Any, **options: Any) -> float | None:
        return Trainer(model, criterion, ml.SGD(model, 0.1), verbose=False, progress=False, **options).evaluate(loader)[1]

    assert score(ml.BCEWithLogitsLoss()) == 1.0
    assert score(ml.BCEWithLogitsLoss(), metric=ml.accuracy) == 0.75
    assert score(ml.MSELoss()) is None
    assert trainer().metric is ml.accuracy


def test_ignored_targets_are_no_mistakes() -> None:
    model = put(ml.Sequential(ml.Linear(2, 3, rng=0)))
    x = put(np.array([[[1, 0], [0, 1], [0, 1]]], np.float32))
    y = model(x).argmax(-1)
    y[0, 2] = -100
    t = Trainer(model, ml.CrossEntropyLoss(ignore_index=-100), ml.SGD(model, 0.1), verbose=False, progress=False)
    assert t.evaluate([(x, y)])[1] == 1.0


@pytest.mark.parametrize("options", [{"clip_norm": "1"}, {"clip_norm": True}, {"callbacks": [3]}, {"callbacks": 3},
                                     {"callbacks": [EarlyStopping]}, {"config": [1]}, {"metric": "f1"}, {"metric": 3}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"^{next(iter(options))}: expected"):
        trainer(**options)


def test_a_loss_class_is_no_loss() -> None:
    model = build()
    with pytest.raises(ArgumentError, match="criterion: expected a loss object"):
        Trainer(model, ml.BCELoss, ml.SGD(model, 0.1))


@pytest.mark.parametrize("damage", [False, True])
def test_a_resumed_run_records_its_new_config(damage: bool, tmp_path: Path) -> None:
    trainer(tmp_path, config={"epochs": 1}).fit(*loaders(), epochs=1)
    first = json.loads((tmp_path / runs.CONFIG).read_text())
    if damage:
        (tmp_path / runs.CONFIG).write_text("{")
    trainer(tmp_path, config={"epochs": 2}).fit(*loaders(), epochs=2, resume=True)
    assert runs.load_config(tmp_path) == ml.load_checkpoint(tmp_path / runs.LAST)[1]["config"] == {"epochs": 2}
    if not damage:
        assert json.loads((tmp_path / runs.CONFIG).read_text()) == {**first, "config": {"epochs": 2}}
    trainer(tmp_path).fit(*loaders(), epochs=3, resume=True)        # none given: the old one stays
    assert runs.load_config(tmp_path) == ml.load_checkpoint(tmp_path / runs.LAST)[1]["config"] == {"epochs": 2}


def test_a_picture_of_others_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / runs.CURVES).write_text("mine")
    with pytest.raises(ArgumentError, match=runs.CURVES):
        trainer(tmp_path).fit(*loaders(), epochs=1)
    assert [path.name for path in tmp_path.iterdir()] == [runs.CURVES]
