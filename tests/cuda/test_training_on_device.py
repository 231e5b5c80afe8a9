"""Optimisers of many parameters, whole trainings with every kernel, and checkpoints give on a device what NumPy gives.

float64 to 1e-12, float32 to 1e-5; NumPy with the readable functions, the device with its kernels.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import close
from ondevice import Put, both, flat, put_on, same

import minilstm as ml
from minilstm.training.trainer import Trainer

pytestmark = [pytest.mark.usefixtures("device"),
              pytest.mark.skipif(shutil.which("g++") is None, reason="kernels are emulated with g++, which is not installed")]

# Optimisers ----------------------------------------------------------------------------------------------------------

OPTIMIZERS: list[tuple[Any, dict[str, Any]]] = [
    (ml.SGD, {"lr": 0.1}), (ml.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (ml.Adam, {"lr": 0.01}), (ml.Adam, {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.9), "eps": 1e-4}),
    (ml.AdamW, {"lr": 0.01, "weight_decay": 0.1})]


def many_parameters(rng: np.random.Generator) -> ml.Sequential:
    """Ten of them, more than one launch of a kernel takes."""
    return ml.Sequential(*(ml.Linear(3, 3, rng=rng) for _ in range(4)), ml.Linear(3, 400, rng=rng))


def set_gradients(model: ml.Module, rng: np.random.Generator, put: Put) -> None:
    for g in model.named_gradients().values():
        g[...] = put(rng.standard_normal(g.shape) * 3)


@both
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS, ids=[f"{k.__name__}-{len(o)}" for k, o in OPTIMIZERS])
@pytest.mark.parametrize("max_norm", [None, 0.5])
def test_twenty_steps(kind: Any, options: dict[str, Any], max_norm: float | None, dtype: str) -> None:
    def body(backend: str, put: Put) -> Any:
        rng = np.random.default_rng(5)
        model = many_parameters(rng).to(backend, np.dtype(dtype))
        optimizer, norms = kind(model, **options), []
        for _ in range(20):
            set_gradients(model, rng, put)
            norms.append(ml.clip_grad_norm(model, np.inf if max_norm is None else max_norm))
            optimizer.step()
        state = optimizer.state_dict()
        assert state["meta"]["steps"] == 20
        return norms, model.state_dict(), state["arrays"]
    same(body, dtype)


@pytest.mark.parametrize("kind", [ml.Adam, ml.SGD])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_gradient_is_named_and_changes_nothing(kind: Any, bad: float) -> None:
    rng, put = np.random.default_rng(6), put_on("cupy", np.float32)
    model = many_parameters(rng).to("cupy")
    optimizer = kind(model, lr=0.1)
    for _ in range(2):
        set_gradients(model, rng, put)
        optimizer.step()
    before = optimizer.state_dict()["arrays"] | model.state_dict()
    set_gradients(model, rng, put)
    model.layers[4].grads["W"][1, 7] = bad
    words = r"gradient of 4.W .Linear. is not finite: first at \[1, 7\]=.*; no weight was changed"
    with pytest.raises(ml.NonFiniteError, match=words):
        optimizer.step()
    after = optimizer.state_dict()["arrays"] | model.state_dict()
    assert optimizer.steps == 2 and all(np.array_equal(after[name], value) for name, value in before.items())


# Whole trainings -----------------------------------------------------------------------------------------------------

V, T, N = 20, 6, 44


def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = rng.integers(1, V, (N, T))
    return x, (x.sum(axis=1) % 2).astype(np.float32), rng.integers(1, T + 1, N)


def trainer(backend: str, dtype: Any = np.float64, run_dir: Any = None, hidden: int = 32, cell: Any = ml.LSTM,
            **options: Any) -> Trainer:
    rng = np.random.default_rng(0)
    model = ml.Sequential(ml.Embedding(V, 4, rng=rng), cell(4, hidden, return_sequences=False, rng=rng),
                          ml.Dropout(0.3, rng=rng), ml.Linear(hidden, 1, rng=rng), ml.Sigmoid()).to(backend, np.dtype(dtype))
    model.fast = backend != "numpy"
    return Trainer(model, ml.BCELoss(), ml.Adam(model, lr=0.02), verbose=False, progress=False, run_dir=run_dir, **options)


def loaders(backend: str, rng_seed: int = 3, masked: bool = False) -> list[Any]:
    x, y, lengths = data(np.random.default_rng(rng_seed))
    parts = (x, y, lengths) if masked else (x, y)
    return [ml.DataLoader(*parts, batch_size=8, shuffle=shuffle, seed=1, backend=backend) for shuffle in (True, False)]


def outcome(t: Trainer) -> list[np.ndarray]:
    rows = np.array([[value for value in row.values() if value is not None] for row in t.history.rows], dtype=np.float64)
    return flat([rows, t.model.state_dict(), t.optimizer.state_dict()["arrays"]])


@both
@pytest.mark.parametrize(("cell", "hidden", "masked", "clip_norm"), [
    (ml.LSTM, 32, False, None), (ml.LSTM, 5, True, 0.1), (ml.GRU, 32, True, None), (ml.RNN, 5, False, 0.1)])
def test_trainings(cell: Any, hidden: int, masked: bool, clip_norm: float | None, dtype: str) -> None:
    results = []
    for backend in ("numpy", "cupy"):
        t = trainer(backend, dtype, cell=cell, hidden=hidden, clip_norm=clip_norm)
        t.fit(*loaders(backend, masked=masked), epochs=2)
        x, _, lengths = data(np.random.default_rng(3))
        results.append([*outcome(t), t.predict(x, lengths=lengths if masked else None)])
    for a, b in zip(*results, strict=True):
        close(a, b, {"float64": 1e-12, "float32": 1e-5}[dtype])


@pytest.mark.parametrize(("first", "second"), [("cupy", "numpy"), ("numpy", "cupy"), ("cupy", "cupy")])
def test_a_run_goes_on_on_another_backend(first: str, second: str, tmp_path: Path) -> None:
    whole = trainer("numpy")
    whole.fit(*loaders("numpy"), epochs=3)
    trainer(first, run_dir=tmp_path).fit(*loaders(first), epochs=2)
    t = trainer(second, run_dir=tmp_path)
    t.fit(*loaders(second), epochs=3, resume=True)
    for a, b in zip(outcome(t), outcome(whole), strict=True):
        close(a, b, 1e-12)


def test_the_nan_guard_names_what_it_can_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, _ = data(np.random.default_rng(3))
    x[13, 2] = V                                        # not in the vocabulary
    good, t = trainer("cupy"), trainer("cupy")
    put = put_on("cupy")
    batches = [(put(x[k:k + 8]), put(y[k:k + 8])) for k in range(0, 40, 8)]
    good.fit(batches[:1], epochs=1)
    with pytest.raises(ml.NonFiniteError, match=rf"epoch 1, step 2: the loss is nan: tokens: {V} at \[5, 2\] is outside"):
        t.fit(batches, epochs=1)
    assert t.optimizer.steps == t.step == 1
    for a, b in zip(flat(t.model.state_dict()), flat(good.model.state_dict()), strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(ml.NonFiniteError, match=r"evaluation is nan: tokens: 20 at \[5, 2\] is outside"):
        t.evaluate(batches)
    with pytest.raises(ml.TokenError, match=r"tokens: 20 at \[5, 2\] is outside"):
        t.predict(x, batch_size=8)
