"""The loop of Trainer is the loop written by hand; its options and the mistakes in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import backend, host, put
from training_cases import (LENGTHS, STEPS, N, V, X, Y, build, everything, loaders, modes, poisoned, rows,
                            trainer)

import minilstm as ml
from minilstm.backend.errors import ArgumentError, NonFiniteError
from minilstm.training.callbacks import EarlyStopping
from minilstm.training.trainer import Trainer


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


def test_modes_come_back_after_fit_and_after_errors() -> None:
    t = trainer()
    t.model.eval()
    t.fit(*loaders(), epochs=1)
    assert not any(modes(t.model))
    t.model.train()
    with pytest.raises(ml.TokenError if backend() == "numpy" else NonFiniteError, match="is outside the vocabulary"):
        t.evaluate([(put(X + V), put(Y))])
    assert all(modes(t.model))
    t.model.layers.insert(0, ml.WordDropout(0.5, rng=0))        # the Embedding is the second layer then
    with pytest.raises(ml.TokenError if backend() == "numpy" else NonFiniteError, match="is outside the vocabulary"):
        t.evaluate([(put(X + V), put(Y))])


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


def test_a_refused_batch_does_not_lose_the_steps_before_it() -> None:
    t, _ = poisoned()
    batches = [(put(X[:8]), put(Y[:8])), (put(X[8:16]), put(Y[8:16])), (put(X[:8].astype(float)), put(Y[:8]))]
    with pytest.raises(ml.DtypeError):
        t.fit(batches, epochs=1)
    assert t.step == 2 and t.sums[3] == 16 and t.optimizer.steps == 2


@pytest.mark.parametrize("validation", [True, False])
def test_plateau_schedule_gets_the_loss(validation: bool) -> None:
    t = trainer(scheduler=False)
    t.scheduler = ml.ReduceLROnPlateau(t.optimizer, patience=0, factor=0.5, threshold=1e9)      # nothing is good enough
    train, val = loaders()
    history = t.fit(train, val if validation else None, epochs=3)
    assert history["lr"] == pytest.approx([0.05, 0.05, 0.025])
    assert t.scheduler.best == history["val_loss" if validation else "train_loss"][0]


@pytest.mark.parametrize("options", [{"clip_norm": "1"}, {"clip_norm": True}, {"callbacks": [3]}, {"callbacks": 3},
                                     {"callbacks": [EarlyStopping]}, {"config": [1]}, {"metric": "f1"}, {"metric": 3}])
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=f"^{next(iter(options))}: expected"):
        trainer(**options)


def test_a_loss_class_is_no_loss() -> None:
    model = build()
    with pytest.raises(ArgumentError, match="criterion: expected a loss object"):
        Trainer(model, ml.BCELoss, ml.SGD(model, 0.1))
