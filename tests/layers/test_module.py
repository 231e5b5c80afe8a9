"""Module and Sequential: names, modes, saving, sharing, and how a model prints itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from backends import assert_equal, put, xp

import minilstm as ml


def small_model(**options: Any) -> ml.Sequential:
    return put(ml.Sequential(ml.Embedding(7, 3, rng=0, **options), ml.LSTM(3, 4, return_sequences=False, rng=1, **options),
                             ml.Dropout(0.5, rng=2), ml.Linear(4, 1, rng=3, **options), ml.Sigmoid()))


def gradcheck(layer: ml.Module, x: np.ndarray) -> Any:
    return ml.gradcheck(put(layer), put(x))


TOKENS = np.array([[1, 2, 3], [6, 0, 0]])


class Tagger(ml.Module):
    """Layers as attributes, one of them used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ml.Linear(3, 3, rng=0, dtype=np.float64)
        self.outer = ml.Sequential(ml.Tanh(), ml.Linear(3, 2, rng=1, dtype=np.float64))

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self.outer(self.inner(self.inner(x)))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return self.inner.backward(self.inner.backward(self.outer.backward(dy)))


def test_names_and_counts() -> None:
    model = small_model()
    assert list(model.named_parameters()) == ["0.W", "1.W", "1.b", "3.W", "3.b"] == list(model.named_gradients())
    assert model.num_parameters() == 7 * 3 + 7 * 16 + 16 + 4 + 1
    assert list(Tagger().named_parameters()) == ["inner.W", "inner.b", "outer.1.W", "outer.1.b"]


def test_a_layer_used_twice_in_one_forward_has_the_right_gradient(rng: np.random.Generator) -> None:
    gradcheck(Tagger(), rng.standard_normal((4, 3)))
    shared = ml.LSTM(3, 3, dtype=np.float64, rng=0)
    model = ml.Sequential(shared, ml.Tanh(), shared)
    assert list(model.named_parameters()) == ["0.W", "0.b"]
    gradcheck(model, rng.standard_normal((2, 3, 3)))


def test_two_forwards_before_two_backwards(rng: np.random.Generator) -> None:
    layer = put(ml.LSTM(3, 2, dtype=np.float64, rng=0))
    x1, x2, dy = (put(rng.standard_normal(s)) for s in ((2, 5, 3), (2, 4, 3), (2, 5, 2)))
    layer(x1)
    dx1, once = layer.backward(dy), {k: g.copy() for k, g in layer.grads.items()}
    layer.zero_grad()
    layer(x1)
    layer(x2)
    layer.backward(dy[:, :4])
    layer.grads["W"].fill(0)
    layer.grads["b"].fill(0)
    assert_equal(layer.backward(dy), dx1)
    assert_equal(layer.grads["W"], once["W"])


def test_evaluation_mode_keeps_nothing_and_drops_nothing() -> None:
    model = small_model().eval()
    assert_equal(model(put(TOKENS)), model(put(TOKENS)))
    assert not any(m._caches for _, m in model.modules()) and not any(m.training for _, m in model.modules())
    with pytest.raises(ml.BackwardError, match="train"):
        model.backward(xp.ones((2, 1), np.float32))
    assert all(m.training for _, m in model.train().modules())


def test_dropout_drops_a_share_of_p_and_scales_up_what_is_left() -> None:
    layer, x = put(ml.Dropout(0.2, rng=0)), xp.ones((100, 1000))
    y = layer(x)
    dropped = float((y == 0).mean())
    assert abs(dropped - 0.2) < 5 * (0.2 * 0.8 / x.size) ** 0.5
    assert float(abs(y[y != 0] - 1 / 0.8).max()) < 1e-12
    assert_equal(layer.backward(x), y)          # the same mask on the way back


def test_zero_grad_clears_gradients_and_pending_caches() -> None:
    model = small_model()
    model.backward(model(put(TOKENS)))
    model(put(TOKENS))
    assert any(g.any() for g in model.named_gradients().values())
    model.zero_grad()
    assert not any(g.any() for g in model.named_gradients().values())
    assert not any(m._caches for _, m in model.modules())


def test_state_dict_round_trip_and_copies() -> None:
    model, other = small_model(), small_model(init="uniform")
    state = model.state_dict()
    other.load_state_dict(state)
    assert_equal(model.eval()(put(TOKENS)), other.eval()(put(TOKENS)))
    state["0.W"][...] = 9
    assert not (model[0].params["W"] == 9).any() and not (other[0].params["W"] == 9).any()


@pytest.mark.parametrize(("change", "words"), [
    (lambda s: s.pop("1.b"), "missing 1.b"), (lambda s: s.update(extra=s["1.b"]), "unexpected extra"),
    (lambda s: s.update({"1.W": s["1.W"].T}), r"1.W: expected shape \(7, 16\), got \(16, 7\)"),
    (lambda s: s.update({"1.W": s["1.W"].astype(int)}), "1.W: expected dtype float32, got int64"),
    (lambda s: s["3.W"].fill(np.nan), "3.W: holds NaN"), (lambda s: s["3.b"].fill(np.inf), "3.b: holds NaN or infinite"),
    (lambda s: s.update({"3.b": "abc"}), "3.b: expected dtype float32, got str")])
