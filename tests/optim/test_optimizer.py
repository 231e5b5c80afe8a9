"""Every optimiser: gradients that are refused, state, moving between backends, hyperparameters."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, backend, host, put, running, xp
from optimizer_cases import MOVING, OPTIMIZERS, fill_gradients, run, snapshot, tiny_model

import minilstm as ml
from minilstm.kernels import compiled


@pytest.mark.parametrize("kind, options", OPTIMIZERS)
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_float32_stays_float32_in_place_and_any_memory_order(kind: Any, options: dict, order: Any) -> None:
    model, reference = tiny_model(np.float32), tiny_model(np.float32)
    for layer in model:
        for store in (layer.params, layer.grads):
            w = store["W"]
            w = host(w)
            awkward = np.repeat(w, 2, axis=0) if order == "strided" else np.asarray(w, order=order)
            store["W"] = put(awkward)[::2] if order == "strided" else put(awkward.T).T if order == "F" else put(awkward)
    arrays = model.named_parameters()
    run(model, kind(model, **options), range(3))
    run(reference, kind(reference, **options), range(3))
    for name, p in model.named_parameters().items():
        assert p is arrays[name] and p.dtype == np.float32
        assert_equal(p, reference.named_parameters()[name])


@pytest.mark.parametrize("kind, options", OPTIMIZERS)
def test_gradients_are_only_read(kind: Any, options: dict) -> None:
    model = tiny_model()
    optimizer = kind(model, **options)
    fill_gradients(model, 0)
    before = {name: g.tobytes() for name, g in model.named_gradients().items()}
    optimizer.step()
    assert before == {name: g.tobytes() for name, g in model.named_gradients().items()}
    optimizer.zero_grad()
    assert not any(bool(g.any()) for g in model.named_gradients().values())


# The guard -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind, options", MOVING)
@pytest.mark.parametrize("done", [0, 3])
def test_a_bad_gradient_changes_nothing_and_is_named(kind: Any, options: dict, done: int, bad: float) -> None:
    model, reference = tiny_model(), tiny_model()
    optimizer, other = kind(model, **options), kind(reference, **options)
    run(model, optimizer, range(done))
    run(reference, other, range(done + 2))
    fill_gradients(model, done)
    model[1].grads["W"][2, 1] = bad
    before = snapshot(model, optimizer)
    words = rf"gradient of 1.W \(Tiny\) is not finite: first at \[2, 1\]={bad} \(1 of 14 entries\); no weight was changed"
    with pytest.raises(ml.NonFiniteError, match=words):
        optimizer.step()
    after = snapshot(model, optimizer)
    assert {name: after[name] for name in before} == before and optimizer.steps == done
    run(model, optimizer, range(done, done + 2))        # and training may go on as if it had not been
    assert snapshot(model, optimizer) == snapshot(reference, other)


def test_huge_finite_gradients_are_no_false_alarm() -> None:
    model = tiny_model(np.float32)
    optimizer = ml.SGD(model, lr=2e-38)
    for g in model.named_gradients().values():
        g.fill(3e38)
    before = model.named_parameters()["0.W"].copy()
    optimizer.step()
    assert_allclose(model.named_parameters()["0.W"], before - 6, rtol=1e-6)


@pytest.mark.parametrize("kind, options", OPTIMIZERS)
def test_moments_follow_from_place_to_place(kind: Any, options: dict) -> None:
    model, reference = tiny_model(), tiny_model()
    optimizer, other = kind(model, **options), kind(reference, **options)
    run(reference, other, range(6))
    for step, away in enumerate([True, False, True, True, False, False]):
        with running("numpy" if away else backend(), None):
            put(model)
            run(model, optimizer, [step])
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, reference.state_dict()[name], rtol=1e-12, atol=1e-12)


def test_gradients_that_do_not_fit_are_refused() -> None:
    model = tiny_model()
    optimizer = ml.Adam(model)
    run(model, optimizer, range(1))
    before = snapshot(model, optimizer)
    model[1].grads["W"] = xp.ones(2)
    with pytest.raises(ml.ShapeError, match=r"gradient of 1.W \(Tiny\): expected shape \(7, 2\), got \(2,\)"):
        optimizer.step()
    assert snapshot(model, optimizer) == before
    model[1].add_param("W", xp.ones((2, 2)))
    with pytest.raises(ml.ShapeError, match=r"changed from \(7, 2\) to \(2, 2\)"):
        optimizer.step()
    model.to(dtype=np.complex128)
    with pytest.raises(ml.DtypeError, match="complex128"):
        ml.SGD(model, lr=0.1).step()


def test_moments_follow_the_model() -> None:
    model = tiny_model(np.float32)
    optimizer = ml.Adam(model)
    with compiled.switched_off():       # float32 from two formulas, looked at in float64, would not agree to 1e-12
        run(model, optimizer, range(2))
    exact = {name: held[0].astype(np.float64) for name, held in optimizer._moments.items()}
    model.to(dtype=np.float64)
    for g in model.named_gradients().values():
        g.fill(0)
    optimizer.step()
    for name, (m, v) in optimizer._moments.items():
        assert m.dtype == v.dtype == np.float64
        assert_allclose(m, exact[name] * 0.9, rtol=1e-15)


# Saving --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind, options", OPTIMIZERS)
@pytest.mark.parametrize("done", [0, 3])
def test_resuming_is_exact_to_the_bit(kind: Any, options: dict, dtype: Any, done: int) -> None:
    model, resumed = tiny_model(dtype), tiny_model(dtype, seed=5)
    optimizer, other = kind(model, **options), kind(resumed, **{**options, "lr": 0.7})
    run(resumed, other, range(2))                       # what was there before is forgotten
    optimizer.lr = 1 / 3
    run(model, optimizer, range(done))
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    resumed.load_state_dict(model.state_dict())
    other.load_state_dict({"arrays": state["arrays"], "meta": json.loads(json.dumps(state["meta"], allow_nan=False))})
    assert snapshot(resumed, other) == snapshot(model, optimizer) and repr(other) == repr(optimizer)
    run(model, optimizer, range(done, done + 5))
    run(resumed, other, range(done, done + 5))
    assert snapshot(resumed, other) == snapshot(model, optimizer) and other.steps == optimizer.steps == done + 5
    for name, array in kept["arrays"].items():          # what was handed out is a copy
        assert_equal(state["arrays"][name], array)


def test_state_names() -> None:
    model = tiny_model()
    optimizer = ml.Adam(model, lr=0.5)
    assert optimizer.state_dict()["arrays"] == {}
    run(model, optimizer, range(2))
    state = optimizer.state_dict()
    assert list(state["arrays"]) == [f"{p}.{slot}" for p in ("0.W", "0.b", "1.W", "1.b") for slot in ("exp_avg", "exp_avg_sq")]
    assert state["meta"] == {"type": "Adam", "steps": 2, "lr": 0.5, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    sgd = ml.SGD(model, lr=1, momentum=0.5)
    sgd.step()
    assert list(sgd.state_dict()["arrays"])[0] == "0.W.momentum_buffer"
    assert repr(sgd) == "SGD(lr=1.0, momentum=0.5, dampening=0.0, weight_decay=0.0, nesterov=False)"


@pytest.mark.parametrize("damage, words", [
    (lambda s: s["arrays"].pop("1.W.exp_avg"), "missing 1.W.exp_avg"),
    (lambda s: s["arrays"].update(x=np.ones(1)), "unexpected x"),
    (lambda s: s["arrays"].clear(), "missing"),
    (lambda s: s["arrays"].update({"0.b.exp_avg": np.ones(4)}), r"0.b.exp_avg: expected shape \(5,\), got \(4,\)"),
    (lambda s: s["arrays"].update({"0.b.exp_avg": np.full(5, np.nan)}), "0.b.exp_avg: holds NaN"),
    (lambda s: s["arrays"].update({"0.b.exp_avg": np.ones(5, int)}), "0.b.exp_avg: expected dtype"),
    (lambda s: s["arrays"].update({"1.b.exp_avg_sq": -np.ones(2)}), "1.b.exp_avg_sq: holds negative"),
    (lambda s: s["meta"].update(type="AdamW"), "expected type 'Adam'"),
    (lambda s: s["meta"].pop("eps"), "eps"), (lambda s: s["meta"].update(more=1), "more"),
    (lambda s: s["meta"].update(lr="fast"), "lr"), (lambda s: s["meta"].update(lr=float("nan")), "lr"),
    (lambda s: s["meta"].update(betas=[0.9]), "betas"), (lambda s: s["meta"].update(betas=[0.9, 1.0]), "betas"),
    (lambda s: s["meta"].update(steps=-1), "steps"), (lambda s: s["meta"].update(steps=2.0), "steps"),
    (lambda s: s["meta"].update(steps=0), "unexpected"), (lambda s: s.update(arrays=[]), "two dicts"),
    (lambda s: s.pop("meta"), "two dicts")])
def test_a_state_that_does_not_fit_changes_nothing(damage: Any, words: str) -> None:
    model = tiny_model()
    optimizer = ml.Adam(model)
    run(model, optimizer, range(2))
    state = optimizer.state_dict()
    run(model, optimizer, range(2))
    damage(state)
    before, text = snapshot(model, optimizer), repr(optimizer)
    with pytest.raises(ml.CheckpointError, match=words):
        optimizer.load_state_dict(state)
    assert snapshot(model, optimizer) == before and optimizer.steps == 4 and repr(optimizer) == text


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, options", [
    (ml.SGD, {"lr": -1}), (ml.SGD, {"lr": math.nan}), (ml.SGD, {"lr": math.inf}), (ml.SGD, {"lr": "0.1"}),
    (ml.SGD, {"lr": True}), (ml.SGD, {"lr": None}), (ml.SGD, {"lr": 1, "momentum": -0.1}),
    (ml.SGD, {"lr": 1, "weight_decay": -1}), (ml.SGD, {"lr": 1, "nesterov": True}),
    (ml.SGD, {"lr": 1, "momentum": 0.9, "dampening": 0.1, "nesterov": True}),
    (ml.SGD, {"lr": 1, "nesterov": 1}), (ml.Adam, {"betas": 0.9}), (ml.Adam, {"betas": (0.9, 1.0)}), (ml.Adam, {"eps": 0}),
    (ml.Adam, {"betas": (-0.1, 0.9)}), (ml.Adam, {"eps": -1e-8}), (ml.AdamW, {"weight_decay": math.nan})])
def test_hyperparameters_are_checked(kind: Any, options: dict) -> None:
    with pytest.raises(ml.ArgumentError):
        kind(tiny_model(), **options)


def test_lr_is_settable_and_checked() -> None:
    optimizer = ml.Adam(tiny_model())
    optimizer.lr = np.float32(0.5)
    assert optimizer.lr == 0.5 and type(optimizer.lr) is float
    with pytest.raises(ml.ArgumentError, match="lr: expected a number >= 0"):
        optimizer.lr = -1
    assert optimizer.lr == 0.5


def test_a_model_with_parameters_is_needed() -> None:
    with pytest.raises(ml.DtypeError, match="list"):
        ml.Adam([np.ones(3)])
    with pytest.raises(ml.ArgumentError, match="no parameters"):
        ml.SGD(ml.Sequential(ml.Sigmoid()), lr=0.1)


@pytest.mark.parametrize(("kind", "name", "value"), [
    (ml.SGD, "momentum", "much"), (ml.SGD, "momentum", -1), (ml.SGD, "nesterov", True), (ml.Adam, "betas", (2, 3)),
    (ml.Adam, "betas", 0.9), (ml.Adam, "eps", 0.0), (ml.AdamW, "weight_decay", math.nan)])
def test_a_hyperparameter_set_later_is_checked_before_a_step(kind: Any, name: str, value: Any) -> None:
    model = put(ml.Linear(2, 2, rng=0))
    optimizer = kind(model, 0.1)
    model.grads["W"] += 1
    optimizer.step()
    before = model.params["W"].tobytes(), optimizer.steps
    setattr(optimizer, name, value)
    with pytest.raises(ml.ArgumentError, match=name):
        optimizer.step()
    assert (model.params["W"].tobytes(), optimizer.steps) == before


@pytest.mark.parametrize("make", [ml.Adam, ml.AdamW, ml.SGD])
def test_keywords_of_pytorch_and_keras_are_answered(make: Any) -> None:
    for keyword, words in (("learning_rate", "write lr"), ("epsilon", "write eps"), ("beta_1", "betas="),
                           ("amsgrad", "leave it out"), ("clipnorm", "clip_grad_norm"), ("decay", "schedule"),
                           ("params", "the model")):
        with pytest.raises(ml.ArgumentError, match=f"^{make.__name__}: {keyword} is not an .* here: .*{words}"):
            make(ml.Linear(1, 1, rng=0), **{keyword: 0.1})
    with pytest.raises(TypeError, match="unexpected"):
        make(ml.Linear(1, 1, rng=0), lr=0.1, foo=1)
