"""Of no single file: weights from Keras, on its PyTorch backend, give the same outputs and gradients.

Its ``matmul`` rounds float64 to float32 there (see layers/test_keras_parity.py), hence float32 alone.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import close
from weight_files import LAYERS, Config, D, H, N, loaded

torch: Any = pytest.importorskip("torch", reason="the oracles extra is not installed")
keras: Any = pytest.importorskip("keras", reason="the oracles extra is not installed")
pytest.importorskip("h5py", reason="the weights extra is not installed")
if keras.backend.backend() != "torch":
    pytest.skip("KERAS_BACKEND is not torch", allow_module_level=True)

T = 7
CONFIGS = [Config(*fields) for fields in itertools.product(LAYERS, (1, 2), (False, True), (True, False))]
ORDERS = {"lstm": (1, 0, 3, 2), "gru": (1, 0, 2)}  # where our blocks stand in Keras'


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_outputs_and_gradients(
    config: Config, tmp_path: Path, rng: np.random.Generator
) -> None:
    stack, ragged = config.keras("float32"), CONFIGS.index(config) % 3 > 0
    model = keras.Sequential([keras.Input((T, D)), *stack])
    path = tmp_path / ("m.keras" if ragged else "m.weights.h5")
    model.save(path) if ragged else model.save_weights(path)
    layer = loaded(path, config.ours(np.float32))
    lengths = np.array([T, 2, 5]) if ragged else np.full(N, T)
    real = np.arange(T) < lengths[:, None]
    x = rng.standard_normal((N, T, D)).astype(np.float32)
    dy = rng.standard_normal((N, T, H * (1 + config.bidirectional))).astype(np.float32)
    y = inputs = torch.tensor(x, requires_grad=True)
    for one in stack:
        y = one(y, mask=torch.tensor(real)) if ragged else one(y)
    y = torch.where(
        torch.tensor(real[:, :, None]), y, torch.zeros_like(y)
    )  # Keras repeats outputs at padded steps
    (y * torch.tensor(dy)).sum().backward()
    close(layer(x, lengths=lengths), y.detach().numpy(), 1e-5)
    gap(layer.backward(dy), inputs.grad.numpy())
    gradients = [v.value.grad.numpy() for one in stack for v in one.trainable_variables]
    size = 3 if config.bias else 2
    for end, start in zip(
        [name[1:] for name in layer.params if name[0] == "W"], range(0, len(gradients), size)
    ):
        kernel, recurrent, *bias = gradients[start:start + size]
        gap(layer.grads["W" + end], blocks(config.kind, np.concatenate([recurrent, kernel])))
        if bias and config.kind == "gru":
            of_x, of_h = (blocks("gru", row) for row in bias[0])
            gap(layer.grads["b" + end], np.concatenate([of_x, of_h[2 * H:]]))
        elif bias:
            gap(layer.grads["b" + end], blocks(config.kind, bias[0]))


def blocks(kind: str, array: Any) -> Any:
    """Keras' columns in our order."""
    order = ORDERS.get(kind, (0,))
    return np.concatenate([np.split(array, len(order), axis=-1)[place] for place in order], axis=-1)


def gap(got: Any, want: Any) -> None:
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
