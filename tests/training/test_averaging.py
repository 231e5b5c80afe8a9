"""AveragedWeights: beside PyTorch's average, what is validated and kept, and a resume that is bit-exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, host, put
from refusals import refuses
from training_cases import At, build, ctrl_c, everything, files, loaders, trainer

import minilstm as ml
from minilstm.training import run_folder as runs


def averaged(folder: Any = None, *more: ml.Callback, seed: int = 0) -> Any:
    return trainer(folder, seed=seed, callbacks=[ml.AveragedWeights(0.9), *more])


class Watch(ml.Callback):
    """Keep the weights after each step."""

    def __init__(self) -> None:
        self.seen: list[dict[str, np.ndarray]] = []

    def on_step_end(self, run: Any, *_: Any) -> None:
        self.seen.append(run.model.state_dict())


def test_it_is_pytorchs_average() -> None:
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    module = torch.nn.Linear(3, 2).double()
    theirs = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.5))      # 0.5: no step is a plain mean
    model = put(ml.Linear(3, 2, dtype=np.float64))
    run, average = ml.Trainer(model, ml.MSELoss(), ml.SGD(model, 0.1)), ml.AveragedWeights(0.5)
    run.callbacks = [average]
    average.on_train_begin(run)
    rng = np.random.default_rng(0)
    for step in range(1, 6):
        values = rng.standard_normal((3, 2)), rng.standard_normal(2)
        with torch.no_grad():
            for p, q, value in zip(model.parameters(), (module.weight, module.bias), values):
                p[...] = put(value)
                q.copy_(torch.tensor(value.T))
        theirs.update_parameters(module)
        average.on_step_end(run, 1, step, 0.0, 0.0)
    average.on_train_end(run)
    assert_allclose(model.params["W"], theirs.module.weight.detach().numpy().T, rtol=1e-14)
    assert_allclose(model.params["b"], theirs.module.bias.detach().numpy(), rtol=1e-14)


def test_the_average_is_validated_kept_and_left_in_the_model(tmp_path: Path) -> None:
    watch = Watch()
    t = averaged(tmp_path, watch)
    train, val = loaders()
    history = t.fit(train, val, epochs=2)
    mean = {name: np.mean([one[name] for one in watch.seen[:5]], axis=0) for name in watch.seen[0]}     # d_t < 0.9 so far
    other = build()
    other.load_state_dict(mean)
    first = ml.Trainer(other, ml.BCELoss(), ml.Adam(other), progress=False).evaluate(val)
    assert first == pytest.approx((history["val_loss"][0], history["val_acc"][0]), abs=1e-5)
    best, last = (ml.load_checkpoint(tmp_path / name)[0] for name in (runs.BEST, runs.LAST))
    for name, value in t.model.state_dict().items():
        assert_equal(last[f"model.{name}"], watch.seen[-1][name])       # what training goes on with ...
        assert_equal(last[f"callback0.{name}"], value)                  # ... and the average, which the model has at the end
    other.load_state_dict({name[6:]: value for name, value in best.items() if name.startswith("model.")})
    kept = ml.Trainer(other, ml.BCELoss(), ml.Adam(other), progress=False).evaluate(val)
    assert kept == pytest.approx((history.best["val_loss"], history.best["val_acc"]), abs=1e-6)     # type: ignore[index]


def test_resume_is_bit_exact(tmp_path: Path) -> None:
    whole, halves = averaged(tmp_path / "whole"), averaged(tmp_path / "halves", At(2, 3, ctrl_c))
    whole.fit(*loaders(), epochs=3)
    halves.fit(*loaders(), epochs=1)
    assert averaged(tmp_path / "halves", seed=9).fit(*loaders(), epochs=1, resume=True)     # nothing left to do
    with pytest.raises(ml.Interrupted):
        halves.fit(*loaders(), epochs=3)                                # the same Trainer goes on, and is interrupted
    again = averaged(tmp_path / "halves", seed=9)
    again.fit(*loaders(), epochs=3, resume=True)
    assert everything(again) == everything(whole) and files(tmp_path / "halves") == files(tmp_path / "whole")
    from_best = averaged(seed=9).resume(tmp_path / "whole" / runs.BEST)
    from_best.fit(*loaders(), epochs=3)
    assert everything(from_best) == everything(whole)


def test_ctrl_c_while_validating(tmp_path: Path) -> None:
    class Late(ml.Callback):
        def on_validation_begin(self, run: Any) -> None:
            ctrl_c()
    whole, cut = averaged(tmp_path / "whole"), averaged(tmp_path / "cut", Late())
    whole.fit(*loaders(), epochs=2)
    with pytest.raises(ml.Interrupted):
        cut.fit(*loaders(), epochs=2)
    again = averaged(tmp_path / "cut", seed=9)
    again.fit(*loaders(), epochs=2, resume=True)
    assert everything(again) == everything(whole)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    refuses(ml.ArgumentError, lambda: ml.AveragedWeights(1.0), "decay")
    t = trainer(callbacks=[ml.EarlyStopping(restore_best=True), ml.AveragedWeights()])
    refuses(ml.ArgumentError, lambda: t.fit(*loaders(), epochs=1), "before EarlyStopping", unchanged=t.model)
    averaged(tmp_path).fit(*loaders(), epochs=1)
    path = tmp_path / runs.LAST
    for change in (lambda a, m: a.pop("callback0.1.W"), lambda a, m: m["callbacks"][0][1].update(steps=-1),
                   lambda a, m: m["callbacks"][0][1].update(swapped=1), lambda a, m: m["callbacks"][0][1].pop("steps")):
        arrays, meta = ml.load_checkpoint(path)
        change(arrays, meta)
        ml.save_checkpoint(tmp_path / "damaged.ckpt", arrays, meta)
        again = averaged(seed=9)
        refuses(ml.CheckpointError, lambda: again.resume(tmp_path / "damaged.ckpt"), "damaged.ckpt", unchanged=again.model)
    host(t.model.state_dict())
