from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import backend, put
from training_cases import STEPS, At, ctrl_c, everything, loaders, trainer

import minilstm as ml
from minilstm.training import advice as module

rng = np.random.default_rng(0)
TOKENS = rng.integers(1, 9, (64, 24))
LABELS = (TOKENS[:, 0] > 4).astype(np.float32)
LENGTHS = np.full(64, 3)


@pytest.fixture(autouse=True)
def after_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEPS", 10)


def advised(model: ml.Module, criterion: Any, optimizer: Any, batch: tuple[Any, ...], *, val: Any = None, epochs: int = 10,
            batch_size: int = 16, **options: Any) -> list[tuple[int, str, str]]:
    """Train, and return what Advice said."""
    advice = ml.Advice()
    ml.Trainer(model, criterion, optimizer, callbacks=[advice], verbose=False, **options).fit(
        ml.DataLoader(*batch, batch_size=batch_size, backend=backend()),
        None if val is None else ml.DataLoader(*val, batch_size=batch_size, backend=backend()), epochs=epochs)
    return advice.given


def kinds(given: list[tuple[int, str, str]]) -> list[str]:
    return [kind for _, kind, _ in given]


def reader(**options: Any) -> ml.Sequential:
    return put(ml.Sequential(ml.Embedding(9, 4, rng=0), ml.LSTM(4, 8, return_sequences=False, rng=1, **options),
                             ml.Linear(8, 1, rng=2), ml.Sigmoid()))


def test_stuck_on_padding(capsys: pytest.CaptureFixture[str]) -> None:
    padded = np.where(np.arange(24) < 3, TOKENS, 0)
    padded[5] = TOKENS[5]                       # one of the latest batch below is full
    blind = reader()
    given = advised(blind, ml.BCELoss(), ml.Adam(blind, lr=1e-3), (padded[::-1].copy(), LABELS[::-1].copy()), epochs=4)
    assert kinds(given) == ["stuck"]
    assert "; 15 of 16 last states stand on padding: give lengths" in given[0][2]
    assert capsys.readouterr().out == f"Advice: {given[0][2]}.\n"               # once, not in each epoch
    told = reader()
    assert advised(told, ml.BCELoss(), ml.Adam(told, lr=0.05), (padded, LABELS, LENGTHS), epochs=4) == []


def test_stuck_where_no_padding_is_to_blame() -> None:
    x, y = np.ones((16, 3, 2), np.float32), np.arange(16).astype(np.float32) % 2        # nothing to tell them apart by
    model = put(ml.Sequential(ml.RNN(2, 3, return_sequences=False, rng=0), ml.Linear(3, 1, rng=1)))
    given = advised(model, ml.BCEWithLogitsLoss(), ml.Adam(model, lr=0.01), (x, y), epochs=20)
    assert kinds(given) == ["stuck"] and given[0][0] >= 10 and "; 0 of 16 last states" in given[0][2]
    given = advised(model, ml.BCEWithLogitsLoss(), ml.Adam(model, lr=0.01), (x, y, np.full(16, 3)), epochs=20)
    assert kinds(given) == ["stuck"] and "padding" not in given[0][2]                   # it knows the lengths
    counted = put(ml.Sequential(ml.Linear(2, 1, rng=0)))                                # no last state
    given = advised(counted, ml.BCEWithLogitsLoss(), ml.SGD(counted, lr=0.3), (x[:, 0], y), epochs=20)
    assert kinds(given) == ["stuck"] and "padding" not in given[0][2]


def test_ln_2_of_another_loss_is_a_number_like_others() -> None:
    x = np.zeros((4, 2), np.float32)
    y = np.full(4, math.sqrt(math.log(2)), np.float32)
    model = put(ml.Linear(2, 1, rng=0))
    assert advised(model, ml.MSELoss(), ml.SGD(model, lr=0.0), (x, y)) == []


