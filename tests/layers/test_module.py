"""Module: names, modes, gradients, layers used twice, dtypes."""

from __future__ import annotations

import copy
from collections import UserList, deque
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from backends import assert_equal, put, xp
from models import TOKENS, small_model

import minilstm as ml
from minilstm.backend.passes import one_pass


def gradcheck(layer: ml.Module, x: np.ndarray) -> Any:
    return ml.gradcheck(put(layer), put(x))


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


def test_two_calls_of_one_pass_before_two_backwards(rng: np.random.Generator) -> None:
    layer = put(ml.LSTM(3, 2, dtype=np.float64, rng=0))
    x1, x2, dy = (put(rng.standard_normal(s)) for s in ((2, 5, 3), (2, 4, 3), (2, 5, 2)))
    layer(x1)
    dx1, once = layer.backward(dy), {k: g.copy() for k, g in layer.grads.items()}
    layer.zero_grad()
    with one_pass():
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


def test_zero_grad_clears_gradients_and_no_more() -> None:
    model = small_model()
    model.backward(model(put(TOKENS)))
    y = model(put(TOKENS))
    assert any(g.any() for g in model.named_gradients().values())
    model.zero_grad(set_to_none=True)
    assert not any(g.any() for g in model.named_gradients().values())
    model.backward(y)
    assert any(g.any() for g in model.named_gradients().values())


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


def test_containers_are_looked_through_once() -> None:
    model, shared, ring = ml.Module(), ml.Tanh(), deque([ml.Tanh()])
    ring.append(ring)                       # type: ignore[arg-type]
    model.kept = {"first": [shared], "ring": ring, "last": shared}          # type: ignore[attr-defined]
    assert [name for name, _ in model.modules()] == ["", "kept.first.0", "kept.ring.0"]


def test_a_parameter_is_a_copy() -> None:
    array, layer = xp.ones(2), ml.Module()
    layer.add_param("b", array)
    layer.params["b"] += 1
    assert array.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", ["floaty", "float16", int, "U3"])
def test_dtypes_that_are_not_supported(dtype: Any) -> None:
    for build in (lambda: ml.LSTM(2, 2, dtype=dtype), lambda: ml.Embedding(2, 2, dtype=dtype),
                  lambda: ml.Linear(2, 2, dtype=dtype).to(), lambda: ml.Linear(2, 2).to(dtype=dtype)):
        with pytest.raises(ml.DtypeError, match="dtype: expected"):
            build()


def test_frozen_layers_say_so_and_reach_down() -> None:
    model = small_model()
    model[1].frozen = True
    assert "frozen=True" in repr(model[1]) and repr(model).count("frozen") == 1 and model[1].frozen and not model.frozen
    model.frozen = True
    assert all(module.frozen for _, module in model.modules())
    assert list(model.state_dict()) == list(small_model().state_dict())


def test_layers_where_nobody_looks_are_refused() -> None:
    class Slots:
        __slots__ = ("inner",)

        def __init__(self) -> None:
            self.inner = ml.Tanh()
    layer, model = ml.Tanh(), ml.Module()
    for kept, words in (({layer}, "set"), (np.array([[layer], 0], dtype=object), "array"), (Slots(), "Slots"),
                        (UserList([layer]), "UserList"), (SimpleNamespace(inner=[layer]), "SimpleNamespace"),
                        (partial(layer), "partial"), (layer.forward, "method"),
                        (lambda x: layer(x), "function"), ({"a": layer}.values(), "dict_values"),
                        (map(id, [layer]), "map")):
        model.kept = kept
        with pytest.raises(ml.ArgumentError, match=f"Module.kept: .*{words}"):
            model.named_parameters()
    model.kept = [{layer}, np.tanh]         # the first of several
    with pytest.raises(ml.ArgumentError, match=r"Module.kept.0: .*set"):
        model.children()
    model.kept = [model.forward, SimpleNamespace(model=model), np.tanh, ml, ml.Tanh]
    assert model.children() == {}
    model.layer, model.kept = layer, layer.forward
    assert list(model.children()) == ["layer"]          # that is found


def test_names_that_are_not_there_are_said_in_words() -> None:
    layer = ml.Linear(2, 2, rng=0)
    with pytest.raises(ml.ParameterError, match="^Linear has no gradient 'w': it has 'W', 'b'") as caught:
        layer.grads["w"] += 1
    assert isinstance(caught.value, KeyError) and layer.params.get("w") is None


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ml.LSTM(2, 2, batch_first=True), r"LSTM: batch_first is not .*\(N, T, D\)"),
    (lambda: ml.GRU(2, 2, reset_after=True), "GRU: reset_after"), (lambda: ml.Dropout(rate=0.5), r"write Dropout\(p\)"),
    (lambda: ml.Embedding(4, 2, mask_zero=True), "lengths"), (lambda: ml.Linear(2, units=3), "in_features")])
def test_keywords_of_other_libraries_are_answered(make: Any, words: str) -> None:
    with pytest.raises(ml.ArgumentError, match=words):
        make()
    with pytest.raises(TypeError, match="unexpected keyword"):
        ml.LSTM(2, 2, hiden_size=3)
    assert ml.Linear(2, 2, bias=False).bias is False


def test_a_copy_has_the_weights_and_no_pending_forward() -> None:
    model = small_model()
    model(put(TOKENS))
    twin = copy.deepcopy(model)
    assert not any(m._caches for _, m in twin.modules()) and any(m._caches for _, m in model.modules())
    assert_equal(twin.eval()(put(TOKENS)), model.eval()(put(TOKENS)))
