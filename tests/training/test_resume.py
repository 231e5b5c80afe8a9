"""Of no single file: a resumed run is the run that was never interrupted, bit for bit; one that does not fit is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import backend
from training_cases import PICTURE, callbacks, everything, files, loaders, trainer

import minilstm as ml
from minilstm.backend.errors import CheckpointError
from minilstm.training import run_folder as runs


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_resume_after_any_epoch_is_bit_exact(tmp_path: Path, whole: Any, epochs: int) -> None:
    trainer(tmp_path, callbacks=callbacks(), config={"name": "ü"}).fit(*loaders(), epochs=epochs)
    t = trainer(tmp_path, seed=9, callbacks=callbacks(), config={"name": "ü"})
    t.fit(*loaders(), epochs=3, resume=True)
    assert everything(t) == whole[0] and files(tmp_path) == whole[1]


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
    lambda a, m: m.update(data=[1]), lambda a, m: a.update({"callback0.0.W": a["callback0.0.W"][1:]}),
    lambda a, m: a.pop("callback0.1.W"), lambda a, m: m.update(stop=3), lambda a, m: m["optimizer"].update(lr=10 ** 400)])
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


def test_resume_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="last.ckpt: cannot be read"):
        trainer(tmp_path).fit(*loaders(), epochs=1, resume=True)


def test_a_run_can_branch_into_another_folder(tmp_path: Path, whole: Any) -> None:
    trainer(tmp_path / "a", callbacks=callbacks(), config={"name": "ü"}).fit(*loaders(), epochs=1)
    kept = files(tmp_path / "a")
    t = trainer(tmp_path / "b", seed=9, callbacks=callbacks(), config={"name": "ü"}).resume(tmp_path / "a")
    t.fit(*loaders(), epochs=3)
    assert files(tmp_path / "a") == kept and everything(t) == whole[0]
    assert (tmp_path / "b" / runs.HISTORY).read_bytes() == whole[1][runs.HISTORY]


@pytest.mark.parametrize("damage", [False, True])
def test_a_best_checkpoint_that_is_lost_is_said_at_once(damage: bool, tmp_path: Path) -> None:
    trainer(tmp_path).fit(*loaders(), epochs=1)
    best = tmp_path / runs.BEST
    if damage:
        best.write_bytes(best.read_bytes()[:-1])
    else:
        best.unlink()
    with pytest.warns(UserWarning, match=f"{runs.BEST}.*"):
        trainer(tmp_path).resume(tmp_path)


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


def test_a_learning_rate_that_is_not_used_is_said(tmp_path: Path) -> None:
    trainer(tmp_path).fit(*loaders(), epochs=1)
    t = trainer(tmp_path)
    t.optimizer.lr = 1.0            # the rate belongs to the schedule, whose base is the same
    t.fit(*loaders(), epochs=2, resume=True)
    t = trainer(tmp_path / "b", scheduler=False)
    t.fit(*loaders(), epochs=1)
    t = trainer(tmp_path / "b", scheduler=False)
    t.optimizer.lr = 1e-5
    with pytest.warns(UserWarning, match=r"its own lr, 0.05, not with 1e-05.*trainer.optimizer after resume"):
        t.fit(*loaders(), epochs=2, resume=True)
    assert t.optimizer.lr == 0.05


def test_other_labels_are_refused_and_a_run_without_their_digest_is_not(tmp_path: Path) -> None:
    trainer(tmp_path).fit(*loaders(), epochs=1)
    train, val = loaders()
    other = ml.DataLoader(train.arrays[0], 1 - train.arrays[1], train.arrays[2], batch_size=8, shuffle=True, seed=3,
                          backend=backend())
    with pytest.raises(CheckpointError, match="training data: the arrays hold other values"):
        trainer(tmp_path).fit(other, val, epochs=2, resume=True)
    arrays, meta = ml.load_checkpoint(tmp_path / runs.LAST)
    for facts in meta["data"].values():
        del facts["digest"]                 # as version 0.1 wrote it
    ml.save_checkpoint(tmp_path / runs.LAST, arrays, meta)
    trainer(tmp_path).fit(other, val, epochs=2, resume=True)


def test_frozen_layers_are_part_of_the_run(tmp_path: Path) -> None:
    t = trainer(tmp_path)
    t.model[1].frozen = True
    before = t.model.state_dict()
    t.fit(*loaders(), epochs=1)
    assert all((value == before[name]).all() == name.startswith("1") for name, value in t.model.state_dict().items())
    with pytest.raises(CheckpointError, match="the model differs: .*frozen=True"):
        trainer(tmp_path).fit(*loaders(), epochs=2, resume=True)
    again = trainer(tmp_path)
    again.model[1].frozen = True
    again.fit(*loaders(), epochs=2, resume=True)
    t.fit(*loaders(), epochs=2)
    assert everything(again) == everything(t)


def test_a_refused_resume_leaves_gradients_and_pending_forwards(tmp_path: Path) -> None:
    trainer(tmp_path).fit(*loaders(), epochs=1)
    arrays, meta = ml.load_checkpoint(tmp_path / runs.LAST)
    meta["optimizer"]["lr"] = "x"
    ml.save_checkpoint(tmp_path / runs.LAST, arrays, meta)
    t = trainer(tmp_path, seed=9)
    y = t.model(next(iter(loaders()[0]))[0])
    for gradient in t.model.named_gradients().values():
        gradient[...] = 1.5
    with pytest.raises(CheckpointError, match="lr: expected"):
        t.resume()
    assert all((gradient == 1.5).all() for gradient in t.model.named_gradients().values())
    t.model.backward(0 * y + 1)


def test_a_name_too_long_for_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="xxx"):
        trainer(tmp_path).resume("x" * 5000)
