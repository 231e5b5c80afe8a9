"""Modules of PyTorch and Keras with random weights, files of them, and the model of ours that each fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backends import put

import minilstm as ml

LAYERS: dict[str, Any] = {"lstm": ml.LSTM, "gru": ml.GRU, "tanh": ml.RNN, "relu": ml.RNN}
N, T, D, H = 3, 17, 5, 4


@dataclass(frozen=True)
class Config:
    """A recurrent layer as both libraries have it."""

    kind: str
    num_layers: int = 1
    bidirectional: bool = False
    bias: bool = True

    @property
    def named(self) -> dict[str, Any]:
        return {"nonlinearity": self.kind} if self.kind in ("tanh", "relu") else {}

    def ours(self, dtype: Any = np.float64) -> Any:
        return put(
            LAYERS[self.kind](
                D, H, self.num_layers, bidirectional=self.bidirectional, dtype=dtype, rng=0, **self.named
            )
        )

    def torch(self, seed: int = 0) -> Any:
        """A float64 module, its weights and both biases random."""
        torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
        torch.manual_seed(seed)
        make = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(self.kind, torch.nn.RNN)
        return make(
            D,
            H,
            self.num_layers,
            bidirectional=self.bidirectional,
            bias=self.bias,
            batch_first=True,
            dtype=torch.float64,
            **self.named,
        )

    def keras(self, dtype: str, seed: int = 0) -> list[Any]:
        """The layers of a stack, built, with random weights."""
        keras = pytest.importorskip("keras", reason="the oracles extra is not installed")
        rng, size = np.random.default_rng(seed), D
        stack: list[Any] = []
        for _ in range(self.num_layers):
            options = {"return_sequences": True, "use_bias": self.bias, "dtype": dtype}
            make = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}.get(self.kind)
            layer = make(H, **options) if make else keras.layers.SimpleRNN(H, activation=self.kind, **options)
            layer = keras.layers.Bidirectional(layer, dtype=dtype) if self.bidirectional else layer
            layer.build((N, None, size))
            layer.set_weights([rng.uniform(-0.7, 0.7, w.shape) for w in layer.get_weights()])
            stack, size = [*stack, layer], H * (1 + self.bidirectional)
        return stack


def save(state: dict[str, Any], path: Path) -> Path:
    """Write a state_dict of tensors by the name's ending, as PyTorch's users do."""
    torch = pytest.importorskip("torch", reason="the oracles extra is not installed")
    if path.suffix == ".pt":
        torch.save(state, path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
    else:
        safetensors = pytest.importorskip("safetensors.torch", reason="the weights extra is not installed")
        safetensors.save_file(state, path)
    return path


def loaded(path: Path, model: Any) -> Any:
    """The model with a file's weights."""
    ml.load_weights(path, model, compare=False)
    return model


def classifier(**options: Any) -> Any:
    """Embedding, LSTM, Linear, Sigmoid: 11 words, sizes 3 and 5."""
    return ml.Sequential(
        ml.Embedding(11, 3, rng=0),
        ml.LSTM(3, 5, return_sequences=False, rng=1, **options),
        ml.Linear(10 if options.get("bidirectional") else 5, 1, rng=2),
        ml.Sigmoid(),
    )
