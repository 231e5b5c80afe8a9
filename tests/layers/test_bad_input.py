"""Of no single file: what every layer refuses, in its constructor, forward or backward, with nothing changed by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from backends import put, xp
from refusals import refuses

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
