"""Of no single file: minilstm against Keras (on its PyTorch backend): the third opinion, on a few configurations.

Keras keeps one bias, as we do, but its columns are in the order i, f, c, o and x's rows stand in a matrix of their own. Its
GRU has the order z, r, n and two biases for each; of z and r, ours has only the first.
A layer of dtype float64 computes in float64 only where Keras has one fused operation for it (the LSTM without a mask):
``keras.ops.matmul`` rounds to float32 by its promotion rule (64-bit types become 32-bit ones, as in JAX by default), hence
the two tolerances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import Case, close

torch: Any = pytest.importorskip("torch", reason="the oracles extra is not installed")


ORDERS = {"lstm": ("fioc", "ifco"), "gru": ("rzn", "zrn")}


def to_keras(case: Case, end: str) -> list[Any]:
    """Our W and b as Keras' [kernel, recurrent_kernel, bias]."""
    W, b = case.params()["W" + end], case.params()["b" + end]
    ours, theirs = ORDERS.get(case.kind, ("", ""))
    if ours:
        columns = np.concatenate([np.arange(case.H) + case.H * ours.index(gate) for gate in theirs])
        W, b, b_nh = W[:, columns], b[columns], b[3 * case.H:]
    if case.kind == "gru":
        b = np.stack([b, np.concatenate([np.zeros(2 * case.H), b_nh])])
    return [W[case.H:], W[:case.H], b]


def from_keras(case: Case, gradients: list[Any]) -> tuple[Any, Any]:
    """The way back, for gradients."""
    kernel, recurrent, b = gradients
    W = np.concatenate([recurrent, kernel])
    ours, theirs = ORDERS.get(case.kind, ("", ""))
    if ours:
        columns = np.concatenate([np.arange(case.H) + case.H * theirs.index(gate) for gate in ours])
        W = W[:, columns]
        b = np.concatenate([b[0, columns], b[1, 2 * case.H:]]) if case.kind == "gru" else b[columns]
    return W, b


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")       # of Keras' own import
@pytest.mark.parametrize("case", [Case(kind, padding=padding, N=3, T=5, D=3, H=2, seed=seed) for seed, (kind, padding)
                                  in enumerate([("lstm", "none"), ("lstm", "post"), ("tanh", "none"), ("relu", "post"),
                                                ("gru", "none"), ("gru", "post")])],
                         ids=lambda case: f"{case.kind}-{case.padding}")
def test_recurrent_layers(case: Case) -> None:
    keras = pytest.importorskip("keras", reason="the oracles extra is not installed")
    if keras.backend.backend() != "torch":
        pytest.skip("KERAS_BACKEND is not torch")
    options = {"return_sequences": True, "return_state": True, "dtype": "float64"}
    makers = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    theirs = (makers[case.kind](case.H, **options) if case.kind in makers
              else keras.layers.SimpleRNN(case.H, activation=case.kind, **options))
    theirs.build(case.x().shape)
    theirs.set_weights(to_keras(case, ""))
    x = torch.tensor(case.x(), requires_grad=True)
    state = [torch.tensor(s[0], requires_grad=True) for s in case.state()]
    y, *final = theirs(x, initial_state=state, mask=torch.from_numpy(case.real()) if case.padding == "post" else None)
    real = torch.from_numpy(case.real())[:, :, None]        # Keras repeats the last output at padded steps; ours is 0
    dy, upstream = case.dy(), tuple(s[0] for s in case.state(4))
    loss = (torch.where(real, y, torch.zeros_like(y)) * torch.tensor(dy)).sum()
    loss = loss + sum((value * torch.tensor(gradient)).sum() for value, gradient in zip(final, upstream))
    loss.backward()
    layer, tolerance = case.layer(), 1e-10 if (case.kind, case.padding) == ("lstm", "none") else 2e-6
    ours, last = layer(case.x(), case.pack(tuple(s[0] for s in case.state())), return_state=True, **case.options)
    close(ours, torch.where(real, y, torch.zeros_like(y)).detach().numpy(), tolerance)
    for got, want in zip(case.unpack(last), final, strict=True):
        close(got, want.detach().numpy(), tolerance)
    dx, dstate = layer.backward(dy, case.pack(upstream))
    for got, want in zip([dx, *case.unpack(dstate)], [x, *state], strict=True):
        close(got, want.grad.numpy(), tolerance)
    W, b = from_keras(case, [v.value.grad.detach().numpy() for v in theirs.trainable_variables])
    close(layer.grads["W"], W, tolerance)
    close(layer.grads["b"], b, tolerance)
