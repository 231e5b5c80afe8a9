"""The other kernels of a training step, against their NumPy counterparts: embedding, binary cross-entropy, Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builder import compiler
from emulator import shuffled

import minilstm as ml
from minilstm import losses
from minilstm.kernels.cuda import embedding, optim
from minilstm.kernels.cuda.losses import bce_gradient, bce_loss

pytestmark = pytest.mark.skipif(compiler() is None, reason="g++ is not installed, so the kernels cannot be emulated")


@pytest.mark.parametrize("integer", [np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embedding_rows(dtype: Any, integer: Any, device: Any, rng: np.random.Generator) -> None:
    W, tokens = rng.standard_normal((11, 5)).astype(dtype), rng.integers(0, 11, (7, 3)).astype(integer)
    rows = embedding.embedding_rows(device.asarray(tokens), device.asarray(W))
    assert rows.get().tobytes() == W[tokens].tobytes() and rows.shape == (7, 3, 5)


def test_a_token_that_is_not_in_the_table_gives_nan(device: Any) -> None:
    tokens = device.asarray(np.array([0, -1, 3, 4, 2 ** 40, -2 ** 40]))
    rows = embedding.embedding_rows(tokens, device.asarray(np.ones((4, 3), np.float32))).get()
    assert np.isfinite(rows[[0, 2]]).all() and np.isnan(rows[[1, 3, 4, 5]]).all()


# Where the runs of one token begin and end, beside the chunks of 32 sorted places.
TOKENS: dict[str, Any] = {
    "few": lambda rng: rng.integers(0, 6, 200), "many": lambda rng: rng.integers(0, 500, 300),
    "one place": lambda rng: np.array([3]), "one token": lambda rng: np.full(97, 4), "a chunk": lambda rng: np.full(32, 4),
    "a chunk each": lambda rng: np.repeat([1, 2, 3], 32), "over the edge": lambda rng: np.repeat([1, 2, 3], [31, 34, 31]),
    "long runs": lambda rng: np.repeat([9, 2, 7, 0], [100, 1, 70, 40]), "each once": lambda rng: rng.permutation(96)}


@pytest.mark.parametrize("D", [1, 33, 130])
@pytest.mark.parametrize("what", TOKENS)
def test_embedding_gradient(what: str, D: int, device: Any, rng: np.random.Generator) -> None:
    tokens = rng.permutation(TOKENS[what](rng))
    V = int(tokens.max()) + 2
    for dtype, padding_idx, tolerance in ((np.float32, None, 1e-5), (np.float64, int(tokens[0]), 1e-13)):
        dy, before = rng.standard_normal((len(tokens), D)).astype(dtype), rng.standard_normal((V, D)).astype(dtype)
        dW = device.asarray(before)
        embedding.add_embedding_gradient(device.asarray(dy), device.asarray(tokens), dW, padding_idx=padding_idx)
        expected = before.astype(np.float64)
        counts = tokens != padding_idx if padding_idx is not None else np.ones(len(tokens), bool)
        np.add.at(expected, tokens[counts], dy[counts])
        assert np.abs(dW.get() - expected).max() <= tolerance * np.abs(expected).max()


def test_embedding_gradient_is_the_same_in_any_order_and_of_any_shape(standin: Any, rng: np.random.Generator) -> None:
    tokens, dy = rng.integers(0, 4, (9, 20)).astype(np.int32), rng.standard_normal((9, 20, 6)).astype(np.float32)
    tokens[0, :3] = [-5, 4, 2 ** 31 - 1]            # out of the table: they go nowhere
    results = []
    there = standin.asarray(dy), standin.asarray(tokens)
    embedding.add_embedding_gradient(*there, standin.zeros((4, 6), np.float32))     # the first launch looks for a device
    for seed in (0, 1, 2):
        dW = standin.zeros((4, 6), np.float32)
        with shuffled(seed), standin.counted() as counts:
            embedding.add_embedding_gradient(*there, dW)
        results.append(dW.get().tobytes())
        assert counts.syncs == counts.uploads == 0 and counts.launches <= 4
    assert len(set(results)) == 1
    inside = (tokens >= 0) & (tokens < 4)
    assert np.allclose(np.frombuffer(results[0], np.float32).reshape(4, 6),
                       [dy[inside & (tokens == v)].sum(axis=0) for v in range(4)], atol=1e-5)


@pytest.mark.parametrize("shape", [(1,), (7, 1), (300,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy(dtype: Any, shape: tuple[int, ...], device: Any, rng: np.random.Generator) -> None:
    z, y = (rng.standard_normal(shape) * 8).astype(dtype), rng.integers(0, 2, shape).astype(dtype)
    p = ml.sigmoid(z)
    p.reshape(-1)[:4] = np.array([0, 1, 1e-40, 0.5], dtype)[:p.size]
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    for x, logits, weight in ((p, False, 1.0), (z, True, 1.0), (z, True, 2.5)):
        options = {"pos_weight": weight} if logits else {}
        loss, cache = (losses.bce_with_logits_forward if logits else losses.bce_forward)(x, y, **options)
        dx = (losses.bce_with_logits_backward if logits else losses.bce_backward)(cache)
        on_device = device.asarray(x), device.asarray(y), 1 / x.size
        got, gradient = (f(*on_device, logits=logits, **options).get() for f in (bce_loss, bce_gradient))
        assert got.shape == () and got.dtype == dtype == gradient.dtype
        assert abs(float(got) - float(loss)) <= tolerance * max(1, abs(float(loss)))
        assert np.abs(gradient - dx).max() <= tolerance * max(1, np.abs(dx).max())


def test_what_the_host_refuses_becomes_nan(device: Any) -> None:
    for logits, prediction, target, wrong in ((False, [0.5, 1.5, -0.1, 0.5, np.nan], [1, 1, 0, 2, 1], [1, 2, 3, 4]),
                                              (True, [0.5, 2.0, 3.0], [1, -1, np.nan], [1, 2])):
        x, y = (device.asarray(np.array(values, np.float32)) for values in (prediction, target))
        assert np.isnan(bce_loss(x, y, 1.0, logits=logits).get())
        bad = np.isnan(bce_gradient(x, y, 1.0, logits=logits).get())
        assert np.flatnonzero(bad).tolist() == wrong


@pytest.mark.parametrize("kind", [ml.Adam, ml.AdamW])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam(kind: Any, dtype: Any, device: Any, rng: np.random.Generator) -> None:
    model = ml.Linear(7, 40, dtype=dtype, rng=0)
    host = kind(model, lr=0.01, weight_decay=0.03)
    there = [device.asarray(x) for x in (model.params["W"], *(np.zeros_like(model.params["W"]) for _ in range(2)))]
    for steps in range(1, 5):
        g = rng.standard_normal((7, 40)).astype(dtype)
        model.grads["W"][...] = g
        host.step()
        optim.adam_update(there[0], device.asarray(g), *there[1:], steps=steps, lr=host.lr, betas=host.betas, eps=host.eps,
                          weight_decay=host.weight_decay, decoupled=kind is ml.AdamW)
    tolerance = 2e-6 if dtype == np.float32 else 1e-14
    moments = host.state_dict()["arrays"]
    for x, expected in zip(there, (model.params["W"], moments["W.exp_avg"], moments["W.exp_avg_sq"])):
        assert np.abs(x.get() - expected).max() <= tolerance


def test_adam_changes_nothing_where_it_is_not_ok(device: Any) -> None:
    for shape in ((), (1,)):
        arrays = [device.asarray(np.full(5, k, np.float32)) for k in range(4)]
        for ok, moved in ((False, False), (True, True)):
            optim.adam_update(*arrays, steps=1, lr=0.1, betas=(0.9, 0.999), eps=1e-8, ok=device.asarray(np.full(shape, ok)))
            assert [float(x.get()[0]) == k for k, x in enumerate(arrays)] == [not moved, True, not moved, not moved]
