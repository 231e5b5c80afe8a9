"""The same calls on NumPy and on a device give the same numbers: layers, losses, metrics, in sizes that take every kernel.

What they compute is tested in the files of tests/ that run on every backend (``BOTH`` in backends.py), mostly in float64 and
small. Here each body makes its results with whatever backend it is given. It runs on NumPy with the readable functions and
on the stand-in (on a real GPU with ``pytest -m gpu``), and everything that comes out is compared: float64 to 1e-12, float32
to 1e-5.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from cases import KINDS, LAYERS, UPSTREAM, Case
from ondevice import Put, both, same

import minilstm as ml
from minilstm.losses import metrics

pytestmark = [pytest.mark.usefixtures("device"),
              pytest.mark.skipif(shutil.which("g++") is None, reason="kernels are emulated with g++, which is not installed")]

# Layers --------------------------------------------------------------------------------------------------------------

CASES = [Case(kind, num_layers, bidirectional, padding, states, sequences, upstream, N=3, T=5, D=3, H=H)
         for k, kind in enumerate(KINDS)
         for j, (num_layers, bidirectional, padding, states, sequences, upstream) in enumerate([
             (1, False, "none", False, False, "outputs"), (1, True, "pre", True, True, "all"),
             (2, True, "post", False, False, "all"),
             (1, False, "post", True, False, "states"), (2, False, "pre", True, True, "last part")])
         for H in ((2, 32)[(k + j) % 2],)]


@both
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("case", CASES, ids=[f"{c.kind}-{c.num_layers}-{c.directions}-{c.padding}-H{c.H}" for c in CASES])
def test_recurrent_layers(case: Case, fast: bool, dtype: str) -> None:
    assert {c.upstream for c in CASES} == set(UPSTREAM)

    def body(backend: str, put: Put) -> Any:
        layer = case.layer(dtype).to(backend)
        layer.fast = fast and backend != "numpy"
        options = dict(case.options)
        y, last = layer(put(case.x()), put(case.pack(case.state())) if case.states else None, return_state=True, **options)
        dstate = case.dstate()
        dx, dstate0 = layer.backward(put(case.dy()), put(case.pack(dstate)) if any(d is not None for d in dstate) else None)
        return y, last, dx, dstate0, layer.grads
    same(body, dtype, 1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", ["pre", "post"])
def test_lengths_may_be_on_the_device(kind: str, padding: str) -> None:
    case = Case(kind, num_layers=2, bidirectional=True, padding=padding, N=4, T=5, D=3, H=32)

    def body(backend: str, put: Put) -> Any:
        layer = case.layer(np.float64).to(backend)
        layer.fast = backend != "numpy"
        y = layer(put(case.x()), lengths=put(case.lengths().astype(np.int64)), padding=padding)
        return y, layer.backward(put(np.ones(y.shape)))
    same(body, "float64")


@both
@pytest.mark.parametrize("kind", KINDS)
def test_steps(kind: str, dtype: str) -> None:
    case = Case(kind, N=3, T=1, D=3, H=2)

    def body(backend: str, put: Put) -> Any:
        state = put(tuple(s[0] for s in case.state()))
        *values, cache = case.function("step")(put(case.x()[:, 0]), *state, *map(put, case.params().values()), **case.named)
        return values, case.function("step_backward")(*put(tuple(s[0] for s in case.state(4))), cache)
    same(body, dtype)


SIMPLE: dict[str, tuple[Callable[[], ml.Module], tuple[int, ...]]] = {
    "linear": (lambda: ml.Linear(5, 3, rng=0), (2, 3, 5)),
    "linear without bias": (lambda: ml.Linear(5, 3, bias=False, rng=0), (4, 5)),
    "sigmoid": (ml.Sigmoid, (3, 5)), "tanh": (ml.Tanh, (3, 5)), "relu": (ml.ReLU, (3, 5)),
    "dropout": (lambda: ml.Dropout(0.4, rng=0), (3, 5)), "no dropout": (lambda: ml.Dropout(0.0), (3, 5)),
    "locked dropout": (lambda: ml.LockedDropout(0.4, rng=0), (3, 4, 5)),
    **{f"pooling, {mode}": (partial(ml.PoolOverTime, mode), (3, 4, 5)) for mode in ("max", "mean", "both")}}


@both
@pytest.mark.parametrize("name", SIMPLE)
def test_simple_layers(name: str, dtype: str, rng: np.random.Generator) -> None:
    make, shape = SIMPLE[name]
    x = rng.standard_normal(shape)

    def body(backend: str, put: Put) -> Any:
        layer = make().to(backend, np.dtype(dtype))
        y = layer(put(x))
        return y, layer.backward(put(np.cos(np.arange(y.size)).reshape(y.shape))), layer.grads
    same(body, dtype)


@both
def test_word_dropout(dtype: str, rng: np.random.Generator) -> None:
    tokens = rng.integers(0, 7, (5, 30))

    def body(backend: str, put: Put) -> Any:
        model = ml.Sequential(ml.WordDropout(0.3, rng=1), ml.Embedding(9, 3, rng=0)).to(backend, np.dtype(dtype))
        return model(put(tokens))
    same(body, dtype)


@both
@pytest.mark.parametrize("padding_idx", [None, 0])
@pytest.mark.parametrize("integers", [np.int32, np.int64, np.uint8])
def test_embedding(padding_idx: int | None, integers: Any, dtype: str, rng: np.random.Generator) -> None:
    tokens = rng.integers(0, 7, (5, 30)).astype(integers)
    tokens[:, :11] = 0
    dy = rng.standard_normal((5, 30, 3))

    def body(backend: str, put: Put) -> Any:
        layer = ml.Embedding(9, 3, padding_idx=padding_idx, rng=0).to(backend, np.dtype(dtype))
        results = []
        for _ in range(2):                              # gradients add up
            results.append(layer(put(tokens)))
            layer.backward(put(dy))
        W = layer.params["W"]
        return results, layer.grads, ml.embedding_backward(put(dy), ml.embedding_forward(put(tokens), W)[1])
    same(body, dtype)


def test_a_token_outside_the_vocabulary_is_a_row_of_nan(device: Any) -> None:
    layer = ml.Embedding(4, 2, rng=0).to("cupy")
    for dtype in (np.float32, np.complex128):
        y, _ = ml.embedding_forward(device.asarray([[0, 4], [-1, 3]]), layer.params["W"].astype(dtype))
        assert np.isnan(ml.to_numpy(y)).any(axis=-1).tolist() == [[False, True], [True, False]]


# Losses and metrics --------------------------------------------------------------------------------------------------

LOSSES: list[tuple[Any, dict[str, Any], str]] = [
    (ml.BCELoss, {}, "probabilities"), (ml.BCELoss, {"reduction": "sum"}, "probabilities"),
    (ml.BCEWithLogitsLoss, {}, "logits"),
    (ml.BCEWithLogitsLoss, {"pos_weight": 3.0, "reduction": "sum"}, "logits"), (ml.MSELoss, {}, "logits"),
    (ml.CrossEntropyLoss, {}, "classes"), (ml.CrossEntropyLoss, {"ignore_index": 2, "reduction": "sum"}, "classes"),
    (ml.CrossEntropyLoss, {"ignore_index": 2}, "classes")]


@both
@pytest.mark.parametrize(("kind", "options", "form"), LOSSES, ids=[f"{k.__name__}-{o}" for k, o, _ in LOSSES])
def test_losses(kind: Any, options: dict[str, Any], form: str, dtype: str, rng: np.random.Generator) -> None:
    prediction = rng.random((700, 1)) if form == "probabilities" else rng.standard_normal((70, 1 if form == "logits" else 4))
    target = rng.integers(0, 2 if form != "classes" else 4, len(prediction))
    if form == "probabilities":
        prediction[:3, 0] = 0, 1, 1e-30                 # where logarithms are clamped

    def body(backend: str, put: Put) -> Any:
        criterion = kind(**options)
        results = []
        for y in (target, target.astype(np.float64)) if form != "classes" else (target,):
            results += [criterion(put(prediction), put(y)), criterion.backward()]
        return results
    same(body, dtype)


@both
def test_metrics(dtype: str, rng: np.random.Generator) -> None:
    scores, labels = rng.random((300, 1)), rng.integers(0, 2, 300)
    scores[:40] = 0.5                                   # on the threshold: positive
    logits, classes = rng.standard_normal((60, 4)), rng.integers(0, 4, 60)

    def body(backend: str, put: Put) -> Any:
        return [ml.accuracy(put(scores), put(labels.astype(float))), ml.accuracy(put(scores), put(labels), threshold=0.8),
                ml.accuracy(put(logits), put(classes)), ml.accuracy(put(classes), put(classes % 2)),
                ml.accuracy(put(logits), put(classes), ignore_index=1),
                ml.accuracy(put(scores), put(labels.astype(float)), ignore_index=1),
                ml.confusion_matrix(put(logits), put(classes)),
                *ml.precision_recall_f1(put(scores), put(labels)), *ml.precision_recall_f1(put(logits), put(classes)),
                of_logits(put(logits), put((logits > 0.3).astype(float)))]
    of_logits = metrics.accuracy_of(ml.BCEWithLogitsLoss())
    assert of_logits is not None
    same(body, dtype)


def test_layers_and_activations_are_all_here() -> None:
    """Whoever adds a layer adds it above."""
    tried = {"LSTM", "GRU", "RNN", "Linear", "Embedding", "Dropout", "LockedDropout", "WordDropout", "PoolOverTime", "Sigmoid",
             "Tanh", "ReLU", "Sequential"}
    layers = {name for name in ml.__all__ if isinstance(getattr(ml, name), type) and issubclass(getattr(ml, name), ml.Module)}
    assert layers - {"Module"} == tried and set(LAYERS.values()) == {ml.LSTM, ml.GRU, ml.RNN}