def test_overfitting() -> None:
    x = rng.standard_normal((40, 20)).astype(np.float32)
    y = rng.integers(0, 2, 40).astype(np.float32)                       # nothing to learn, only to memorise
    for val, expected in (((x[20:], y[20:]), ["overfitting"]), ((x[:20], y[:20]), [])):
        model = put(ml.Sequential(ml.Linear(20, 16, rng=0), ml.Tanh(), ml.Linear(16, 1, rng=1)))
        advice = ml.Advice()
        history = ml.Trainer(model, ml.BCEWithLogitsLoss(), ml.Adam(model, lr=0.02), callbacks=[advice], verbose=False).fit(
            *(ml.DataLoader(*part, batch_size=20, backend=backend()) for part in ((x[:20], y[:20]), val)), epochs=15)
        assert kinds(advice.given) == expected
        lowest = min(history["val_loss"])
        assert all(f"since epoch {history['val_loss'].index(lowest) + 1}, from {lowest:.4f}" in text
                   for _, _, text in advice.given)


def test_a_gradient_explodes() -> None:
    x, y = np.ones((20, 2), np.float32), np.linspace(-1, 1, 20, dtype=np.float32)
    x[7] = 500
    for clip_norm, expected in ((None, "exploding"), (1.0, "jump")):
        model = put(ml.Linear(2, 1, rng=0))
        given = advised(model, ml.MSELoss(), ml.SGD(model, lr=1e-6), (x, y), batch_size=1, clip_norm=clip_norm)
        assert kinds(given)[0] == expected
    x[7] = 5
    model = put(ml.Linear(2, 1, rng=0))
    assert advised(model, ml.MSELoss(), ml.SGD(model, lr=1e-6), (x, 100 + y), batch_size=1) == []


def test_each_epoch_is_judged_by_itself() -> None:
    class Once:
        def batches(self, epoch: int, start: int) -> Any:
            for k in range(20):
                yield put(np.full((1, 2), 500 if (epoch, k) == (0, 7) else 1, np.float32)), put(np.ones(1, np.float32))
    model, advice = put(ml.Linear(2, 1, rng=0)), ml.Advice()
    ml.Trainer(model, ml.MSELoss(), ml.SGD(model, lr=1e-6), callbacks=[advice], verbose=False).fit(Once(), epochs=3)
    assert [(epoch, kind) for epoch, kind, _ in advice.given] == [(1, "exploding")]


@pytest.mark.parametrize("lr, expected", [(0.6, ["jump"]), (0.1, [])])
def test_a_learning_rate_makes_the_loss_jump(lr: float, expected: list[str]) -> None:
    x, y = np.ones((24, 1), np.float32), np.ones(24, np.float32)
    model = put(ml.Linear(1, 1, rng=0))
    given = advised(model, ml.MSELoss(), ml.SGD(model, lr=lr), (x, y), batch_size=2, epochs=1)
    assert kinds(given) == expected and all("0.6, is too high" in text for _, _, text in given)


@pytest.mark.parametrize("later, expected", [(0.5, []), (9.0, ["jump"])])
def test_a_resumed_run_is_compared_with_its_beginning(later: float, expected: list[str], tmp_path: Path) -> None:
    class Losses:
        def batches(self, epoch: int, start: int) -> Any:
            for k in range(20):
                loss = 2.0 if epoch == 0 else 0.01 if k < 5 else later
                yield put(np.ones((1, 1), np.float32)), put(np.array([loss ** 0.5], np.float32))
    given = []
    for epochs in (1, 2):
        model, advice = put(ml.Linear(1, 1, rng=0)), ml.Advice()
        model.params["W"][:] = 0
        run = ml.Trainer(model, ml.MSELoss(), ml.SGD(model, lr=0.0), callbacks=[advice], verbose=False, run_dir=tmp_path / "a")
        run.fit(Losses(), epochs=epochs, resume=epochs == 2)
        given += kinds(advice.given)
    assert given == expected


