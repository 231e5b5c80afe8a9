"""What Embedding, Linear, the elementwise layers, every constructor and Sequential refuse; nothing is changed by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, backend, host, put, xp
from refusals import on_device, refuses

import minilstm as ml

N, T, D, H = 3, 7, 5, 2
X = np.ones((N, T, D))

MAKERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "LSTM": (lambda: ml.LSTM(D, H, dtype=np.float64, rng=0), X), "RNN": (lambda: ml.RNN(D, H, dtype=np.float64, rng=0), X),
    "Linear": (lambda: ml.Linear(D, H, dtype=np.float64, rng=0), X[0]),
    "Embedding": (lambda: ml.Embedding(7, 3, dtype=np.float64, rng=0), np.ones((N, T), int)),
    "Dropout": (lambda: ml.Dropout(0.5, rng=0), X), "Sigmoid": (ml.Sigmoid, X), "Tanh": (ml.Tanh, X), "ReLU": (ml.ReLU, X),
}


@pytest.mark.parametrize("name", MAKERS)
def test_backward_needs_a_forward(name: str) -> None:
    layer, x = put(MAKERS[name][0]()), put(MAKERS[name][1])
    dy = xp.ones_like(layer.eval()(x))
    refuses(ml.BackwardError, lambda: layer.backward(dy), name, "forward", unchanged=layer)      # evaluation mode kept none
    layer.train()
    layer(x)
    refuses(ml.ShapeError, lambda: layer.backward(dy[1:]), "dy", str(dy[1:].shape), unchanged=layer)
    refuses(ml.DtypeError, lambda: layer.backward(dy.astype(int)), "dy", "int64", unchanged=layer)
    layer.backward(dy)
    refuses(ml.BackwardError, lambda: layer.backward(dy), name, "forward", unchanged=layer)      # one each, no more


# Other layers ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ids, error, words", [
    (np.array([[0, 7]]), ml.TokenError, ["7", "0 to 6"]), (np.array([[0, -1]]), ml.TokenError, ["-1", "0 to 6"]),
    (np.array([[0, 2**40]]), ml.TokenError, [str(2**40)]),
    (np.array([[0, 2**64 - 1]], np.uint64), ml.TokenError, [str(2**64 - 1)]),
    (np.array([[0.0, 1.0]]), ml.DtypeError, ["integers", "float64"]),
    (np.array([[True]]), ml.DtypeError, ["integers", "bool"]),
    (np.array([["a"]]), ml.DtypeError, ["integers", "<U1"]), ([[0, 1]], ml.DtypeError, ["array", "list"]),
    (np.zeros((0, 4), int), ml.ShapeError, ["(0, 4)"]), (np.zeros((3, 0), int), ml.ShapeError, ["(3, 0)"])])
def test_embedding_ids(ids: Any, error: type[Exception], words: list[str]) -> None:
    layer, (error, words) = put(ml.Embedding(7, 3, rng=0)), on_device(ids, error, words)
    if error is ml.TokenError and backend() != "numpy":     # a device does not look: it gives NaN, and who fetches it explains
        y = host(layer(put(ids)))
        assert np.isfinite(y[0, 0]).all() == (ids.size > 1) and np.isnan(y[0, -1]).all()
        return
    refuses(error, lambda: layer(put(ids)), *words, unchanged=layer)


@pytest.mark.parametrize("x, error, words", [
    (X[..., :4], ml.ShapeError, ["x", "5", "(3, 7, 4)"]), (X[:0], ml.ShapeError, ["x", "(0, 7, 5)"]),
    (X.astype(int), ml.DtypeError, ["x", "int64"]), (X.tolist(), ml.DtypeError, ["x", "list"])])
def test_linear_input(x: Any, error: type[Exception], words: list[str]) -> None:
    layer = put(ml.Linear(D, H, rng=0))
    refuses(error, lambda: layer(put(x)), *words, unchanged=layer)


@pytest.mark.parametrize("layer", [ml.Dropout(0.5, rng=0), ml.Sigmoid(), ml.Tanh(), ml.ReLU()], ids=lambda m: type(m).__name__)
def test_elementwise_input(layer: Any) -> None:
    refuses(ml.DtypeError, lambda: layer(put(X.astype(int))), "x", "int64", unchanged=layer)
    refuses(ml.DtypeError, lambda: layer(X.tolist()), "x", "list", unchanged=layer)


# Constructors ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", [0, -1, 2.5, True, "3", None, np.nan, [3]])
def test_sizes_are_whole_numbers_of_at_least_one(value: Any) -> None:
    makers: list[tuple[str, Callable[[], Any]]] = [
        ("input_size", lambda: ml.LSTM(value, 2)), ("hidden_size", lambda: ml.LSTM(2, value)),
        ("num_layers", lambda: ml.LSTM(2, 2, value)), ("input_size", lambda: ml.RNN(value, 2)),
        ("hidden_size", lambda: ml.RNN(2, value)), ("num_layers", lambda: ml.RNN(2, 2, value)),
        ("in_features", lambda: ml.Linear(value, 2)), ("out_features", lambda: ml.Linear(2, value)),
        ("num_embeddings", lambda: ml.Embedding(value, 2)), ("embedding_dim", lambda: ml.Embedding(2, value))]
    for name, make in makers:
        refuses(ml.ArgumentError, make, name, repr(value))


@pytest.mark.parametrize("make, words", [
    (lambda: ml.LSTM(2, 2, dropout=1.5), ["dropout", "1.5"]), (lambda: ml.RNN(2, 2, dropout=-0.1), ["dropout", "-0.1"]),
    (lambda: ml.LSTM(2, 2, dropout=float("nan")), ["dropout", "nan"]),
    (lambda: ml.LSTM(2, 2, dropout="x"), ["dropout", "'x'"]),
    (lambda: ml.Dropout(1.5), ["p", "1.5"]), (lambda: ml.Dropout(-0.5), ["p", "-0.5"]),
    (lambda: ml.Dropout("x"), ["p", "'x'"]),
    (lambda: ml.Dropout(float("nan")), ["p", "nan"]), (lambda: ml.LSTM(2, 2, init="magic"), ["init", "'default'", "'magic'"]),
    (lambda: ml.RNN(2, 2, init="magic"), ["init", "'magic'"]), (lambda: ml.Linear(2, 2, init="magic"), ["init", "'magic'"]),
    (lambda: ml.Embedding(2, 2, init="magic"), ["init", "'magic'"]), (lambda: ml.LSTM(2, 2, init=["default"]), ["init"]),
    (lambda: ml.RNN(2, 2, nonlinearity="sin"), ["nonlinearity", "'tanh'", "'sin'"]),
    (lambda: ml.LSTM(2, 2, padding="left"), ["padding", "'pre'", "'left'"]),
    (lambda: ml.Embedding(7, 2, padding_idx=7), ["padding_idx", "7"]),
    (lambda: ml.Embedding(7, 2, padding_idx=-8), ["padding_idx", "-8"]),
    (lambda: ml.Embedding(7, 2, padding_idx=1.5), ["padding_idx", "1.5"]),
    (lambda: ml.Embedding(7, 2, padding_idx=True), ["padding_idx", "True"]),
    (lambda: ml.LSTM(2, 2, rng="seed"), ["rng", "'seed'"]), (lambda: ml.Linear(2, 2, rng=-1), ["rng", "-1"])])
def test_constructor_arguments(make: Callable[[], Any], words: list[str]) -> None:
    refuses(ml.ArgumentError, make, *words)


@pytest.mark.parametrize("make", [
    lambda: ml.LSTM(2, 2, dtype=np.int64), lambda: ml.RNN(2, 2, dtype=bool), lambda: ml.Linear(2, 2, dtype=np.int32),
    lambda: ml.Embedding(2, 2, dtype=np.int8)])
def test_parameters_are_floating(make: Callable[[], Any]) -> None:
    refuses(ml.DtypeError, make, "floating")


def test_gate_names() -> None:
    layer = ml.LSTM(D, H, rng=0)
    refuses(ml.ArgumentError, lambda: layer.gate("g"), "'f'", "'g'")
    for where in ({"layer": 1}, {"layer": -1}, {"reverse": True}):
        with pytest.raises(ml.ArgumentError):
            layer.gate("f", **where)


# Sequential --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("bad", [None, "Linear", [ml.Sigmoid()], ml.Sigmoid])
def test_sequential_is_made_of_modules(bad: Any) -> None:
    refuses(ml.DtypeError, lambda: ml.Sequential(ml.Sigmoid(), bad), "layer 1", type(bad).__name__)


def test_a_refused_input_leaves_a_sequential_that_can_be_used() -> None:
    """What the layers before the refusal kept is dropped, so that no backward goes through half a forward."""
    third = ml.Linear(4, 1, dtype=np.float64, rng=0)        # would want 5 features
    inner = ml.Sequential(ml.Embedding(7, D, dtype=np.float64, rng=0), ml.Linear(D, D, dtype=np.float64, rng=1))
    model = ml.Sequential(inner, ml.LSTM(D, D, 2, dtype=np.float64, rng=2), third)
    ids = put(np.ones((N, T), int))
    put(model)
    refuses(ml.ShapeError, lambda: model(ids), "x", "4", "(3, 7, 5)", unchanged=model)
    refuses(ml.ArgumentError, lambda: model(ids, length=[1]), "length", unchanged=model)
    refuses(ml.ArgumentError, lambda: model(ids, lengths=np.array([1, 2, 8])), "lengths", "8", unchanged=model)
    model.layers.pop()
    y = model(ids)
    refuses(ml.TokenError, lambda: model(ids + 7), "8") if backend() == "numpy" else model.drop_caches()
    refuses(ml.BackwardError, lambda: model.backward(y), "forward")         # nor through a forward before it
    y = model(ids)
    refuses(ml.ShapeError, lambda: model.backward(y[:1]), "dy", "(1, 7, 5)", unchanged=model)
    model.backward(xp.ones_like(y))
    twin = ml.Sequential(ml.Embedding(7, D, dtype=np.float64, rng=0), ml.Linear(D, D, dtype=np.float64, rng=1),
                         ml.LSTM(D, D, 2, dtype=np.float64, rng=2))
    put(twin).backward(xp.ones_like(twin(ids)))
    assert [g.tobytes() for g in model.named_gradients().values()] == [g.tobytes() for g in twin.named_gradients().values()]
    refuses(ml.BackwardError, lambda: model.backward(y), "forward", unchanged=model)


def test_sequential_backward_needs_every_layers_forward() -> None:
    """A layer left in evaluation mode kept no cache: that is said before any layer has added to its gradients."""
    model = put(ml.Sequential(ml.Linear(D, 3, rng=0), ml.Tanh(), ml.Linear(3, 2, rng=1)))
    model[1].eval()
    y = model(put(X))
    refuses(ml.BackwardError, lambda: model.backward(xp.ones_like(y)), "Tanh", "forward", unchanged=model)


def test_shared_layers_go_back_in_the_reverse_order() -> None:
    shared, twins = ml.Linear(D, D, dtype=np.float64, rng=0), [ml.Linear(D, D, dtype=np.float64, rng=0) for _ in range(2)]
    model, unshared = put((ml.Sequential(shared, ml.Tanh(), shared), ml.Sequential(twins[0], ml.Tanh(), twins[1])))
    y = model(put(X))
    assert y.tobytes() == unshared(put(X)).tobytes()
    assert model.backward(xp.ones_like(y)).tobytes() == unshared.backward(xp.ones_like(y)).tobytes()
    assert_allclose(shared.grads["W"], twins[0].grads["W"] + twins[1].grads["W"], rtol=1e-14)


@pytest.mark.parametrize("name", ["LSTM", "RNN", "Linear", "Dropout", "Sigmoid", "Tanh", "ReLU"])
@pytest.mark.parametrize("which", ["input", "output"])
def test_caches_outlive_the_callers_arrays(name: str, which: str) -> None:
    results = []
    for spoil in (False, True):
        layer, x = put(MAKERS[name][0]()), put(MAKERS[name][1]).copy()
        y = layer(x)
        dy = xp.ones_like(y)
        if spoil:
            (x if which == "input" else y).fill(-9.0)
        results.append([layer.backward(dy).tobytes(), *(g.tobytes() for g in layer.grads.values())])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["LSTM", "RNN", "Linear", "Embedding"])
def test_real_parameters_refuse_a_complex_gradient(name: str) -> None:
    layer, x = put(MAKERS[name][0]()), put(MAKERS[name][1])
    dy = xp.ones_like(layer(x))
    refuses(ml.DtypeError, lambda: layer.backward(dy * 1j), "dy", "complex128", unchanged=layer)
    layer.backward(dy)
