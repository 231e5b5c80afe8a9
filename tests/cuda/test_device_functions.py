"""The other kernels of a training step, against their NumPy counterparts: the embedding's gradient and Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from builder import compiler
from emulator import shuffled

import minilstm as ml
from minilstm.kernels.cuda.adam import adam_on_device
from minilstm.kernels.cuda.embedding import add_on_device

pytestmark = pytest.mark.skipif(compiler() is None, reason="g++ is not installed, so the kernels cannot be emulated")


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
        add_on_device(device.asarray(dy), device.asarray(tokens), dW, padding_idx)
        expected = before.astype(np.float64)
        counts = tokens != padding_idx if padding_idx is not None else np.ones(len(tokens), bool)
        np.add.at(expected, tokens[counts], dy[counts])
        assert np.abs(dW.get() - expected).max() <= tolerance * np.abs(expected).max()


def test_embedding_gradient_is_the_same_in_any_order_and_of_any_shape(standin: Any, rng: np.random.Generator) -> None:
    tokens, dy = rng.integers(0, 4, (9, 20)).astype(np.int32), rng.standard_normal((9, 20, 6)).astype(np.float32)
    tokens[0, :3] = [-5, 4, 2 ** 31 - 1]            # out of the table: they go nowhere
    results = []
    there = standin.asarray(dy), standin.asarray(tokens)
    add_on_device(*there, standin.zeros((4, 6), np.float32), None)     # the first launch looks for a device
    for seed in (0, 1, 2):
        dW = standin.zeros((4, 6), np.float32)
        with shuffled(seed), standin.counted() as counts:
            add_on_device(*there, dW, None)
        results.append(dW.get().tobytes())
        assert counts.syncs == counts.uploads == 0 and counts.launches <= 4
    assert len(set(results)) == 1
    inside = (tokens >= 0) & (tokens < 4)
    assert np.allclose(np.frombuffer(results[0], np.float32).reshape(4, 6),
                       [dy[inside & (tokens == v)].sum(axis=0) for v in range(4)], atol=1e-5)


@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_adam(dtype: Any, weight_decay: float, device: Any, rng: np.random.Generator) -> None:
    model = ml.Linear(7, 40, dtype=dtype, rng=0)
    host = ml.Adam(model, lr=0.01, weight_decay=weight_decay)
    there = [device.asarray(x) for x in (model.params["W"], *(np.zeros_like(model.params["W"]) for _ in range(2)))]
    for steps in range(1, 5):
        g = rng.standard_normal((7, 40)).astype(dtype)
        model.grads["W"][...] = g
        host.step()
        k, (beta1, beta2) = (1 - host.betas[1] ** steps) ** 0.5, host.betas
        adam_on_device(there[0], device.asarray(g), *there[1:], betas=(beta1, beta2), rate=host.lr * k / (1 - beta1 ** steps),
                       eps=host.eps * k, decay=weight_decay)
    tolerance = 2e-6 if dtype == np.float32 else 1e-14
    moments = host.state_dict()["arrays"]
    for x, expected in zip(there, (model.params["W"], moments["W.exp_avg"], moments["W.exp_avg_sq"])):
        assert np.abs(x.get() - expected).max() <= tolerance
