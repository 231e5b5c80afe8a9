"""Of no single file: weights from PyTorch give the same outputs, gradients and ten steps of SGD."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import close
from torch_twin import torch, unload
from weight_files import LAYERS, Config, D, H, N, T, loaded, save

import minilstm as ml

CONFIGS = [Config(*fields) for fields in itertools.product(LAYERS, (1, 2, 3), (False, True), (True, False))]
ENDINGS = (".pt", ".safetensors", ".npz")
LENGTHS = np.array([T, 1, 11])


def names(config: Config) -> list[str]:
    return [
        ("" if level == 0 else f"_l{level}") + end
        for level in range(config.num_layers)
        for end in ("", "_reverse")[: 1 + config.bidirectional]
    ]


def run(module: Any, x: Any, dy: Any) -> tuple[Any, Any]:
    """Outputs of ragged sequences, and the gradient of the input; the module's gradients are filled."""
    x = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], batch_first=True, total_length=T)
    (y * torch.tensor(dy)).sum().backward()
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_outputs_and_gradients(
    config: Config, tmp_path: Path, rng: np.random.Generator, worst: list[float]
) -> None:
    module = config.torch()
    path = save(module.state_dict(), tmp_path / f"weights{ENDINGS[CONFIGS.index(config) % 3]}")
    x, dy = rng.standard_normal((N, T, D)), rng.standard_normal((N, T, H * (1 + config.bidirectional)))
    want, dx = run(module, x, dy)
    for dtype, tolerance in ((np.float64, 1e-10), (np.float32, 1e-5)):
        layer = loaded(path, config.ours(dtype))
        close(layer(x.astype(dtype), lengths=LENGTHS), want, tolerance)
        got = [layer.backward(dy.astype(dtype))]
        expected = [dx]
        for end in names(config):
            if config.bias:
                W, b = unload(module, end, True)
                got.append(layer.grads["b" + end])
                expected.append(b)
            else:
                setattr(module, f"bias_ih{end if '_l' in end else '_l0' + end}", torch.zeros(1))
                W = weights_alone(module, end)
            got.append(layer.grads["W" + end])
            expected.append(W)
        for one, other in zip(got, expected, strict=True):
            worst.append(float(np.abs(one - other).max() / np.abs(other).max()))
            assert worst[-1] <= tolerance, worst[-1]


def weights_alone(module: Any, end: str) -> Any:
    """The gradient of a module's weights without biases, in our layout."""
    end, order = end if "_l" in end else "_l0" + end, [0]
    if isinstance(module, torch.nn.LSTM):
        order = [1, 0, 3, 2]
    rows = torch.cat([getattr(module, name + end).grad for name in ("weight_hh", "weight_ih")], dim=1).numpy()
    return rows.reshape(len(order), -1, rows.shape[1])[order].reshape(rows.shape).T


@pytest.mark.parametrize(
    "config",
    [pytest.param(c, marks=[pytest.mark.reliability] * (c.num_layers == 3)) for c in CONFIGS],  # the slowest
    ids=str,
)
def test_ten_steps_of_sgd(
    config: Config, tmp_path: Path, rng: np.random.Generator, worst: list[float]
) -> None:
    """Only one of two biases that add up is trained, there; none where there are none, here."""
    module = config.torch()
    layer = loaded(save(module.state_dict(), tmp_path / "before.pt"), config.ours())
    for name, p in module.named_parameters():
        if name.startswith("bias_hh"):
            kept = torch.zeros_like(p)
            kept[2 * H:] = 1.0 if config.kind == "gru" else 0.0
            p.register_hook(lambda gradient, kept=kept: gradient * kept)
    theirs, ours = torch.optim.SGD(module.parameters(), lr=1e-3), ml.SGD(layer, lr=1e-3)
    for _ in range(10):
        x, dy = rng.standard_normal((N, T, D)), rng.standard_normal((N, T, H * (1 + config.bidirectional)))
        theirs.zero_grad()
        run(module, x, dy)
        theirs.step()
        layer.zero_grad()
        layer(x, lengths=LENGTHS)
        layer.backward(dy)
        for name, gradient in layer.grads.items():
            gradient *= config.bias or name[0] == "W"
        ours.step()
    after = loaded(save(module.state_dict(), tmp_path / "after.pt"), config.ours())
    for one, other in zip(layer.parameters(), after.parameters(), strict=True):
        worst.append(close(one, other, 1e-10))
