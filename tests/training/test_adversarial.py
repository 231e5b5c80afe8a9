"""AdversarialGradients, beside the same two passes in PyTorch; and in a Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import assert_allclose, assert_equal, host, on_host, put
from refusals import refuses
from training_cases import everything, loaders, trainer

import minilstm as ml
from minilstm.training.adversarial import plain_gradients

V, D, H, LENGTHS = 11, 3, 2, [5, 1, 4]
EPSILON = 0.5


def test_gradients_agree_with_pytorch(rng: np.random.Generator) -> None:
    from torch_twin import load, to_torch, torch, unload
    tokens, y = rng.integers(1, V, (3, 5)), np.array([1.0, 0.0, 1.0])
    model = put(ml.Sequential(ml.Embedding(V, D, dtype=np.float64, init="uniform", rng=0),
                              ml.LSTM(D, H, bidirectional=True, dtype=np.float64, rng=1), ml.PoolOverTime("mean"),
                              ml.Linear(2 * H, 1, dtype=np.float64, rng=2), ml.Sigmoid()))
    prediction, loss = ml.AdversarialGradients(EPSILON)(model, ml.BCELoss(), put(tokens), put(y), {"lengths": LENGTHS})
    embedding, lstm, _, linear, _ = model
    table, W, b = (to_torch(p, True) for p in (embedding.params["W"], linear.params["W"], linear.params["b"]))
    theirs = torch.nn.LSTM(D, H, bidirectional=True, batch_first=True, dtype=torch.float64)
    for end in ("", "_reverse"):
        load(theirs, end, *(on_host(lstm.params[name + end]) for name in "Wb"))
    real = torch.tensor(np.arange(5) < np.array(LENGTHS)[:, None])[..., None]

    def loss_of(e: Any) -> Any:
        packed = torch.nn.utils.rnn.pack_padded_sequence(e, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
        out, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True, total_length=5)
        p = torch.sigmoid(out.sum(dim=1) / torch.tensor(LENGTHS)[:, None] @ W + b)[:, 0]
        return torch.nn.functional.binary_cross_entropy(p, torch.tensor(y))

    e = table[torch.tensor(tokens)]
    first = loss_of(e)
    g, = torch.autograd.grad(first, e, retain_graph=True)
    size_e, size_g = (torch.linalg.vector_norm(a, dim=(1, 2), keepdim=True) for a in (e * real, g))
    (first + loss_of(e + (EPSILON * size_e * g / size_g).detach())).backward()
    assert float(host(loss)) == pytest.approx(first.item()) and prediction.shape == (3, 1)
    want = [table.grad, *(a for end in ("", "_reverse") for a in unload(theirs, end, True)), W.grad, b.grad]
    got = [embedding.grads["W"], *(lstm.grads[name + end] for end in ("", "_reverse") for name in "Wb"),
           *linear.grads.values()]
    for ours, expected in zip(got, want, strict=True):
        assert_allclose(ours, np.asarray(expected), rtol=1e-10, atol=1e-14)


def test_without_noise_the_gradients_are_twice_the_plain_ones(rng: np.random.Generator) -> None:
    x = put(rng.standard_normal((3, 5, D)))
    x[1] = 0
    model = put(ml.Sequential(ml.LSTM(D, H, return_sequences=False, dtype=np.float64, rng=0)))      # no layer before it
    y = put(np.ones((3, H)))
    noisy = ml.AdversarialGradients(0.0)
    plain_gradients(model, ml.MSELoss(), x, y, {})
    once = {name: g.copy() for name, g in model.named_gradients().items()}
    model.zero_grad()
    noisy(model, ml.MSELoss(), x, y, {})
    for name, g in model.named_gradients().items():
        assert_allclose(g, 2 * host(once[name]), rtol=1e-12)
    assert_equal(noisy.noise(x, 0 * x), 0 * host(x))        # no direction, no noise


def test_in_a_trainer(tmp_path: Path) -> None:
    options: dict[str, Any] = {"gradients": ml.AdversarialGradients(0.1)}
    plain, whole = trainer(), trainer(tmp_path / "whole", **options)
    plain.fit(*loaders(), epochs=2)
    whole.fit(*loaders(), epochs=2)
    assert everything(plain)["weights"] != everything(whole)["weights"]
    trainer(tmp_path / "parts", **options).fit(*loaders(), epochs=1)
    again = trainer(tmp_path / "parts", seed=9, **options)
    again.fit(*loaders(), epochs=2, resume=True)
    assert everything(again) == everything(whole)
    for wrong in ({}, {"gradients": ml.AdversarialGradients(0.2)}):
        other = trainer(tmp_path / "parts", **wrong)
        refuses(ml.CheckpointError, lambda: other.fit(*loaders(), epochs=3, resume=True), "gradients differs: it was "
                "AdversarialGradients(0.1)", unchanged=other.model)


def test_what_does_not_fit_is_refused() -> None:
    refuses(ml.ArgumentError, lambda: ml.AdversarialGradients(-1), "epsilon")
    refuses(ml.ArgumentError, lambda: trainer(gradients=0.1), "gradients", "0.1")
    model = put(ml.Sequential(ml.Linear(2, 1)))
    x, y = put(np.ones((1, 2))), put(np.ones(1))
    refuses(ml.ArgumentError, lambda: ml.AdversarialGradients()(model, ml.MSELoss(), x, y, {}), "recurrent layer",
            unchanged=model)
