"""Compute recurrent layers with PyTorch or Keras, from weights as they stand in a file, and compare."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilstm.backend.errors import CheckpointError
from minilstm.training.weights.layouts import KERAS, TORCH, WAYS, Arrays, Place, to_ours

LENGTHS = (((7, 7, 7), "post"), ((7, 4, 1), "post"), ((2, 7, 5), "pre"))        # of the three forwards, T = 7
TOLERANCE = 1e-3                # of the largest output; rounding stays far below it


def compared(layout: str, cells: list[tuple[Place, Arrays]]) -> str:
    """Return in words how far three forwards are from the other library's, which reads each sequence alone.

    Raises CheckpointError if they differ.
    """
    worst, rng, library = 0.0, np.random.default_rng(0), {"torch": "PyTorch", "keras": "Keras"}[layout]
    for place, arrays in cells:
        layer, ends = place.layer, list(WAYS)[:len(place.ends)]
        state = to_ours(layout, place._replace(ends=ends), arrays)
        kind = {"nonlinearity": layer.nonlinearity} if layer.cell == "rnn" else {}
        ours = type(layer)(len(state["W"]) - layer.hidden_size, layer.hidden_size, bidirectional=layer.bidirectional,
                           dtype=np.float64, **kind)
        ours.load_state_dict(state)
        own = [arrays[role + way] for way in ends for role in TORCH if role + way in arrays]
        try:
            theirs = (_torch if layout == "torch" else _keras)(ours, own, "bias" in arrays)
        except ImportError:
            return f"not compared with {library}, which is not installed"
        for lengths, padding in LENGTHS:
            x = rng.standard_normal((3, 7, ours.input_size))
            y = ours(x, lengths=lengths, padding=padding)
            for row, n in enumerate(lengths):
                real = slice(0, n) if padding == "post" else slice(7 - n, 7)
                gap = np.abs(y[row, real] - theirs(x[row:row + 1, real])[0])
                worst = max(worst, float(gap.max() / max(1.0, np.abs(y).max())))
    if not worst <= TOLERANCE:
        raise CheckpointError(f"gives outputs that are off by {worst:.1e} from {library}'s")
    return f"three forwards with {library}: largest difference {worst:.1e}"


def _torch(ours: Any, arrays: list[np.ndarray], bias: bool) -> Any:
    import torch
    kind = {"nonlinearity": ours.nonlinearity} if ours.cell == "rnn" else {}
    twin = getattr(torch.nn, ours.cell.upper())(ours.input_size, ours.hidden_size, bidirectional=ours.bidirectional,
                                                bias=bias, batch_first=True, dtype=torch.float64, **kind)
    for parameter, array in zip(twin.parameters(), arrays, strict=True):
        parameter.data = torch.tensor(array.astype(float))
    return lambda x: twin(torch.tensor(x))[0].detach().numpy()


def _keras(ours: Any, arrays: list[np.ndarray], bias: bool) -> Any:
    import keras
    twin = getattr(keras.layers, KERAS[ours.cell])(
        ours.hidden_size, activation=getattr(ours, "nonlinearity", "tanh"), use_bias=bias, return_sequences=True,
        dtype="float64")
    twin = keras.layers.Bidirectional(twin, dtype="float64") if ours.bidirectional else twin
    twin.build((1, None, ours.input_size))
    twin.set_weights(arrays)
    return lambda x: keras.ops.convert_to_numpy(twin(keras.ops.convert_to_tensor(x)))