def test_a_state_that_does_not_fit_changes_nothing(change: Any, words: str) -> None:
    model = small_model()
    before, state = model.state_dict(), model.state_dict()
    state["0.W"] += 1
    change(state)
    with pytest.raises(ml.CheckpointError, match=words):
        model.load_state_dict(state)
    assert all((before[k] == v).all() for k, v in model.state_dict().items())


def test_random_states_round_trip() -> None:
    model = small_model()
    state = model.rng_state()
    first = model(put(TOKENS))
    model.load_rng_state(state)
    assert_equal(model(put(TOKENS)), first)
    with pytest.raises(ml.CheckpointError, match="random states"):
        model.load_rng_state({})


def test_reset_parameters_is_reproducible_and_leaves_arrays_in_place() -> None:
    model = small_model()
    W = model[1].params["W"]
    model.reset_parameters(5)
    first, again = model.state_dict(), model.reset_parameters(5).state_dict()
    assert model[1].params["W"] is W and all((first[k] == again[k]).all() for k in first)
    assert (model.reset_parameters(6).state_dict()["1.W"] != first["1.W"]).any()


def test_to_dtype_and_refusals() -> None:
    model = small_model().to(dtype=np.float64)
    assert {p.dtype for p in model.named_parameters().values()} == {np.dtype("float64")}
    assert {g.dtype for g in model.named_gradients().values()} == {np.dtype("float64")}
    with pytest.raises(ml.DtypeError, match="int32"):
        model.to(dtype=np.int32)
    with pytest.raises(ml.ArgumentError, match="'tpu'"):
        model.to("tpu")


def test_options_reach_the_layers_that_take_them() -> None:
    model = put(ml.Sequential(ml.Embedding(7, 3, rng=0), ml.Sequential(ml.RNN(3, 2, rng=1), ml.RNN(2, 2, rng=2)), ml.Tanh()))
    y = model(put(TOKENS), lengths=[3, 1])
    assert not y[1, 1:].any() and y[0].all()
    with pytest.raises(ml.ArgumentError, match="'length'"):
        model(put(TOKENS), length=[3, 1])
    with pytest.raises(ml.ArgumentError, match="'lengths'"):
        ml.Sequential(ml.Tanh())(xp.ones(3), lengths=[1])


def test_print_and_summary() -> None:
    model = small_model()
    assert repr(model) == ("Sequential(\n  (0): Embedding(7, 3)\n  (1): LSTM(3, 4, return_sequences=False)\n"
                           "  (2): Dropout(p=0.5)\n  (3): Linear(4, 1)\n  (4): Sigmoid()\n)")
    text = model.summary((2, 3))
    assert "(1) LSTM" in text and "(2, 4)" in text and "154 parameters" in text and "float32" in text
    assert repr(text) == str(text) and "output shape" not in model.summary()
    assert not any(m._caches for _, m in model.modules()) and model.training
    assert "shared" in ml.Sequential(*[ml.Linear(2, 2)] * 2).summary()
    with pytest.raises(ml.ArgumentError, match="input_shape"):
        model.summary(3)                    # type: ignore[arg-type]
    with pytest.raises(ml.ShapeError):
        ml.Sequential(ml.Linear(2, 2)).summary((3, 5))


class Stack(ml.Module):
    """Modules in a list and in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = [ml.Linear(3, 3, rng=0, dtype=np.float64), ml.Tanh()]
        self.heads = {"out": ml.Linear(3, 2, rng=1, dtype=np.float64)}

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self.heads["out"](self.cells[1](self.cells[0](x)))

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return self.cells[0].backward(self.cells[1].backward(self.heads["out"].backward(dy)))


def test_lists_and_dicts_of_modules_are_children(rng: np.random.Generator) -> None:
    assert list(Stack().named_parameters()) == ["cells.0.W", "cells.0.b", "heads.out.W", "heads.out.b"]
    assert gradcheck(Stack(), rng.standard_normal((4, 3))).entries == 12 + 12 + 8


def test_a_slice_is_a_sequential_of_the_same_layers() -> None:
    model = small_model()
    assert isinstance(model[:2], ml.Sequential) and model[:2][1] is model[1] and len(model[2:]) == 3


def test_a_parameter_is_a_copy() -> None:
    array, layer = xp.ones(2), ml.Module()
    layer.add_param("b", array)
    layer.params["b"] += 1
    assert array.tolist() == [1, 1]


def test_a_weight_too_large_for_float32_is_refused() -> None:
    model = put(ml.Linear(1, 1))
    with pytest.raises(ml.CheckpointError, match="W: holds NaN or infinite"):
        model.load_state_dict({"W": np.full((1, 1), 1e300), "b": np.zeros(1)})


@pytest.mark.parametrize("dtype", ["floaty", "float16", int, "U3"])
def test_dtypes_that_are_not_supported(dtype: Any) -> None:
    for build in (lambda: ml.LSTM(2, 2, dtype=dtype), lambda: ml.Embedding(2, 2, dtype=dtype),
                  lambda: ml.Linear(2, 2, dtype=dtype).to(), lambda: ml.Linear(2, 2).to(dtype=dtype)):
        with pytest.raises(ml.DtypeError, match="dtype: expected"):
            build()


@pytest.mark.parametrize("layer", [ml.Sigmoid(), ml.Tanh(), ml.ReLU(), ml.Dropout(0.5)], ids=repr)
def test_empty_batches_are_refused(layer: ml.Module) -> None:
    with pytest.raises(ml.ShapeError, match="is empty"):
        layer(xp.ones((0, 3), np.float32))
