"""NaN and infinity: the step that meets them changes no weight, and the message says where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import host, put, xp
from training_cases import STEPS, At, X, Y, build, ctrl_c, everything, loaders, poisoned, trainer

import minilstm as ml
from minilstm.backend.errors import NonFiniteError
from minilstm.training import run_folder as runs
from minilstm.training.interrupt import Interrupted
from minilstm.training.trainer import Trainer


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
    poison.forward_at = poison.backward_at = 0          # repaired: the same trainer continues as if nothing had happened
    bad.fit(train, epochs=2)
    good.callbacks.clear()
    good.fit(train, epochs=2)
    assert everything(bad) == everything(good)


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
    """Once the fault is removed, the run continues with the dropout masks that it would have drawn without the fault."""
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