@pytest.mark.parametrize("gain, expected", [(0.1, ["vanishing"]), (1.0, [])])
@pytest.mark.parametrize("lengths", [(), (np.full(16, 24),)])
def test_the_gradient_vanishes(gain: float, expected: list[str], lengths: tuple[Any, ...]) -> None:
    layer = ml.RNN(2, 6, return_sequences=False, rng=0)
    layer.params["W"][:6] *= gain                                       # the orthogonal recurrent weights
    model = put(ml.Sequential(layer, ml.Linear(6, 1, rng=1)))
    x, y = rng.standard_normal((16, 24, 2)).astype(np.float32) / 9, np.full(16, 3, np.float32)
    given = advised(model, ml.MSELoss(), ml.SGD(model, lr=1e-4), (x, y, *lengths))
    assert kinds(given) == expected and all("step 24" in text for _, _, text in given)


@pytest.mark.parametrize("scale, expected", [(1e4, ["saturated"]), (1.0, [])])
@pytest.mark.parametrize("cell", [ml.RNN, ml.GRU, ml.LSTM])
def test_gates_are_saturated(cell: Any, scale: float, expected: list[str]) -> None:
    layer = cell(3, 5, return_sequences=False, rng=0)
    model = put(ml.Sequential(layer, ml.Linear(5, 1, rng=1)))
    x, y = rng.standard_normal((16, 2, 3)).astype(np.float32), np.full(16, 3, np.float32)
    given = advised(model, ml.MSELoss(), ml.SGD(model, lr=1e-4), (scale * x, y))
    assert kinds(given) == expected


@pytest.mark.parametrize("nonlinearity, bias", [("tanh", -0.5), ("relu", 9)])
def test_negative_is_not_saturated_nor_is_a_large_relu(nonlinearity: str, bias: float) -> None:
    layer = ml.RNN(3, 5, nonlinearity=nonlinearity, return_sequences=False, rng=0)
    layer.params["W"][:5], layer.params["b"][:] = np.eye(5) / 2, bias
    model = put(ml.Sequential(layer, ml.Linear(5, 1, rng=1)))
    x, y = np.zeros((16, 2, 3), np.float32), np.full(16, 3, np.float32)
    assert advised(model, ml.MSELoss(), ml.SGD(model, lr=1e-4), (x, y)) == []


@pytest.mark.parametrize("layers", [
    [ml.LSTM(3, 5, rng=0), ml.Linear(5, 1, rng=1)],                     # every output has a loss of its own
    [ml.LSTM(3, 5, bidirectional=True, return_sequences=False, rng=0), ml.Linear(10, 1, rng=1)]])
def test_models_that_are_not_looked_into(layers: list[ml.Module]) -> None:
    model = put(ml.Sequential(*layers))
    x = 1e3 * rng.standard_normal((16, 2, 3)).astype(np.float32)
    target = np.full((16, 2, 1) if layers[0].return_sequences else (16, 1), 3, np.float32)      # type: ignore[attr-defined]
    assert advised(model, ml.MSELoss(), ml.SGD(model, lr=1e-9), (x, target)) == []


def test_training_gives_the_same_bits() -> None:
    ends = []
    for callbacks in ([], [ml.Advice()]):
        run = trainer(callbacks=callbacks)
        run.fit(*loaders(), epochs=3)
        ends.append(everything(run))
    assert ends[0] == ends[1]


def test_resumed_behind_the_last_step_of_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(ml.Interrupted):
        trainer(tmp_path, callbacks=[At(1, STEPS, ctrl_c)]).fit(*loaders(), epochs=1)
    run = trainer(tmp_path, seed=9, callbacks=[ml.Advice()])
    assert len(run.fit(*loaders(), epochs=1, resume=True)) == 1


def test_where_states_are_carried() -> None:
    layer = ml.RNN(2, 6, return_sequences=False, rng=0)
    layer.params["W"][:6] *= 0.1
    model = put(ml.Sequential(layer, ml.Linear(6, 1, rng=1)))
    x, y = np.ones((16, 24, 2), np.float32) / 9, np.full(16, 3, np.float32)
    assert advised(model, ml.MSELoss(), ml.SGD(model, lr=1e-4), (x, y), carry_state=True) == []
