"""Compute recurrent layers with PyTorch or Keras, from arrays as they stand in a file, and compare."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.layers.module import Module
from minilstm.layers.recurrent import Recurrent
from minilstm.training.weights.layouts import KERAS, TORCH, WAYS, Arrays

LENGTHS = (7, 4, 1)         # of the three forwards, which are one of ours, padded


def compared(layout: str, model: Module, given: list[tuple[str, Arrays]]) -> list[str]:
    """Return in words how far three forwards are from the other library's, which reads each sequence alone.

    ``given``: (name of a layer, the arrays that a level of it was filled from). Raises CheckpointError where
    they differ.
    """
    worst, rng, library = -1.0, np.random.default_rng(0), {"torch": "PyTorch", "keras": "Keras"}[layout]
    for name, layer in model.modules():
        if not isinstance(layer, Recurrent):
            continue
        layer.return_sequences = True
        arrays = [level[role + way] for place, level in given if place == name
                  for way in WAYS for role in TORCH if role + way in level]
        bias = len(arrays) > 2 * len(layer.suffixes())
        try:
            theirs = (_torch if layout == "torch" else _keras)(layer, arrays, bias)
        except ImportError:
            return [f"not compared with {library}, which is not installed"]
        x = rng.standard_normal((3, 7, layer.input_size))
        y = layer(x, lengths=LENGTHS, padding="post")
        for row, n in enumerate(LENGTHS):
            gap = np.abs(y[row, :n] - theirs(x[row:row + 1, :n])[0]).max()
            worst = max(worst, float(gap / max(1.0, np.abs(y).max())))
    if not worst <= 1e-3:           # far more than rounding
        raise CheckpointError(f"gives outputs that are off by {worst:.1e} from {library}'s")
    return [f"three forwards with {library}: largest difference {worst:.1e}"] * (worst >= 0)


def _torch(layer: Any, arrays: list[np.ndarray], bias: bool) -> Any:
    import torch
    kind = {"nonlinearity": layer.nonlinearity} if layer.cell == "rnn" else {}
    twin = getattr(torch.nn, layer.cell.upper())(
        layer.input_size, layer.hidden_size, layer.num_layers, bidirectional=layer.bidirectional, bias=bias,
        batch_first=True, dtype=torch.float64, **kind)
    for parameter, array in zip(twin.parameters(), arrays, strict=True):
        parameter.data = torch.tensor(array.astype(float))
    return lambda x: twin(torch.tensor(x))[0].detach().numpy()


def _keras(layer: Any, arrays: list[np.ndarray], bias: bool) -> Any:
    import keras
    twin = keras.Sequential([keras.Input((None, layer.input_size))])
    for _ in range(layer.num_layers):
        cell = getattr(keras.layers, KERAS[layer.cell])(
            layer.hidden_size, activation=getattr(layer, "nonlinearity", "tanh"), use_bias=bias,
            return_sequences=True)
        twin.add(keras.layers.Bidirectional(cell) if layer.bidirectional else cell)
    twin.set_weights(arrays)
    return lambda x: keras.ops.convert_to_numpy(twin(keras.ops.convert_to_tensor(x.astype(np.float32))))
